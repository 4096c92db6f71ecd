//! Finds gaps longer than two heartbeats while a process had the trail open, and implausible line times.

use super::remark::{Remark, RemarkKind};
use crate::timestamps::{Direction, MAX_JUMPS, Timestamps};

/// The most gaps held back, chosen above the number that can turn out to be a clock running ahead. Once it is
/// reached, most of them are certain and are counted.
const MOST_PENDING: usize = 4 * MAX_JUMPS;

#[derive(Debug)]
struct Gap {
    /// The line after the gap.
    seq: u64,
    message: String,
}

/// Follows the times of all lines in order. Memory is bounded, whatever the lines say.
#[derive(Debug)]
pub(super) struct Heartbeats {
    timestamps: Timestamps,
    gaps: Remark,
    /// Gaps that may still turn out to be a clock that ran ahead.
    pending: Vec<Gap>,
    /// The heartbeat interval of the open session; `None` before the first `open` record that is left.
    heartbeat: Option<u64>,
}

impl Default for Heartbeats {
    fn default() -> Self {
        Self {
            timestamps: Timestamps::default(),
            gaps: Remark::new(RemarkKind::MissingHeartbeat),
            pending: Vec::new(),
            heartbeat: None,
        }
    }
}

impl Heartbeats {
    /// A process opened the trail with this heartbeat interval, in seconds.
    pub(super) fn open(&mut self, heartbeat: u64) {
        self.heartbeat = Some(heartbeat);
    }

    /// Adds a line whose second differs from that of the line before. If the line is an `open` record, no
    /// heartbeat was due before it.
    pub(super) fn add(&mut self, seq: u64, second: u64, is_opening: bool) {
        let before = self.timestamps.newest().filter(|_| !is_opening);
        if let Some(ahead) = self.timestamps.pass(seq, second) {
            self.pending.retain(|gap| gap.seq != ahead);
        }
        let (Some(before), Some(heartbeat)) = (before, self.heartbeat.filter(|heartbeat| *heartbeat > 0))
        else {
            return;
        };
        let gap = second.saturating_sub(before);
        if gap > heartbeat.saturating_mul(2) && self.timestamps.is_plausible() {
            if self.pending.len() == MOST_PENDING {
                self.count(|timestamps, seq| !timestamps.remembers(seq));
            }
            let message = format!(
                "nothing was recorded for {gap} s before line {seq}, \
although a heartbeat is due every {heartbeat} s"
            );
            self.pending.push(Gap { seq, message });
        }
    }

    /// Counts the gaps that are certain.
    fn count(&mut self, is_certain: impl Fn(&Timestamps, u64) -> bool) {
        let Self { timestamps, gaps, pending, .. } = self;
        for gap in pending.extract_if(.., |gap| is_certain(timestamps, gap.seq)) {
            gaps.add(Some(gap.seq), None, gap.message);
        }
    }

    /// Returns all remarks. `end` is the number after the last line.
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
        [back, ahead, self.gaps].into_iter().filter(|remark| remark.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_within_a_session_is_found_and_a_clock_jump_is_not() {
        let mut heartbeats = Heartbeats::default();
        let lines = [(0, 1_000, false), (1, 9_000, true), (2, 9_200, false), (3, 9_401, false)];
        let clocks = [(4, 99_000, false), (5, 9_402, false), (6, 5_000, false), (7, 9_403, false)];
        for (seq, second, is_opening) in lines.into_iter().chain(clocks) {
            if is_opening {
                heartbeats.open(100);
            }
            heartbeats.add(seq, second, is_opening);
        }
        assert_eq!(
            found(heartbeats, 8),
            [
                (RemarkKind::TimeBackwards, 1, Some(6)),
                (RemarkKind::TimeAhead, 1, Some(4)),
                (RemarkKind::MissingHeartbeat, 1, Some(3)),
            ]
        );
    }

    fn found(heartbeats: Heartbeats, end: u64) -> Vec<(RemarkKind, u64, Option<u64>)> {
        heartbeats.finish(end).into_iter().map(|found| (found.kind, found.count, found.seq)).collect()
    }

    #[test]
    fn any_number_of_gaps_is_counted_in_bounded_memory() {
        let mut heartbeats = Heartbeats::default();
        heartbeats.open(10);
        for line in 0..100_000 {
            heartbeats.add(line, 1_000 + 100 * line, false);
            assert!(heartbeats.pending.len() <= MOST_PENDING);
        }
        let [gaps] = &*heartbeats.finish(100_000) else { panic!("one kind") };
        assert_eq!((gaps.count, gaps.seq, gaps.last_seq), (99_999, Some(1), Some(99_999)));
        let examples: Vec<_> = gaps.examples.iter().filter_map(|example| example.seq).collect();
        assert_eq!(examples, [1, 2, 3]);
    }

    #[test]
    fn a_clock_ahead_is_no_gap_even_after_thousands_of_gaps() {
        let mut heartbeats = Heartbeats::default();
        heartbeats.open(10);
        heartbeats.add(0, 1_000, false);
        for line in 1..=3_000 {
            heartbeats.add(line, 100_000_000 + 100 * line, false);
        }
        heartbeats.add(3_001, 1_010, false);
        assert_eq!(
            found(heartbeats, 3_002),
            [(RemarkKind::TimeAhead, 1, Some(1)), (RemarkKind::MissingHeartbeat, 2_999, Some(2))]
        );
    }

    #[test]
    fn any_number_of_clock_steps_is_counted() {
        let mut heartbeats = Heartbeats::default();
        for step in 0..3_000 {
            heartbeats.add(2 * step, 1_000_000, false);
            heartbeats.add(2 * step + 1, 1_000, false);
        }
        heartbeats.add(6_000, 1_000_000, false);
        assert_eq!(found(heartbeats, 6_001), [(RemarkKind::TimeBackwards, 3_000, Some(1))]);
    }
}
