//! Nearest-rank quantiles of a run and medians over runs, from one exact figure per call, without buckets or
//! smoothing.

use std::time::Duration;

/// Returns the smallest figure that at least this many per mille of all figures do not exceed; 0 if there are
/// none.
pub(crate) fn per_mille(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// Returns the median; 0 if there are no values.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.as_slice() {
        [] => 0.0,
        odd if odd.len() % 2 == 1 => odd[middle],
        even => f64::midpoint(even[middle - 1], even[middle]),
    }
}

/// Converts a count or a time to a floating-point number, for ratios.
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds here are far below 2^53")]
pub(crate) fn float(whole: u64) -> f64 {
    whole as f64
}

/// Rounds a median to an integer, for tables.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are positive and far from the limit"
)]
pub(crate) fn whole(figure: f64) -> u64 {
    figure.round() as u64
}

/// Converts a duration to nanoseconds.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_figure_that_was_measured() {
        let sorted: Vec<u64> = (1..=1000).collect();
        assert_eq!([500, 990, 999, 1000].map(|at| per_mille(&sorted, at)), [500, 990, 999, 1000]);
        assert_eq!(per_mille(&[7], 500), 7);
        assert_eq!(per_mille(&[], 500), 0);
    }

    #[test]
    fn a_median_does_not_depend_on_the_order_of_the_runs() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median([]).abs() < f64::EPSILON);
    }
}
