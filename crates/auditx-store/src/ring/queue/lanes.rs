//! Lanes: where each thread of a producer writes what it tries to reserve, so that the drain knows what a
//! killed producer has left unfinished.
//!
//! A process that opens the ring gets a slot, and with it eight lanes. A lock on the slot, which the kernel
//! frees at its death, shows whether it lives. A thread holds a lane from before its compare-and-swap of
//! TAIL until its record is committed.
//!
//! # Why the drain skips exactly what nobody will finish
//!
//! The drain finds an unfinished record at P, below TAIL. Whoever reserved P had stored its intent before,
//! and the compare-and-swap published it; it clears the lane only after COMMITTED or PAD. So one of these
//! holds, looking at the lanes whose intent covers P:
//!
//! 1. There is none: the record was finished meanwhile, and the drain looks at it again.
//! 2. One belongs to a living process: it may be the one that reserved P, and the drain waits. (A thread that
//!    lost the race for P replaces its intent at once, unless it was stopped.)
//! 3. All belong to dead processes. One of them reserved P; the others lost the race for it. A dead process
//!    stores nothing, so the record stays as it is. If it is claimed, its length is known. If not, it ends
//!    where the intent of its owner ends, and no thread has written a byte of it. The drain skips to the
//!    lowest end of those intents: if that was not the owner's, what follows is again room that the owner
//!    reserved, and the same argument skips it.
//!
//! What is skipped is marked as PAD, for recovery and `snapshot`. A slot is only given to a new process when
//! its lanes are clear, so that a dead producer's intents are never taken for a living one's.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use super::super::layout::{
    CLAIMED, CONTROL, HELD, INTENT, LANE_WORDS, LANES, STATE, WORD, record_size, unpack,
};
use super::super::word::{Memory, Word};
use super::{Next, Queue, Refused};
use crate::kill_point::kill_point;

/// Threads of this producer may record.
pub(super) const OPEN: usize = 0;
/// They try again: the producer moves to another file and another slot.
pub(super) const MOVING: usize = 1;
/// The producer has ended.
pub(super) const LEFT: usize = 2;

/// A lane that this thread holds. Dropping it frees it.
pub(super) struct Lane<'q, W: Word> {
    words: &'q [W],
    #[cfg(any(test, feature = "testing"))]
    number: usize,
}

impl<W: Word> Lane<'_, W> {
    /// Stores what this thread is about to reserve.
    pub(super) fn intend(&self, begin: u64, end: u64) {
        // ORDERING: the compare-and-swap that follows publishes both. Release keeps them in order for a kill:
        // an intent never has the end of an earlier attempt that begins later.
        self.words[1].store(end, Relaxed);
        self.words[0].store(begin | INTENT, Release);
        kill_point("ring: intended");
    }

    /// Counts an accepted entry that ends at this position.
    pub(super) fn count(&self, end: u64) {
        self.words[2].store(self.words[2].load(Relaxed) + 1, Relaxed);
        self.words[3].store(end, Relaxed);
    }

    /// Returns the number of the lane, which stays held.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn keep(self) -> usize {
        let number = self.number;
        std::mem::forget(self);
        number
    }
}

impl<W: Word> Drop for Lane<'_, W> {
    fn drop(&mut self) {
        // ORDERING: Release keeps the stores to the record, and the count, before this one: a lane that is
        // free again shows a finished record.
        self.words[0].store(0, Release);
    }
}

impl<M: Memory> Queue<M> {
    fn lane_words(&self, slot: usize, lane: usize) -> &[M::Word] {
        let at = CONTROL / WORD + (slot * LANES + lane) * LANE_WORDS;
        &self.memory.words()[at..at + LANE_WORDS]
    }

