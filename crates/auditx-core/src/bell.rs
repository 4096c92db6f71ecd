//! A bell: one thread sleeps until somebody rings. A ring while nobody sleeps is heard at the next wait.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    /// Sleeps until a ring, or at most this long.
    pub(crate) fn wait(&self, at_most: Option<Duration>) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rung = match at_most {
            Some(time) => {
                self.heard
                    .wait_timeout_while(rung, time, |rung| !*rung)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self.heard.wait_while(rung, |rung| !*rung).unwrap_or_else(PoisonError::into_inner),
        };
        *rung = false;
    }
}
