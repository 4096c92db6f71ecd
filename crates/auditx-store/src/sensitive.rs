//! Remembers which of the latest lines are sensitive (SECURITY, CRITICAL), so that the follower that copies
//! them to security.jsonl reads no others.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use auditx_format::line_head::{LineHead, is_sensitive};

/// 64 KiB. With more of them the follower reads every line, since most are for it.
const MOST: usize = 8_192;

/// Returns `false` if the bytes of a line show that its level is another one.
#[inline]
pub(crate) fn may_be_sensitive(line: &[u8]) -> bool {
    LineHead::of(line).and_then(LineHead::from_level).is_none_or(is_sensitive)
}

#[derive(Debug, Default)]
pub(crate) struct SensitiveLines(Mutex<Known>);

#[derive(Debug)]
struct Known {
    /// Every line from here on is known: it is in `seqs`, or not sensitive.
    from: u64,
    /// In order.
    seqs: VecDeque<u64>,
}

impl Default for Known {
    fn default() -> Self {
        Self { from: u64::MAX, seqs: VecDeque::new() }
    }
}

impl SensitiveLines {
    /// Begins at the next line of the trail. Nothing is known of earlier ones.
    pub(crate) fn begin(&self, next_seq: u64) {
        *self.lock() = Known { from: next_seq, seqs: VecDeque::new() };
    }

    /// Adds the sensitive ones of the lines that were written, before these are published.
    pub(crate) fn add(&self, seqs: impl IntoIterator<Item = u64>) {
        let mut seqs = seqs.into_iter().peekable();
        if seqs.peek().is_none() {
            return;
        }
        let mut known = self.lock();
        known.seqs.extend(seqs);
        if let Some(last) = known.seqs.back().copied().filter(|_| known.seqs.len() > MOST) {
            *known = Known { from: last + 1, seqs: VecDeque::new() };
        }
    }

    /// Removes lines that were rolled back.
    pub(crate) fn remove_from(&self, seq: u64) {
        self.lock().seqs.retain(|known| *known < seq);
    }

    /// Returns the first line of `from..limit` that may be sensitive, or `limit`.
    /// Forgets the lines before `from`: there is one follower.
    pub(crate) fn next(&self, from: u64, limit: u64) -> u64 {
        let mut known = self.lock();
        if from < known.from {
            return from.min(limit);
        }
        while known.seqs.front().is_some_and(|seq| *seq < from) {
            known.seqs.pop_front();
        }
        known.seqs.front().map_or(limit, |seq| limit.min(*seq))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_level_may_be_sensitive() {
        let line = concat!(
            r#"{"seq":7,"id":"01990000-0000-7000-8000-000000000000","#,
            r#""timestamp":"2026-11-24T15:24:54.123456Z","level":"SECURITY","module":"system"}"#
        );
        for (line, expected) in [
            (line.to_owned(), true),
            (line.replace("SECURITY", "WARNING"), false),
            (line.replace("\"level\"", "\"lever\""), true),
            ("{}".to_owned(), true),
        ] {
            assert_eq!(may_be_sensitive(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn the_next_sensitive_line_is_known_from_the_beginning_on() {
        let lines = SensitiveLines::default();
        assert_eq!(lines.next(3, 9), 3, "nothing is known");
        lines.begin(5);
        lines.add([6, 8, 12]);
        assert_eq!((lines.next(3, 9), lines.next(5, 9), lines.next(6, 9)), (3, 6, 6));
        assert_eq!((lines.next(7, 9), lines.next(9, 10), lines.next(9, 20)), (8, 10, 12));
        lines.remove_from(12);
        assert_eq!(lines.next(9, 20), 20, "line 12 was rolled back");
        lines.add([13]);
        assert_eq!(lines.next(9, 20), 13);
    }

    #[test]
    fn more_lines_than_are_remembered_are_all_read() {
        let lines = SensitiveLines::default();
        lines.begin(0);
        let most = MOST as u64;
        lines.add(0..most);
        assert_eq!(lines.next(1, 2 * most), 1);
        lines.add([most + 1, most + 3]);
        for seq in [2, most, most + 3] {
            assert_eq!(lines.next(seq, 2 * most), seq, "no longer known");
        }
        assert_eq!(lines.next(most + 4, 2 * most), 2 * most);
        lines.remove_from(most);
        lines.add([most + 2, most + 5]);
        assert_eq!(lines.next(most + 2, 2 * most), most + 2);
        assert_eq!(lines.next(most + 4, 2 * most), most + 5);
    }
}
