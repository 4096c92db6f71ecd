//! The drain's side of the protocol: looking at records, copying them, releasing their room, and sleeping.
//!
//! One thread at a time may use it. Other threads may call [`Queue::next`] and [`Queue::recent_entries`]
//! while they hold the appender's lock, under which the drain works too.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::super::layout::{
    ALIGN, CHECKED, COMMITTED, HEAD, LINES, PAD, PARKED, STATE, TAIL, WORD, pack, record_size, seeded, unpack,
};
use super::super::word::{Memory, Word};
use super::Queue;

/// What is at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// An accepted entry of `len` bytes; the next record begins at `end`.
    Entry { len: usize, end: u64 },
    /// No entry; the next record begins at `end`.
    Skip { end: u64 },
    /// Nothing is reserved.
    Empty,
    /// Reserved by a thread that has not finished.
    Unfinished,
}

impl<M: Memory> Queue<M> {
    /// Returns what is at a position that is not released yet.
    pub(crate) fn next(&self, position: u64) -> Next {
        let record = self.record(position);
        // ORDERING: Acquire pairs with the Release stores in `claim`, `commit` and `fill`: the length below,
        // and the payload that `copy` reads, are those that were stored before this state.
        let word = record[0].load(Acquire);
        // A word of zeros is no record: the ring is new, and this is its beginning.
        if word & !STATE != position || word & STATE == 0 {
            // The record may have been reserved and committed since its word was loaded. Then the tail is
            // ahead, and the caller looks again.
            return if self.tail() == position { Next::Empty } else { Next::Unfinished };
        }
        let (len, _) = unpack(record[1].load(Relaxed));
        match word & STATE {
            COMMITTED | CHECKED => {
                Next::Entry { len: len as usize, end: position + record_size(len as usize) }
            }
            PAD => Next::Skip { end: position + u64::from(len) },
            _ => Next::Unfinished,
        }
    }

    /// Appends the entry at a position to `out`.
    pub(crate) fn copy(&self, position: u64, len: usize, out: &mut Vec<u8>) {
        let begin = out.len();
        out.resize(begin + len, 0);
        load_bytes(&self.record(position)[2..], &mut out[begin..]);
    }

    /// Appends the entry at a position to `out`, and stores its crc in the ring. Returns false if a crc was
    /// stored before and the bytes do not match it.
    pub(crate) fn copy_checked(&self, position: u64, len: usize, out: &mut Vec<u8>) -> bool {
        let (record, begin) = (self.record(position), out.len());
        self.copy(position, len, out);
        let (len, stored) = unpack(record[1].load(Relaxed));
        let mut hasher = seeded(self.salt.load(Relaxed), position, len);
        hasher.update(&out[begin..]);
        let crc = hasher.finalize();
        if record[0].load(Relaxed) & STATE == CHECKED {
            return stored == crc;
        }
        record[1].store(pack(len, crc), Relaxed);
        // ORDERING: Release publishes the crc: recovery and `snapshot` compare it only if they see CHECKED.
        record[0].store(position | CHECKED, Release);
        true
    }

    /// Allows everything before this position to be overwritten; the trail has `lines` lines with it. The
    /// number of lines is never ahead of the position: recovery looks for entries from that line on.
    pub(crate) fn release(&self, position: u64, lines: u64) {
        // ORDERING: Release pairs with the producers' Acquire load in `reserve`: the drain has read a record
        // before it is overwritten. If the committer releases, it took the appender's lock after the drain
        // had worked under it, so the drain's reads happen before this store as well.
        self.control(HEAD).store(position, Release);
        // ORDERING: Release keeps this store after the one above, for a kill in between and for `snapshot`.
        self.control(LINES).store(lines, Release);
    }

    /// Announces that the drain sleeps until it is woken. Returns false if something was pushed since
    /// `drained`, or the ring is paused or closed.
    ///
    /// No wake-up is lost. The announcement P and a reservation R are compare-and-swaps of one word, so one
    /// comes first:
    /// 1. R before P: TAIL is no longer `drained`, P fails, and the drain looks again.
    /// 2. P before R: R finds PARKED, replaces it by its own end, and its caller unparks the drain. If the
    ///    drain is not asleep yet, the unpark leaves a token, and its next `park` returns at once.
    ///
    /// In the second case only the first R finds the flag: the later ones need not wake a thread that is
    /// awake.
    pub(crate) fn park(&self, drained: u64) -> bool {
        // ORDERING: the argument needs only the order of changes of this one word. AcqRel as for every change
        // of TAIL; no other data depends on it.
        self.control(TAIL).compare_exchange(drained, drained | PARKED, AcqRel, Acquire).is_ok()
    }

    pub(crate) fn unpark(&self) {
        // ORDERING: as in `park`. It must be one operation: a store could undo a reservation.
        self.control(TAIL).fetch_and(!PARKED, AcqRel);
    }

    /// Returns entries that were drained and not overwritten since, oldest first, each with the position
    /// after it. Called by the drain, or while it does not run. A producer may overwrite what is being read,
    /// so callers check each entry.
    pub(crate) fn recent_entries(&self, drained: u64) -> Vec<(u64, Vec<u8>)> {
        let (mut at, mut found) = (self.tail().saturating_sub(self.capacity), Vec::new());
        while at < drained {
            match self.next(at) {
                // Bytes of a payload can look like a record; no record wraps around.
                Next::Entry { len, end }
                    if end <= drained && (at & (self.capacity - 1)) + record_size(len) <= self.capacity =>
                {
                    let mut body = Vec::new();
                    self.copy(at, len, &mut body);
                    found.push((end, body));
                    at = end;
                }
                Next::Skip { end } if end > at && end <= drained => at = end,
                _ => at += ALIGN,
            }
        }
        found
    }

    /// Writes to each page from `from` to `to` without changing it, so that no producer waits for a page
    /// fault.
    pub(crate) fn touch(&self, from: u64, to: u64) {
        const PAGE: u64 = 4_096;
        let mut at = from.next_multiple_of(PAGE);
        while at < to {
            // Relaxed is enough even if a producer has just stored its state here: adding zero is a
            // read-modify-write, so an Acquire load that reads the sum still synchronizes with that store.
            self.record(at)[0].fetch_add(0, Relaxed);
            at += PAGE;
        }
    }
}

fn load_bytes<W: Word>(words: &[W], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<WORD>();
    for (word, chunk) in words.iter().zip(whole.iter_mut()) {
        *chunk = word.load(Relaxed).to_ne_bytes();
    }
    if !rest.is_empty() {
        let last = words[whole.len()].load(Relaxed).to_ne_bytes();
        let len = rest.len();
        rest.copy_from_slice(&last[..len]);
    }
}
