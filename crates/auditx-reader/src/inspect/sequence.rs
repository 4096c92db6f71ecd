//! Whether sequence numbers follow each other. Where they do not, it begins anew, so that one break is found once.

/// The number that must come next, and how much room unreadable lines leave.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    next: Option<u64>,
    /// Lines without a number since the last one that had it: each may stand in the place of one number.
    unnumbered: u64,
}

/// Numbers that do not follow each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// These are missing, first and last.
    Gap(u64, u64),
    /// This one stands where the other must.
    Repeat(u64, u64),
}

impl Sequence {
    /// An unreadable line.
    pub(super) fn pass_unnumbered(&mut self) {
        self.unnumbered += 1;
    }

    pub(super) fn pass(&mut self, seq: u64) -> Option<Break> {
        let room = std::mem::take(&mut self.unnumbered);
        let next = self.next.replace(seq.saturating_add(1))?;
        if seq < next {
            Some(Break::Repeat(seq, next))
        } else if seq > next.saturating_add(room) {
            Some(Break::Gap(next.saturating_add(room), seq - 1))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_break_is_found_once_and_unreadable_lines_leave_room() {
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
