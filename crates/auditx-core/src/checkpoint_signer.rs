//! Signs checkpoints and publishes them, each larger than the one before.
//!
//! Comes in: frontiers of lines that are durable; seeing to that is the caller's part. Goes out: `.auditx/checkpoint`, and a
//! copy in `.auditx/checkpoints` at each boundary: seal, close, change of key.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::checkpoint::SignedCheckpoint;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::key::{Signer, VerifierKey};
use crate::metrics::Counters;
use crate::segment::AUDITX_DIR;
use crate::storage::Storage;
use crate::tree::CompactRange;

/// The latest checkpoint, in the trail's directory.
pub(crate) const CHECKPOINT: &str = ".auditx/checkpoint";

/// Checkpoints at boundaries, in the trail's directory.
pub(crate) const CHECKPOINTS: &str = ".auditx/checkpoints";

/// The latest checkpoint of the trail in this directory.
#[must_use]
pub fn checkpoint_path(trail: &Path) -> PathBuf {
    trail.join(AUDITX_DIR).join("checkpoint")
}

/// Its checkpoints at boundaries, each named by its size.
#[must_use]
pub fn checkpoint_history(trail: &Path) -> PathBuf {
    trail.join(AUDITX_DIR).join("checkpoints")
}

/// Why a checkpoint is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// It was time.
    Cadence,
    /// A segment or a session ends here: the note is kept, though nothing is lost where a power loss takes it.
    Boundary,
    /// A key ends here: without the note nobody who pinned it could follow.
    Handover,
}

#[derive(Debug)]
pub(crate) struct CheckpointSigner {
    directory: Dir,
    storage: Arc<dyn Storage>,
    counters: Arc<Counters>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    key: VerifierKey,
    signer: Arc<dyn Signer>,
    latest: Option<SignedCheckpoint>,
}

impl CheckpointSigner {
    /// Goes on from the latest checkpoint, which must be of this signer.
    pub(crate) fn new(
        directory: &Dir,
        storage: Arc<dyn Storage>,
        counters: Arc<Counters>,
        (signer, key): (Arc<dyn Signer>, VerifierKey),
        latest: Option<SignedCheckpoint>,
    ) -> Result<Self> {
        directory.create_directory(CHECKPOINTS).map_err(|error| {
            Error::storage("cannot create the directory of checkpoints", directory.join(CHECKPOINTS), error)
        })?;
        let state = State { key, signer, latest };
        Ok(Self { directory: directory.clone(), storage, counters, state: Mutex::new(state) })
    }

    /// The public key that checks what it signs.
    pub(crate) fn key(&self) -> VerifierKey {
        self.lock().key.clone()
    }

    /// Lines that the latest checkpoint speaks of.
    pub(crate) fn size(&self) -> u64 {
        self.lock().latest.as_ref().map_or(0, SignedCheckpoint::size)
    }

    pub(crate) fn latest(&self) -> Option<SignedCheckpoint> {
        self.lock().latest.clone()
    }

    /// Signs the tree with this frontier, unless one at least as large is signed already.
    ///
    /// # Errors
    /// `is_signing` where the key cannot, `is_storage` where the note cannot be written. Counted.
    pub(crate) fn sign(&self, frontier: &CompactRange, occasion: Occasion) -> Result<()> {
        let mut state = self.lock();
        let size = frontier.end();
        let known = state.latest.clone().filter(|latest| latest.size() >= size);
        let outcome = match (known, occasion) {
            (Some(_), Occasion::Cadence) => return Ok(()),
            (Some(latest), _) => self.keep(&latest, occasion),
            (None, _) => {
                let made = self.make(frontier, state.key.name(), &[&*state.signer], occasion);
                made.map(|made| state.latest = Some(made))
            }
        };
        if outcome.is_err() {
            self.counters.checkpoint_failures.add(1);
        }
        outcome
    }

    /// Rewrites the latest checkpoint if another program removed or replaced it; returns whether it did.
    pub(crate) fn restore(&self) -> Result<bool> {
        let state = self.lock();
        let failed =
            |error| Error::storage("cannot restore the checkpoint", self.directory.join(CHECKPOINT), error);
        let Some(latest) = &state.latest else { return Ok(false) };
        self.directory.restore_directory(CHECKPOINTS).map_err(failed)?;
        if self.directory.stat(CHECKPOINT).map_err(failed)?.is_some_and(|found| found.is_file()) {
            return Ok(false);
        }
        self.publish(latest).map(|()| true)
    }

    /// Signs the boundary with the key so far and the next one, which signs from here on.
    pub(crate) fn hand_over(&self, frontier: &CompactRange, next: Arc<dyn Signer>) -> Result<()> {
        let mut state = self.lock();
        let key = VerifierKey::new(state.key.name(), &next.public_key())?;
        let made = self.make(frontier, key.name(), &[&*state.signer, &*next], Occasion::Handover)?;
        *state = State { key, signer: next, latest: Some(made) };
        Ok(())
    }

    fn make(
        &self,
        frontier: &CompactRange,
        log_name: &str,
        signers: &[&dyn Signer],
        occasion: Occasion,
    ) -> Result<SignedCheckpoint> {
        let root =
            frontier.root().ok_or_else(|| Error::corrupt("the tree does not begin with the first line"))?;
        let made = SignedCheckpoint::sign(log_name, frontier.end(), &root, signers)?;
        self.keep(&made, occasion)?;
        self.publish(&made)?;
        self.counters.checkpoints.add(1);
        Ok(made)
    }

    /// One file for each would be millions in a year; those in between travel in the trail itself.
    fn keep(&self, checkpoint: &SignedCheckpoint, occasion: Occasion) -> Result<()> {
        let name = format!("{CHECKPOINTS}/{}", checkpoint.size());
        let note = checkpoint.as_str().as_bytes();
        match occasion {
            Occasion::Cadence => Ok(()),
            Occasion::Boundary => self.storage.put(&self.directory, &name, note),
            Occasion::Handover => self.storage.replace(&self.directory, &name, note),
        }
        .map_err(|error| Error::storage("cannot keep the checkpoint", self.directory.join(name), error))
    }

    fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<()> {
        self.storage.replace(&self.directory, CHECKPOINT, checkpoint.as_str().as_bytes()).map_err(|error| {
            Error::storage("cannot write the checkpoint", self.directory.join(CHECKPOINT), error)
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It panics nowhere between two consistent states.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The latest checkpoint on disk, no signature of it checked; none where there is no file.
pub(crate) fn read_latest(directory: &Dir) -> Result<Option<SignedCheckpoint>> {
    let path = directory.join(CHECKPOINT);
    match directory.read(CHECKPOINT) {
        Ok(bytes) => SignedCheckpoint::parse(&bytes).map(Some).map_err(|error| error.at(&path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::storage("cannot read the checkpoint", &path, error)),
    }
}
