//! Which line an accepted entry became: places in the journal to sequence numbers and leaf hashes.
//!
//! The latest entries are remembered one by one, older ones only roughly: whoever asks late finds his line in the trail itself,
//! from a number that is not far. Memory is bounded by two constants.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::tree::Hash;

/// Entries remembered one by one; more than a ring of the default size holds of the usual length would only be asked for late.
const RECENT: usize = 16_384;

/// Rough marks kept; when there are more, every second one is forgotten.
const MARKS: usize = 2_048;

/// Where an entry stands in the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// The position behind it in the journal.
    pub(crate) position: u64,
    pub(crate) seq: u64,
    pub(crate) leaf_hash: Hash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Line(Line),
    /// Not before this sequence number.
    NotBefore(u64),
}

#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    recent: VecDeque<Line>,
    marks: Vec<(u64, u64)>,
    stride: u64,
}

impl History {
    /// Remembers lines that were written, in order.
    pub(crate) fn note(&self, lines: impl Iterator<Item = Line>) {
        let mut inner = self.lock();
        for line in lines {
            if inner.recent.len() == RECENT {
                inner.recent.pop_front();
            }
            inner.recent.push_back(line);
        }
        inner.mark();
    }

    /// Forgets what was written behind a position: it is written anew.
    pub(crate) fn forget_after(&self, position: u64) {
        let mut inner = self.lock();
        inner.recent.retain(|line| line.position <= position);
        inner.marks.retain(|(marked, _)| *marked <= position);
    }

    pub(crate) fn find(&self, position: u64) -> Found {
        let inner = self.lock();
        if let Ok(at) = inner.recent.binary_search_by_key(&position, |line| line.position) {
            return Found::Line(inner.recent[at]);
        }
        let after = inner.marks.partition_point(|(marked, _)| *marked <= position);
        Found::NotBefore(after.checked_sub(1).map_or(0, |at| inner.marks[at].1))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while holding this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn mark(&mut self) {
        let Some(last) = self.recent.back() else { return };
        if self.marks.last().is_none_or(|(_, seq)| last.seq >= seq + self.stride) {
            self.marks.push((last.position, last.seq));
        }
        if self.marks.len() > MARKS {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride = (self.stride * 2).max(RECENT as u64 / 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> Line {
        Line { position: number * 64, seq: number * 2, leaf_hash: [0; 32] }
    }

    #[test]
    fn recent_lines_are_known_and_older_ones_roughly() {
        let history = History::default();
        let count = 10_000_000;
        for batch in 0..count / 100 {
            history.note((batch * 100..(batch + 1) * 100).map(line));
        }
        assert_eq!(history.find(line(count - 1).position), Found::Line(line(count - 1)));
        for number in [0, 1, 99, 5_000, 1_000_000, count - 20_000] {
            let Found::NotBefore(seq) = history.find(line(number).position) else { panic!("{number}") };
            assert!(seq <= number * 2 && number * 2 - seq < 100_000, "{number}: {seq}");
        }
        assert!(history.lock().marks.len() <= MARKS);
    }

    #[test]
    fn what_is_written_anew_is_forgotten() {
        let history = History::default();
        history.note((0..10).map(line));
        history.forget_after(line(4).position);
        assert_eq!(history.find(line(4).position), Found::Line(line(4)));
        assert!(matches!(history.find(line(5).position), Found::NotBefore(_)));
        history.note([Line { seq: 77, ..line(5) }].into_iter());
        assert_eq!(history.find(line(5).position), Found::Line(Line { seq: 77, ..line(5) }));
    }
}
