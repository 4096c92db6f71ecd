//! The flags of TAIL: whether the ring takes entries, and why not.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use super::super::layout::{CLOSED, FLAGS, MOVED, PAUSED, POISONED, TAIL};
use super::super::word::{Memory, Word};
use super::{Queue, Refused};

impl<M: Memory> Queue<M> {
    /// Fails if the ring takes no more entries.
    pub(crate) fn check_open(&self) -> Result<(), Refused> {
        if self.has_left() {
            return Err(Refused::Closed);
        }
        // ORDERING: Acquire as in `tail`; only the flags are used.
        match self.control(TAIL).load(Acquire) {
            tail if tail & (CLOSED | POISONED) != 0 => Err(refused_by(tail)),
            _ => Ok(()),
        }
    }

    /// Takes no more entries. Returns the end of the last reservation: every entry reserved before it is
    /// still accepted.
    pub(crate) fn close(&self) -> u64 {
        // ORDERING: one word holds position and flag, so each reservation comes before this operation, and
        // lies below the returned position, or after it, and fails. AcqRel as for every change of TAIL; no
        // other data depends on it.
        self.control(TAIL).fetch_or(CLOSED, AcqRel) & !FLAGS
    }

    /// Whether the disk failed.
    pub(crate) fn is_poisoned(&self) -> bool {
        // ORDERING: as in `is_closed`.
        self.control(TAIL).load(Acquire) & POISONED != 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: Acquire as in `tail`; only the flag is used.
        self.control(TAIL).load(Acquire) & CLOSED != 0
    }

    /// Takes no entries until [`Queue::resume`]. Returns the end of the last reservation: every entry
    /// reserved before it is still accepted.
    pub(crate) fn pause(&self) -> u64 {
        // ORDERING: as in `close`: a producer that reserves after this sees the flag and backs off, one that
        // reserved before is below the returned position.
        self.control(TAIL).fetch_or(PAUSED, AcqRel) & !FLAGS
    }

    pub(crate) fn resume(&self) {
        // ORDERING: Release pairs with the producers' Acquire operations on TAIL: they write to the restored
        // memory.
        self.control(TAIL).fetch_and(!PAUSED, Release);
    }

    /// Whether another file has taken the place of this one.
    pub(crate) fn is_moved(&self) -> bool {
        // ORDERING: as in `is_closed`.
        self.control(TAIL).load(Acquire) & MOVED != 0
    }

    /// Says that another file takes the place of this one, or undoes that.
    pub(crate) fn set_moved(&self, is_moved: bool) {
        // ORDERING: as for every change of TAIL.
        if is_moved {
            self.control(TAIL).fetch_or(MOVED, AcqRel);
        } else {
            self.control(TAIL).fetch_and(!MOVED, AcqRel);
        }
    }

    /// Takes no more entries, because the disk failed.
    pub(crate) fn poison(&self) {
        // ORDERING: as in `close`.
        self.control(TAIL).fetch_or(POISONED, AcqRel);
    }
}

/// Returns why a tail with these flags refuses entries.
pub(super) fn refused_by(tail: u64) -> Refused {
    match tail {
        tail if tail & POISONED != 0 => Refused::Poisoned,
        tail if tail & CLOSED != 0 => Refused::Closed,
        _ => Refused::Paused,
    }
}
