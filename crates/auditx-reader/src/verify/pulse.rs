//! Whether a trail was silent for too long while a process had it open, and whether the times of its lines are plausible.

use super::remark::{Remark, RemarkKind};
use crate::timestamps::{Direction, MOST_JUMPS, Timestamps};

/// More than can turn out to be a clock that was ahead, so that most of them are silences once so many wait.
const MOST_PENDING: usize = 4 * MOST_JUMPS;

#[derive(Debug)]
struct Silence {
    /// The line after it.
    seq: u64,
    message: String,
}

/// Follows the times of all lines in order. Memory is bounded, whatever the trail says.
#[derive(Debug)]
pub(super) struct Pulse {
    timestamps: Timestamps,
    silences: Remark,
    /// Silences that may still turn out to be a clock that was ahead.
    pending: Vec<Silence>,
    /// Of the session that is open. `None` before the first `open` record that is left.
    heartbeat: Option<u64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            timestamps: Timestamps::default(),
            silences: Remark::new(RemarkKind::MissingHeartbeat),
            pending: Vec::new(),
            heartbeat: None,
        }
    }
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
        if let Some(ahead) = self.timestamps.pass(seq, second) {
            self.pending.retain(|silence| silence.seq != ahead);
        }
        let (Some(before), Some(heartbeat)) = (before, self.heartbeat.filter(|heartbeat| *heartbeat > 0))
        else {
            return;
        };
        let silence = second.saturating_sub(before);
        if silence > heartbeat.saturating_mul(2) && self.timestamps.is_plausible() {
            if self.pending.len() == MOST_PENDING {
                self.count(|timestamps, seq| !timestamps.remembers(seq));
            }
            let message = format!(
                "nothing was recorded for {silence} s before line {seq}, though there is to be a heartbeat each {heartbeat} s"
            );
            self.pending.push(Silence { seq, message });
        }
    }

    /// Counts the silences that are certain.
    fn count(&mut self, is_certain: impl Fn(&Timestamps, u64) -> bool) {
        let Self { timestamps, silences, pending, .. } = self;
        for silence in pending.extract_if(.., |silence| is_certain(timestamps, silence.seq)) {
            silences.add(Some(silence.seq), None, silence.message);
        }
    }

    /// Everything there is to remark on. `end` follows the last line.
    pub(super) fn finish(mut self, end: u64) -> Vec<Remark> {
        let implausible = std::mem::take(&mut self.timestamps).finish(end);
        let is_clock =
            |seq| implausible.iter().any(|found| found.direction == Direction::Ahead && found.first == seq);
        self.count(|_, seq| !is_clock(seq));
        let (mut back, mut ahead) =
            (Remark::new(RemarkKind::TimeBackwards), Remark::new(RemarkKind::TimeAhead));
        for found in implausible {
            let remark = match found.direction {
                Direction::Ahead => &mut ahead,
                Direction::Back => &mut back,
            };
            remark.count += found.left_out;
            let last = (found.last > found.first).then_some(found.last);
            remark.add(Some(found.first), last, found.message);
        }
        [back, ahead, self.silences].into_iter().filter(|remark| remark.count > 0).collect()
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
        assert_eq!(
            found(pulse, 8),
            [
                (RemarkKind::TimeBackwards, 1, Some(6)),
                (RemarkKind::TimeAhead, 1, Some(4)),
                (RemarkKind::MissingHeartbeat, 1, Some(3)),
            ]
        );
    }

    fn found(pulse: Pulse, end: u64) -> Vec<(RemarkKind, u64, Option<u64>)> {
        pulse.finish(end).into_iter().map(|found| (found.kind, found.count, found.seq)).collect()
    }

    #[test]
    fn silences_are_counted_however_many_and_memory_is_bounded() {
        let mut pulse = Pulse::default();
        pulse.open(10);
        for line in 0..100_000 {
            pulse.beat(line, 1_000 + 100 * line, false);
            assert!(pulse.pending.len() <= MOST_PENDING);
        }
        let [silences] = &*pulse.finish(100_000) else { panic!("one kind") };
        assert_eq!((silences.count, silences.seq, silences.last_seq), (99_999, Some(1), Some(99_999)));
        let examples: Vec<_> = silences.examples.iter().filter_map(|example| example.seq).collect();
        assert_eq!(examples, [1, 2, 3]);
    }

    #[test]
    fn a_clock_that_was_far_ahead_is_no_silence_after_thousands_of_silences_either() {
        let mut pulse = Pulse::default();
        pulse.open(10);
        pulse.beat(0, 1_000, false);
        for line in 1..=3_000 {
            pulse.beat(line, 100_000_000 + 100 * line, false);
        }
        pulse.beat(3_001, 1_010, false);
        assert_eq!(
            found(pulse, 3_002),
            [(RemarkKind::TimeAhead, 1, Some(1)), (RemarkKind::MissingHeartbeat, 2_999, Some(2))]
        );
    }

    #[test]
    fn steps_of_a_clock_are_counted_however_many() {
        let mut pulse = Pulse::default();
        for step in 0..3_000 {
            pulse.beat(2 * step, 1_000_000, false);
            pulse.beat(2 * step + 1, 1_000, false);
        }
        pulse.beat(6_000, 1_000_000, false);
        assert_eq!(found(pulse, 6_001), [(RemarkKind::TimeBackwards, 3_000, Some(1))]);
    }
}
