//! A flag that tells threads that the test has ended, also if it panics.

use std::sync::atomic::{AtomicBool, Ordering};

/// The flag, which threads poll.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

/// Sets the flag when dropped. Otherwise a test that panics would wait for its threads forever.
#[derive(Debug)]
pub struct Stopping<'s>(&'s Stop);

impl Stop {
    /// Returns whether the threads must end.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns a guard that sets the flag when it is dropped.
    #[must_use = "the flag is set as soon as the guard is dropped"]
    pub fn when_dropped(&self) -> Stopping<'_> {
        Stopping(self)
    }
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}
