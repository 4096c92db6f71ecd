//! Prevents recursion: while a thread writes an event, its further events are not written.
//!
//! Formatted values, clocks and underlying libraries may emit events themselves; without this guard, writing
//! them could recurse without end.

use std::cell::Cell;

thread_local! {
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as writing an event until it is dropped.
#[derive(Debug)]
pub(crate) struct ReentrancyGuard(());

impl ReentrancyGuard {
    /// `None` if this thread is writing an event already.
    pub(crate) fn enter() -> Option<Self> {
        // A thread local without a destructor stays accessible until the thread ends.
        let was_writing = IS_WRITING.try_with(|writing| writing.replace(true)).unwrap_or(true);
        // Not `then_some`: it would construct a guard in either case and drop it, which clears the flag.
        (!was_writing).then(|| Self(()))
    }
}

impl Drop for ReentrancyGuard {
    fn drop(&mut self) {
        IS_WRITING.set(false);
    }
}