    /// Takes a lane of this producer. Fails once it has left.
    pub(super) fn lane(&self) -> Result<Lane<'_, M::Word>, Refused> {
        if self.state.load(Relaxed) == LEFT {
            // Its slot may have another owner.
            return Err(Refused::Closed);
        }
        let preferred = self.memory.preferred_lane();
        let mut attempt = 0;
        loop {
            let number = (preferred + attempt) % LANES;
            let words = self.lane_words(self.slot(), number);
            // ORDERING: SeqCst with the load below, against `leave` and `is_quiet`: this thread sees that the
            // producer has left or moves, or the thread that waits for quiet sees the lane held. In the second
            // case it may have taken a lane of the new slot, or one of another producer's, for an instant.
            // Acquire for the count.
            if words[0].compare_exchange(0, HELD, SeqCst, Relaxed).is_ok() {
                let lane = Lane {
                    words,
                    #[cfg(any(test, feature = "testing"))]
                    number,
                };
                return match self.state.load(SeqCst) {
                    OPEN => Ok(lane),
                    MOVING => Err(Refused::Paused),
                    _ => Err(Refused::Closed),
                };
            }
            attempt += 1;
            if attempt % LANES == 0 {
                // Each of the other threads holds its lane for some instructions, unless it was preempted.
                std::thread::yield_now();
            }
        }
    }

    /// Returns the lane that [`Lane::keep`] left held.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn kept(&self, number: usize) -> Lane<'_, M::Word> {
        Lane { words: self.lane_words(self.slot(), number), number }
    }

    /// Takes no more entries of this producer.
    pub(crate) fn leave(&self) {
        // ORDERING: see `lane`.
        self.state.store(LEFT, SeqCst);
    }

    /// Keeps the threads of this producer from recording until [`Queue::end_move`]; those that record now
    /// finish first. Returns `false` if the producer has left.
    pub(crate) fn begin_move(&self) -> bool {
        // ORDERING: see `lane`.
        if self.state.compare_exchange(OPEN, MOVING, SeqCst, SeqCst).is_err() {
            return false;
        }
        while !self.is_quiet() {
            std::thread::yield_now();
        }
        self.accepted_before.fetch_add(self.accepted_here(), Relaxed);
        self.end_before.fetch_max(self.accepted_end(), Relaxed);
        true
    }

    pub(crate) fn end_move(&self) {
        // ORDERING: Release publishes the new slot. If the producer has left meanwhile, that remains.
        self.state.compare_exchange(MOVING, OPEN, SeqCst, SeqCst).unwrap_or(LEFT);
    }

    fn slot(&self) -> usize {
        // ORDERING: see `lane`: a stale slot is noticed after the lane was taken.
        self.slot.load(Relaxed)
    }

    /// Whether no thread of this producer is recording. After `leave`, none begins.
    pub(crate) fn is_quiet(&self) -> bool {
        // ORDERING: see `lane`. Acquire: the records of its threads are committed.
        (0..LANES).all(|lane| self.lane_words(self.slot(), lane)[0].load(SeqCst) == 0)
    }

    /// Returns how many entries of this producer were accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted_before.load(Relaxed) + self.accepted_here()
    }

    /// Returns the position after the last entry of this producer; 0 if it has none. Called while it is quiet.
    pub(crate) fn accepted_end(&self) -> u64 {
        let ends = (0..LANES).map(|lane| self.lane_words(self.slot(), lane)[3].load(Relaxed));
        ends.max().unwrap_or(0).max(self.end_before.load(Relaxed))
    }

    /// Whether this producer has ended.
    pub(crate) fn has_left(&self) -> bool {
        // ORDERING: a caller that must know takes a lane.
        self.state.load(Relaxed) == LEFT
    }

    fn accepted_here(&self) -> u64 {
        (0..LANES).map(|lane| self.lane_words(self.slot(), lane)[2].load(Relaxed)).sum()
    }

    /// Takes a slot of which the caller holds the lock. Fails if a producer that was killed left it unclean.
    pub(crate) fn take_slot(&self, slot: usize) -> bool {
        // ORDERING: the kernel's lock orders these after the stores of the slot's last owner, and after those
        // of the drain that cleared it.
        if (0..LANES).any(|lane| self.lane_words(slot, lane)[0].load(Acquire) != 0) {
            return false;
        }
        for lane in 0..LANES {
            self.lane_words(slot, lane)[2..4].iter().for_each(|word| word.store(0, Relaxed));
        }
        self.slot.store(slot, Relaxed);
        true
    }

    /// Marks the unfinished record at a position as one to skip if nobody will finish it. Returns whether the
    /// caller should look at it again. `is_alive` says whether a slot's process lives.
    pub(crate) fn skip_dead(&self, position: u64, is_alive: impl Fn(usize) -> bool) -> bool {
        let (tail, mut end) = (self.tail(), None);
        for slot in 0..self.slots {
            for (_, lane_end) in self.intents(slot).filter(|(begin, end)| (*begin..*end).contains(&position))
            {
                if slot == self.slot() || is_alive(slot) {
                    return false;
                }
                if lane_end <= tail {
                    end = Some(end.unwrap_or(lane_end).min(lane_end));
                }
            }
        }
        let Some(end) = end else { return false };
        if self.next(position) != Next::Unfinished {
            return true;
        }
        let record = self.record(position);
        let to_wrap = self.capacity - (position & (self.capacity - 1));
        // ORDERING: Acquire pairs with `claim`: the length is the one of this record.
        let size = if record[0].load(Acquire) == position | CLAIMED {
            record_size(unpack(record[1].load(Relaxed)).0 as usize)
        } else {
            (end - position).min(to_wrap)
        };
        self.fill(position, size);
        true
    }

    /// Returns what the threads of a slot try to reserve, or have reserved and not finished.
    fn intents(&self, slot: usize) -> impl Iterator<Item = (u64, u64)> {
        (0..LANES).filter_map(move |lane| {
            let words = self.lane_words(slot, lane);
            // ORDERING: Acquire pairs with `intend`.
            let begin = words[0].load(Acquire);
            (begin & STATE == INTENT).then(|| (begin & !STATE, words[1].load(Relaxed)))
        })
    }

    /// Clears the lanes of dead producers, all of whose records are before `position`. Called by the writer.
    pub(crate) fn clear_dead(&self, position: u64, is_alive: impl Fn(usize) -> bool) {
        for slot in (0..self.slots).filter(|slot| *slot != self.slot()) {
            let used: [bool; LANES] =
                std::array::from_fn(|lane| self.lane_words(slot, lane)[0].load(Acquire) != 0);
            let is_used = used.contains(&true);
            if !is_used || is_alive(slot) || self.intents(slot).any(|(_, end)| end > position) {
                continue;
            }
            // Only those that were in use: once the last of them is clear, the slot may have a new owner.
            for lane in (0..LANES).filter(|lane| used[*lane]) {
                // ORDERING: Release keeps it after the loads above; the slot's next owner takes its lock
                // later.
                self.lane_words(slot, lane)[0].store(0, Release);
            }
        }
    }
}

#[cfg(test)]
mod tests;
