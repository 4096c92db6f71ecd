//! Administrative operations on a trail: key rotation, erasure, retirement, and replacement of a corrupt
//! trail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use auditx_format::control_record::{ControlRecord, PreviousTrail};
use auditx_format::{Error, Result};
use auditx_tlog::{Hash, SignedCheckpoint, Signer, SigningKey, VerifierKey};

use super::open::Predecessor;
use super::{Writer, Writing};
use crate::checkpoint_signer::{CHECKPOINT, read_latest};
use crate::config::{Config, Retention};
use crate::dir::Dir;
use crate::follow::cursor::{remove_shipper, shipper_positions};
use crate::identity::{IDENTITY, TrailIdentity};
use crate::key_source::{KeySource, stage_key};
use crate::lock::{self, lock_holder};
use crate::maintenance::Retired;
use crate::recover::missing_from;
use crate::ring::{Found, RingFile};
use crate::segment::{ACTIVE, AUDITX_DIR, sealed_segments};
use crate::storage::Disk;

/// The timeout for making the entries accepted before an operation durable.
const DURABLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The keys before and after a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyChange {
    /// The key that signed the trail until the rotation.
    pub old: VerifierKey,
    /// The key that signs from now on. Verifiers need it.
    pub new: VerifierKey,
}

impl Writer {
    /// Returns the latest signed checkpoint; `None` before the first one.
    #[must_use]
    pub fn checkpoint(&self) -> Option<SignedCheckpoint> {
        match self.shared.writing.get() {
            Some(writing) => writing.checkpoint_signer.latest(),
            None => read_latest(&self.shared.trail.directory).ok().flatten(),
        }
    }

    /// Returns the public key that verifies the checkpoints of this trail.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        self.shared
            .writing
            .get()
            .map_or_else(|| self.shared.key.clone(), |writing| writing.checkpoint_signer.key())
    }

    fn writing(&self) -> Result<&Writing> {
        self.shared.writing.get().ok_or_else(|| {
            let holder = lock_holder(&self.shared.trail.directory).ok().flatten();
            Error::locked(format!(
                "the trail is being written by {}; only that process can do this, or one that opens the trail \
                 with Config::exclusive while no other has it open",
                holder.as_deref().unwrap_or("another process")
            ))
            .at(self.trail_dir())
        })
    }

    /// Replaces the signing key. Both public keys are recorded in the trail, and both keys sign the
    /// checkpoint at the boundary. With [`KeySource::Trail`] a new key is generated and the old one is
    /// destroyed.
    ///
    /// # Errors
    /// - `is_invalid` if the new key is the current key or cannot be read.
    /// - `is_signing` if either key cannot sign.
    /// - `is_storage` if a file system operation fails.
    /// - `is_timed_out` if earlier entries are not durable within a minute.
    /// - `is_locked` if another process writes the trail.
    pub fn rotate_key(&self, next: &KeySource) -> Result<KeyChange> {
        let writing = self.writing()?;
        self.wait_durable(DURABLE_TIMEOUT)?;
        let old = writing.checkpoint_signer.key();
        let staged = match next {
            KeySource::Trail => Some(stage_key(&self.shared.trail.directory, &SigningKey::generate())?),
            _ => None,
        };
        let signer: Arc<dyn Signer> = match &staged {
            Some(staged) => Arc::new(staged.key().clone()),
            None => next.signer(&self.shared.trail.directory)?,
        };
        let new = VerifierKey::new(old.name(), &signer.public_key())?;
        if new == old {
            return Err(Error::invalid("the new key is already the signing key"));
        }
        let record = ControlRecord::Key { old: old.to_string(), new: new.to_string() };
        let seq = writing.appender.rotate_key(&record, signer)?;
        if let Some(staged) = staged {
            staged.install()?;
        }
        writing.housekeeping.keep_control_record(seq)?;
        Ok(KeyChange { old, new })
    }

    /// Erases the text of one line and records the reason. Returns the hash that replaces the line.
    ///
    /// # Errors
    /// - `is_invalid` if there is no such line, or it is a control record, or it is already erased.
    /// - `is_storage` if a file system operation fails. The call can then be repeated.
    /// - `is_timed_out` if earlier entries are not durable within a minute.
    /// - `is_locked` if another process writes the trail.
    pub fn erase(&self, seq: u64, reason: &str) -> Result<Hash> {
        let writing = self.writing()?;
        self.wait_durable(DURABLE_TIMEOUT)?;
        writing.housekeeping.erase(seq, reason)
    }

    /// Deletes the sealed segments that `retention` does not keep, oldest first. Stops at the first segment
    /// that a follower with a cursor in the trail has not read.
    ///
    /// # Errors
    /// `is_corrupt` if the tree is not what was signed; `is_storage` if a file system operation fails;
    /// `is_timed_out` if earlier entries are not durable within a minute.
    pub fn retire(&self, retention: Retention) -> Result<Retired> {
        let writing = self.writing()?;
        self.wait_durable(DURABLE_TIMEOUT)?;
        writing.housekeeping.retire(retention)
    }

    /// Removes a destination that the trail is shipped to. Returns the seq of the first line that it may
    /// lack.
    ///
    /// # Errors
    /// `is_invalid` if the trail is not shipped to this destination; `is_storage` if a file system operation
    /// fails; `is_timed_out` if earlier entries are not durable within a minute.
    pub fn drop_shipping(&self, destination: &str) -> Result<u64> {
        let writing = self.writing()?;
        self.wait_durable(DURABLE_TIMEOUT)?;
        let known = shipper_positions(&self.shared.trail.directory)?;
        let Some((_, next)) = known.iter().find(|(name, _)| name == destination) else {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            let known = if names.is_empty() { "it has none".to_owned() } else { names.join(", ") };
            return Err(Error::invalid(format!(
                "{destination:?} is not a destination of the trail; known destinations: {known}"
            )));
        };
        let record = ControlRecord::ShippingDropped { destination: destination.to_owned(), next: *next };
        writing.appender.push_signed(&record)?;
        remove_shipper(&self.shared.trail.directory, destination)?;
        Ok(*next)
    }

    /// Moves a trail aside as a whole and creates a new one. `why` says what is corrupt and is written to the
    /// first record of the new trail, which also holds the last signed checkpoint of the old one. Returns the
    /// new trail, and the directory to which the old one was moved.
    ///
    /// # Errors
    /// `is_locked` if a process has the trail open; `is_storage` if a file system operation fails.
    pub fn replace_broken(config: &Config, why: &str) -> Result<(Self, PathBuf)> {
        let path = config.trail_dir();
        let trail = config.hold_dir()?;
        let lock = lock::lock(&trail, &config.instance)?;
        let known = TrailIdentity::read_foreign(&trail).map(|identity| identity.id());
        let alone = match RingFile::find(&trail, known)? {
            Found::Alone(locks) => locks,
            Found::Shared => {
                return Err(Error::locked("other processes have the trail open; end them first").at(&path));
            }
        };
        let (trail_id, entries) = match TrailIdentity::read(&trail) {
            // The old trail is evidence and is not changed: its pending entries become lines of the new
            // trail.
            Ok(identity) => (identity.trail_id.clone(), missing_from(&trail, identity.id())?.1),
            Err(_) => ("unknown".to_owned(), Vec::new()),
        };
        let moved_to = set_aside(&trail, &trail_id)?;
        drop(alone);
        drop(lock);
        let note = trail.read(Path::new(&moved_to).join(CHECKPOINT)).unwrap_or_default();
        let previous = PreviousTrail {
            trail_id,
            note: String::from_utf8_lossy(&note).into_owned(),
            moved_to: moved_to.clone(),
            why: why.to_owned(),
        };
        let predecessor = Predecessor { trail: previous, entries };
        Ok((Self::begin(config, Arc::new(Disk), Some(predecessor))?, path.join(moved_to)))
    }
}

