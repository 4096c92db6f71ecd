//! Checks that sequence numbers are consecutive. After a break it continues from the new number, so that each
//! break is found once.

/// The expected number, and how many numbers unreadable lines may account for.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    next: Option<u64>,
    /// Lines without a number since the last line that had one: each may account for one number.
    unnumbered: u64,
}

/// A break in the numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// The first and the last missing number.
    Gap(u64, u64),
    /// The repeated number, and the expected one.
    Repeat(u64, u64),
}

impl Sequence {
    /// Adds an unreadable line.
    pub(super) fn pass_unnumbered(&mut self) {
        self.unnumbered += 1;
    }

    pub(super) fn pass(&mut self, seq: u64) -> Option<Break> {
        let hidden = std::mem::take(&mut self.unnumbered);
        let next = self.next.replace(seq.saturating_add(1))?;
        if seq < next {
            Some(Break::Repeat(seq, next))
        } else if seq > next.saturating_add(hidden) {
            Some(Break::Gap(next.saturating_add(hidden), seq - 1))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_are_found_once_and_unreadable_lines_count() {
        let mut sequence = Sequence::default();
        let mut pass = |seq| sequence.pass(seq);
        assert_eq!([7, 8, 9].map(&mut pass), [None, None, None], "it may begin anywhere");
        assert_eq!([12, 13].map(&mut pass), [Some(Break::Gap(10, 11)), None]);
        assert_eq!([12, 13, 14].map(&mut pass), [Some(Break::Repeat(12, 14)), None, None]);

        sequence.pass_unnumbered();
        sequence.pass_unnumbered();
        assert_eq!(sequence.pass(16), None, "15 was torn in two");
        sequence.pass_unnumbered();
        assert_eq!(sequence.pass(20), Some(Break::Gap(18, 19)));
        assert_eq!(sequence.pass(u64::MAX), Some(Break::Gap(21, u64::MAX - 1)));
    }
}
