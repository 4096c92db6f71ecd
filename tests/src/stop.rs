//! Telling threads that a test is over, also where it is over because it failed.

use std::sync::atomic::{AtomicBool, Ordering};

/// What threads look at.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

/// Tells them when it is dropped: without that, a test that panics would wait for its own threads for ever.
#[derive(Debug)]
pub struct Stopping<'s>(&'s Stop);

impl Stop {
    /// Whether the threads are to end.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Tells the threads when what this returns is dropped.
    #[must_use = "dropped at once, it stops at once"]
    pub fn when_dropped(&self) -> Stopping<'_> {
        Stopping(self)
    }
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}
