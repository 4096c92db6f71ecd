//! Whether the times of the lines are plausible: no long silence while a process had the trail open, and no way back.
//!
//! Comes in: the second of each line at which it changes. Goes out: remarks. Whole seconds are enough, and never say that
//! a silence was longer than it was.

use super::verification::RemarkKind;

/// Lines of several threads may be this much out of order, and clocks are corrected.
const TOLERANCE: u64 = 60;

/// One remark, before it is counted.
pub(super) type Found = (RemarkKind, u64, String);

/// Follows the times of all lines in order.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    newest: u64,
    last: Option<u64>,
    /// Of the session that is open; none before the first `open` record that is left.
    heartbeat: Option<u64>,
    is_behind: bool,
}

impl Pulse {
    /// A process opened the trail, and promised to say something this often.
    pub(super) fn open(&mut self, heartbeat: u64) {
        self.heartbeat = Some(heartbeat);
    }

    /// The second of this line is another than that of the line before. Where a process opens the trail with it, nobody
    /// had to say anything before.
    pub(super) fn beat(&mut self, seq: u64, second: u64, is_opening: bool) -> Option<Found> {
        let last = self.last.replace(second).filter(|_| !is_opening);
        let silence = last.map_or(0, |last| second.saturating_sub(last));
        let behind = self.newest.saturating_sub(second);
        self.newest = self.newest.max(second);
        let was_behind = std::mem::replace(&mut self.is_behind, behind > TOLERANCE);
        if self.is_behind && !was_behind {
            let message = format!("line {seq} says that it is {behind} s older than a line before it");
            return Some((RemarkKind::TimeBackwards, seq, message));
        }
        let limit = self.heartbeat.filter(|heartbeat| *heartbeat > 0)?.saturating_mul(2);
        (silence > limit).then(|| {
            let message = format!(
                "nothing was recorded for {silence} s before line {seq}, though there is to be a heartbeat each {} s",
                limit / 2
            );
            (RemarkKind::MissingHeartbeat, seq, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_within_a_session_and_steps_back_are_found_once() {
        let mut pulse = Pulse::default();
        let mut kind = |seq, second, opens: bool| {
            if opens {
                pulse.open(100);
            }
            pulse.beat(seq, second, opens).map(|(kind, seq, _)| (kind, seq))
        };
        assert_eq!(kind(0, 1_000, false), None);
        assert_eq!(kind(1, 9_000, true), None, "between sessions nobody writes");
        assert_eq!(kind(2, 9_200, false), None);
        assert_eq!(kind(3, 9_401, false), Some((RemarkKind::MissingHeartbeat, 3)));
        assert_eq!(kind(4, 9_341, false), None);
        assert_eq!(kind(5, 9_340, false), Some((RemarkKind::TimeBackwards, 5)));
        assert_eq!(kind(6, 9_339, false), None, "said already");
        assert_eq!(kind(7, 9_402, false), None);
        assert_eq!(kind(8, 9_300, false), Some((RemarkKind::TimeBackwards, 8)));
    }
}
