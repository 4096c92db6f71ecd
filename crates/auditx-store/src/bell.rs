//! A wake-up flag for one thread: it sleeps until another thread notifies it.
//!
//! No wake-up is lost, since the flag is only read and written under the mutex:
//! 1. The notifier sets the flag before the thread locks: the thread finds it set and does not sleep.
//! 2. The notifier locks later: the thread is already in the condition variable's wait, which gave the mutex
//!    up, and is woken.
//!
//! A flag that is set while the thread works stays set until its next `wait`. Whatever was stored before
//! `notify` (for instance that the thread must stop) is visible after the `wait` that it ends, through the
//! mutex.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Bell {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(crate) fn notify(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Sleeps until the next `notify`, at most this long, and clears the flag.
    pub(crate) fn wait(&self, at_most: Option<Duration>) {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_set = match at_most {
            Some(time) => {
                self.changed
                    .wait_timeout_while(is_set, time, |is_set| !*is_set)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => {
                self.changed.wait_while(is_set, |is_set| !*is_set).unwrap_or_else(PoisonError::into_inner)
            }
        };
        *is_set = false;
    }
}
