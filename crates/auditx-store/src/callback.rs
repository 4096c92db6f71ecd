//! Tells whether a thread is inside a callback of the application: a hook or a signer.
//!
//! An entry recorded inside a callback causes the next call of that callback, and so on without end. Code
//! that records deliberately may do so; code that turns log events of other code into entries must check
//! [`in_callback`] first.

use std::any::Any;
use std::cell::Cell;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Returns `true` if the calling thread is inside an `on_audit` hook or a [`Signer`](auditx_tlog::Signer).
#[must_use]
pub fn in_callback() -> bool {
    // The flag has no destructor and is therefore readable during thread teardown too.
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

/// Calls application code, during which [`in_callback`] returns `true`.
pub(crate) fn calling<T>(call: impl FnOnce() -> T) -> T {
    let _restore = Restore(INSIDE.replace(true));
    call()
}

/// Restores the flag on drop, also if the call panics.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// Returns the text a panic was started with.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without text")
}
