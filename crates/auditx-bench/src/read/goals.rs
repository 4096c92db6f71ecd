//! The goals for reading, compared with the results of a run.

use super::Row;
use crate::goal::Goal;

/// Evaluates the goals. A goal whose program or peer was not measured is not reached.
pub(crate) fn of(rows: &[Row]) -> Vec<Goal> {
    let of = |subject, program| rows.iter().find(|row| row.subject == subject && row.program == program);
    let row = |subject| of(subject, "auditx");
    let ratio = |what, row: Option<&Row>, limit| at_most(what, row.and_then(|row| row.ratio), limit, "×");
    let time = |what, subject, limit| at_most(what, row(subject).map(|row| row.median_s * 1e3), limit, "ms");
    let throughput = row("table-all").and_then(|row| row.gb_per_s);
    let peak = rows.iter().filter(|row| row.program.starts_with("auditx")).map(|row| row.peak_mib);
    let peak = peak.reduce(f64::max);
    vec![
        ratio("one entity's entries without an index ≤ 0.9 × ripgrep", of("entity", "auditx-no-index"), 0.9),
        ratio("a word without an index ≤ 1 × `rg -i`", row("word"), 1.0),
        ratio("count by user ≤ 0.5 × DuckDB", row("count-by-user"), 0.5),
        time("the last 100 of a user ≤ 20 ms", "last-100-of-user", 20.0),
        time("one hour ≤ 20 ms", "one-hour", 20.0),
        Goal {
            what: "a table of everything ≥ 0.5 GB/s",
            measured: described(throughput, "GB/s"),
            reached: throughput.is_some_and(|figure| figure >= 0.5),
        },
        time("the last 50 ≤ 10 ms", "tail-50", 10.0),
        Goal {
            what: "memory of each < 64 MiB",
            measured: described(peak, "MiB at most"),
            reached: peak.is_some_and(|figure| figure < 64.0),
        },
    ]
}

fn at_most(what: &'static str, measured: Option<f64>, limit: f64, unit: &str) -> Goal {
    Goal {
        what,
        measured: described(measured, unit),
        reached: measured.is_some_and(|figure| figure <= limit),
    }
}

fn described(measured: Option<f64>, unit: &str) -> String {
    measured.map_or_else(|| "not measured".to_owned(), |figure| format!("{figure:.2} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &'static str, median_s: f64, ratio: f64, gb_per_s: f64, peak_mib: f64) -> Row {
        let (ratio, gb_per_s) = (Some(ratio), Some(gb_per_s));
        Row {
            subject,
            program: if subject == "entity" { "auditx-no-index" } else { "auditx" },
            median_s,
            ratio,
            inside_s: None,
            gb_per_s,
            peak_mib,
            found: 1,
            runs: 1,
        }
    }

    fn reached(late: f64, ratio: f64, gb_per_s: f64, peak_mib: f64) -> Vec<bool> {
        let subjects = [("last-100-of-user", 0.020), ("one-hour", 0.020), ("tail-50", 0.010)]
            .map(|(subject, limit)| row(subject, limit + late, ratio, gb_per_s, peak_mib));
        let others = [("entity", 0.9), ("count-by-user", 0.5), ("word", 1.0), ("table-all", 0.0)];
        let others = others.map(|(subject, limit)| row(subject, 1.0, limit + ratio, gb_per_s, peak_mib));
        let rows: Vec<Row> = subjects.into_iter().chain(others).collect();
        of(&rows).iter().map(|goal| goal.reached).collect()
    }

    #[test]
    fn goals_are_reached_up_to_their_limits() {
        assert_eq!(reached(0.0, 0.0, 0.5, 63.9), [true; 8]);
        assert_eq!(reached(0.001, 0.01, 0.49, 64.0), [false; 8]);
    }

    #[test]
    fn no_goal_is_reached_without_measurements() {
        let goals = of(&[]);
        assert!(goals.iter().all(|goal| !goal.reached && goal.measured == "not measured"), "{goals:?}");
    }
}
