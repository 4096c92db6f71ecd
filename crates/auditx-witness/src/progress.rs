//! What the thread that submits and its owner share.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use auditx_tlog::SignedCheckpoint;

use crate::cosigned;
use crate::error::{Error, Result};

/// How far the submission is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The checkpoint that was cosigned last, with its cosignatures.
    pub cosigned: Option<SignedCheckpoint>,
    /// How many cosignatures were obtained.
    pub cosignatures: u64,
    /// Why witnesses did not cosign the last time, by their names.
    pub failures: HashMap<String, String>,
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
    AfterSubmission,
    Now,
}

impl Shared {
    pub(crate) fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a checkpoint that has new cosignatures.
    pub(crate) fn keep(&self, trail: &Path, checkpoint: &SignedCheckpoint, new: u64) -> Result<()> {
        let kept = cosigned::keep(trail, checkpoint)
            .map_err(|error| Error::storage("cannot store a cosigned checkpoint", trail, error))?;
        let mut state = self.locked();
        state.progress.cosigned = Some(kept);
        state.progress.cosignatures += new;
        self.changed.notify_all();
        Ok(())
    }
}
