//! Signs checkpoints and publishes them, each larger than the previous one.
//!
//! The caller passes frontiers of lines that are already durable. Each checkpoint is written to
//! `.auditx/checkpoint`; those at a boundary (seal, close, change of key) are also kept in
//! `.auditx/checkpoints`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auditx_format::{Error, Result};
use auditx_tlog::{CompactRange, SignedCheckpoint, Signer, VerifierKey};

use crate::dir::Dir;
use crate::metrics::Counters;
use crate::segment::AUDITX_DIR;
use crate::storage::Storage;

/// The file of the latest checkpoint, relative to the trail's directory.
pub(crate) const CHECKPOINT: &str = ".auditx/checkpoint";

/// The directory of boundary checkpoints, relative to the trail's directory.
pub(crate) const CHECKPOINTS: &str = ".auditx/checkpoints";

/// Returns the path of the latest checkpoint of the trail in this directory.
#[must_use]
pub fn checkpoint_path(trail: &Path) -> PathBuf {
    trail.join(AUDITX_DIR).join("checkpoint")
}

/// Returns the directory of the trail's boundary checkpoints, each named by its size.
#[must_use]
pub fn checkpoint_history(trail: &Path) -> PathBuf {
    trail.join(AUDITX_DIR).join("checkpoints")
}

/// Returns the directory of the checkpoints that witnesses cosigned, each named by its size.
#[must_use]
pub fn cosigned_history(trail: &Path) -> PathBuf {
    trail.join(AUDITX_DIR).join("cosigned")
}

/// Returns the directory of the trail's time stamps: `<size>.checkpoint`, what was stamped, and
/// `<size>.tsr`, the answer of the authority (RFC 3161).
#[must_use]
pub fn timestamp_history(trail: &Path) -> PathBuf {
    trail.join(AUDITX_DIR).join("timestamps")
}

/// The reason for a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The configured interval or number of entries was reached.
    Cadence,
    /// A segment or a session ends here. The checkpoint is kept, but need not survive a power loss.
    Boundary,
    /// A key is replaced here. Without this checkpoint, auditors who pinned the old key could not verify the
    /// new one.
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
    /// Continues from the latest checkpoint, which must have been signed with this key.
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

    /// Returns the public key that verifies its checkpoints.
    pub(crate) fn key(&self) -> VerifierKey {
        self.lock().key.clone()
    }

    /// Returns the number of lines that the latest checkpoint covers.
    pub(crate) fn size(&self) -> u64 {
        self.lock().latest.as_ref().map_or(0, SignedCheckpoint::size)
    }

    pub(crate) fn latest(&self) -> Option<SignedCheckpoint> {
        self.lock().latest.clone()
    }

    /// Signs the tree with this frontier, unless the latest checkpoint is at least as large.
    ///
    /// # Errors
    /// `is_signing` if the key fails; `is_storage` if the checkpoint cannot be written. Failures are counted
    /// in the metrics.
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

    /// Rewrites the latest checkpoint if another program removed or replaced it. Returns whether it did.
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

    /// Signs the boundary with the current key and the next one, which then becomes the current key.
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

    /// Keeps boundary checkpoints only. One file per checkpoint would be millions a year; the others are
    /// recorded in the trail.
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
        // The state is consistent wherever the code can panic, so a poisoned lock can be used.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the latest checkpoint on disk without verifying it; `None` if there is no file.
pub(crate) fn read_latest(directory: &Dir) -> Result<Option<SignedCheckpoint>> {
    let path = directory.join(CHECKPOINT);
    match directory.read(CHECKPOINT) {
        Ok(bytes) => SignedCheckpoint::parse(&bytes).map(Some).map_err(|error| Error::from(error).at(&path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::storage("cannot read the checkpoint", &path, error)),
    }
}
