//! Maps positions in the journal to the seq and leaf hash of the line that an accepted entry became.
//!
//! The latest entries are kept one by one, older ones only roughly: a receipt that is asked late finds its
//! line in the trail itself, from a seq that is not far before it. Two constants bound the memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use auditx_tlog::Hash;

/// Entries kept one by one. A ring of the default size holds no more of the usual length; older ones are only
/// asked for late.
const RECENT: usize = 16_384;

/// Rough marks kept; when there are more, every second one is removed.
const MARKS: usize = 2_048;

/// The line of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// The position after the entry in the journal.
    pub(crate) position: u64,
    pub(crate) seq: u64,
    pub(crate) leaf_hash: Hash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Line(Line),
    /// The line is at this seq or after it.
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
    /// Adds written lines, in order.
    pub(crate) fn add(&self, lines: impl Iterator<Item = Line>) {
        let mut inner = self.lock();
        for line in lines {
            if inner.recent.len() == RECENT {
                inner.recent.pop_front();
            }
            inner.recent.push_back(line);
        }
        if let Some(last) = inner.recent.back().copied() {
            inner.mark(last.position, last.seq);
        }
    }

    /// Notes that no line before `seq` holds an entry that ends at this position or later.
    pub(crate) fn add_mark(&self, position: u64, seq: u64) {
        self.lock().mark(position, seq);
    }

    /// Removes the lines of entries after a position, which will be written again.
    pub(crate) fn remove_after(&self, position: u64) {
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
        // No code panics while it holds this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn mark(&mut self, position: u64, seq: u64) {
        if self.marks.last().is_none_or(|(_, last)| seq > *last && seq >= last + self.stride) {
            self.marks.push((position, seq));
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
    fn recent_lines_are_found_exactly_and_older_ones_roughly() {
        let history = History::default();
        let count = 10_000_000;
        for batch in 0..count / 100 {
            history.add((batch * 100..(batch + 1) * 100).map(line));
        }
        assert_eq!(history.find(line(count - 1).position), Found::Line(line(count - 1)));
        for number in [0, 1, 99, 5_000, 1_000_000, count - 20_000] {
            let Found::NotBefore(seq) = history.find(line(number).position) else { panic!("{number}") };
            assert!(seq <= number * 2 && number * 2 - seq < 100_000, "{number}: {seq}");
        }
        assert!(history.lock().marks.len() <= MARKS);
    }

    #[test]
    fn entries_that_are_written_again_are_forgotten() {
        let history = History::default();
        history.add((0..10).map(line));
        history.remove_after(line(4).position);
        assert_eq!(history.find(line(4).position), Found::Line(line(4)));
        assert!(matches!(history.find(line(5).position), Found::NotBefore(_)));
        history.add([Line { seq: 77, ..line(5) }].into_iter());
        assert_eq!(history.find(line(5).position), Found::Line(Line { seq: 77, ..line(5) }));
    }
}
