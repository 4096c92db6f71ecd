//! The count of refused entries in the ring's control page, kept there so that it survives a kill.
//!
//! Every operation but [`Queue::has_refused`] runs under the journal's lock on refusals, which orders them
//! between the threads of a process. Between processes the count alone is exact: of two that refuse their
//! first entry at the same moment, either's time and position is kept.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use super::super::layout::{REFUSED, REFUSED_AT, REFUSED_FIRST, REFUSED_LAST};
use super::super::word::{Memory, Word};
use super::Queue;

impl<M: Memory> Queue<M> {
    /// Whether entries were refused that no gap record covers yet.
    pub(crate) fn has_refused(&self) -> bool {
        // ORDERING: Acquire pairs with the increment in `count_refused`. The drain reads the other words
        // under the lock, so nothing else depends on it; an increment that is missed here is seen in the
        // drain's next round.
        self.control(REFUSED).load(Acquire) > 0
    }

    /// Returns how many entries were refused, when the first and the last, and the position the first would
    /// have had.
    pub(crate) fn refused(&self) -> (u64, u64, u64, u64) {
        // ORDERING: Acquire as in `has_refused`; the lock orders these loads after the stores.
        let read = |word| self.control(word).load(Acquire);
        (read(REFUSED), read(REFUSED_FIRST), read(REFUSED_LAST), read(REFUSED_AT))
    }

    pub(crate) fn count_refused(&self, micros: u64) {
        // ORDERING: Release keeps these stores in program order for a kill: the count is stored last, so
        // recovery never finds a count without its times. The lock does the rest.
        if !self.has_refused() {
            self.control(REFUSED_FIRST).store(micros, Release);
            self.control(REFUSED_AT).store(self.tail(), Release);
        }
        self.control(REFUSED_LAST).store(micros, Release);
        self.control(REFUSED).fetch_add(1, AcqRel);
    }

    /// Takes entries that a gap record in the trail covers off the count.
    pub(crate) fn subtract_refused(&self, count: u64) {
        // ORDERING: as in `count_refused`. One step, since other processes count meanwhile.
        self.control(REFUSED).fetch_add(count.wrapping_neg(), AcqRel);
    }
}
