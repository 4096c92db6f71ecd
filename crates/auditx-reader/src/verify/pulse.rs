//! Whether a trail was silent for too long while a process had it open, and whether the times of its lines are plausible.

use super::verification::RemarkKind;
use crate::timestamps::{Direction, Timestamps};

/// More silences than anybody reads.
const MOST_SILENCES: usize = 1_000;

/// One remark, before it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimeRemark {
    pub(super) kind: RemarkKind,
    pub(super) seq: u64,
    /// The last line concerned, where there is more than one.
    pub(super) last_seq: Option<u64>,
    pub(super) message: String,
}

/// Follows the times of all lines in order.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    timestamps: Timestamps,
    silences: Vec<TimeRemark>,
    /// Of the session that is open; none before the first `open` record that is left.
    heartbeat: Option<u64>,
}

impl Pulse {
    /// A process opened the trail, and promised to say something this often.
    pub(super) fn open(&mut self, heartbeat: u64) {
        self.heartbeat = Some(heartbeat);
    }

    /// The second of this line is another than that of the line before. Where a process opens the trail with it, nobody
    /// had to say anything before.
    pub(super) fn beat(&mut self, seq: u64, second: u64, is_opening: bool) {
        let before = self.timestamps.newest().filter(|_| !is_opening);
        self.timestamps.pass(seq, second);
        let (Some(before), Some(heartbeat)) = (before, self.heartbeat.filter(|heartbeat| *heartbeat > 0))
        else {
            return;
        };
        let silence = second.saturating_sub(before);
        let is_long = silence > heartbeat.saturating_mul(2) && self.timestamps.is_plausible();
        if is_long && self.silences.len() < MOST_SILENCES {
            let message = format!(
                "nothing was recorded for {silence} s before line {seq}, though there is to be a heartbeat each {heartbeat} s"
            );
            let kind = RemarkKind::MissingHeartbeat;
            self.silences.push(TimeRemark { kind, seq, last_seq: None, message });
        }
    }

    /// All remarks in the order of the lines. `end` follows the last line.
    pub(super) fn finish(self, end: u64) -> Vec<TimeRemark> {
        let implausible = self.timestamps.finish(end);
        // Where a clock jumped ahead nobody was silent.
        let is_clock =
            |seq| implausible.iter().any(|found| found.direction == Direction::Ahead && found.first == seq);
        let silences = self.silences.into_iter().filter(|silence| !is_clock(silence.seq));
        let mut found: Vec<TimeRemark> = silences.collect();
        found.extend(implausible.into_iter().map(|implausible| TimeRemark {
            kind: match implausible.direction {
                Direction::Ahead => RemarkKind::TimeAhead,
                Direction::Back => RemarkKind::TimeBackwards,
            },
            seq: implausible.first,
            last_seq: (implausible.last > implausible.first).then_some(implausible.last),
            message: implausible.message,
        }));
        found.sort_by_key(|found| found.seq);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_within_a_session_is_found_and_a_jump_of_the_clock_is_no_silence() {
        let mut pulse = Pulse::default();
        let lines = [(0, 1_000, false), (1, 9_000, true), (2, 9_200, false), (3, 9_401, false)];
        let clocks = [(4, 99_000, false), (5, 9_402, false), (6, 5_000, false), (7, 9_403, false)];
        for (seq, second, is_opening) in lines.into_iter().chain(clocks) {
            if is_opening {
                pulse.open(100);
            }
            pulse.beat(seq, second, is_opening);
        }
        let found: Vec<_> = pulse.finish(8).into_iter().map(|found| (found.kind, found.seq)).collect();
        assert_eq!(
            found,
            [(RemarkKind::MissingHeartbeat, 3), (RemarkKind::TimeAhead, 4), (RemarkKind::TimeBackwards, 6)]
        );
    }
}
