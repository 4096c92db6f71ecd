//! One event at a time on each thread: whatever is said while an event is written is not written in its turn.
//!
//! Values that are formatted, clocks, and libraries below may all say something themselves; without this they would say it for
//! ever.

use std::cell::Cell;

thread_local! {
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// That this thread is writing an event, until it is dropped.
#[derive(Debug)]
pub(crate) struct Writing(());

impl Writing {
    /// None where the thread is writing one already.
    pub(crate) fn begin() -> Option<Self> {
        // A flag without a destructor can be read for as long as the thread lives.
        let was_writing = WRITING.try_with(|writing| writing.replace(true)).unwrap_or(true);
        // Not `then_some`, whose value would be made either way, and dropped.
        (!was_writing).then(|| Self(()))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.set(false);
    }
}
