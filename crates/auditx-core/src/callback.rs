//! Whether a thread is just running code of the application that the library called: a hook, a signer.
//!
//! An entry recorded from there brings the next call with it, and so on for ever. Whoever records on his own account may do
//! so; what turns other people's log events into entries has to ask first.

use std::cell::Cell;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this code runs inside a call of an `on_audit` hook or of a [`Signer`](crate::Signer), on the thread of that call.
#[must_use]
pub fn in_callback() -> bool {
    // A flag without a destructor can be read for as long as the thread lives.
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

/// Calls the application.
pub(crate) fn calling<T>(call: impl FnOnce() -> T) -> T {
    let _restored = Restored(INSIDE.replace(true));
    call()
}

/// Also where the call panics.
struct Restored(bool);

impl Drop for Restored {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}