/// Moves a trail into a new subdirectory, where it can be examined like any other trail. Returns the name of
/// the subdirectory.
///
/// If the process is killed during the move, the next call continues it: the checkpoint is moved last, and
/// the rest cannot be opened as long as the checkpoint has not been moved.
fn set_aside(trail: &Dir, trail_id: &str) -> Result<String> {
    let target = format!("audit.set-aside-{trail_id}");
    let target_auditx = format!("{target}/{AUDITX_DIR}");
    trail.create_directory(&target).and_then(|()| trail.create_directory(&target_auditx)).map_err(
        |error| Error::storage("cannot create a directory for the old trail", trail.join(&target), error),
    )?;
    let mut names: Vec<String> = sealed_segments(trail)?.iter().map(|segment| segment.name()).collect();
    names.extend([ACTIVE, "security.jsonl"].map(str::to_owned));
    names.extend(
        ["ring", "cursors", "tiles", "index", "control.jsonl", "checkpoints", "checkpoint"]
            .map(|name| format!("{AUDITX_DIR}/{name}")),
    );
    ignore_absent(
        trail
            .read(IDENTITY)
            .and_then(|identity| trail.replace(format!("{target}/{IDENTITY}"), &identity, false)),
    )
    .map_err(|error| Error::storage("cannot copy the identity", trail.join(IDENTITY), error))?;
    for name in names {
        ignore_absent(trail.rename(&name, format!("{target}/{name}")))
            .map_err(|error| Error::storage("cannot move the old trail aside", trail.join(&name), error))?;
    }
    for directory in [&*target_auditx, &*target, AUDITX_DIR, ""] {
        trail
            .sync(directory)
            .map_err(|error| Error::storage("cannot sync the directory", trail.join(directory), error))?;
    }
    Ok(target)
}

fn ignore_absent(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
