//! What the thread that obtains time stamps and its owner share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::stamp::Stamped;

/// How far the stamping of a trail is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The number of lines of the checkpoint that was stamped last, and what the stamp says.
    pub stamped: Option<(u64, Stamped)>,
    /// How many stamps were obtained.
    pub stamps: u64,
    /// Why the last attempt failed; `None` if it did not.
    pub failure: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    /// Signalled at each change.
    pub(crate) changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) progress: Progress,
    pub(crate) ending: Option<Ending>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    AfterStamp,
    Now,
}

impl Shared {
    pub(crate) fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
