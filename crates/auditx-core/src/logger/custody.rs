//! What is done to a trail rather than in it: another key, a line erased, segments retired, a beginning anew.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::open::Inheritance;
use super::{AuditLogger, Core, Handle, exit};
use crate::checkpoint::SignedCheckpoint;
use crate::checkpoint_signer::CHECKPOINT;
use crate::config::{Config, Retention};
use crate::control_record::{ControlRecord, PreviousTrail};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::follow::cursor::{remove_shipper, shipper_positions};
use crate::identity::{IDENTITY, TrailIdentity};
use crate::key::{KeySource, Signer, SigningKey, VerifierKey, stage_in_home};
use crate::lock;
use crate::maintenance::Retired;
use crate::recover::missing_from;
use crate::segment::{ACTIVE, AUDITX_DIR, sealed_segments};
use crate::storage::Disk;
use crate::tree::Hash;

/// How long the disk has to take what was accepted before.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// One key in the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyChange {
    /// The key that signed up to here.
    pub old: VerifierKey,
    /// The key that signs from here on: give it to whoever verifies.
    pub new: VerifierKey,
}

impl AuditLogger {
    /// The latest signed checkpoint: give it to somebody who cannot be reached from this machine, and nobody can take back
    /// what it speaks of. None before the first one, and for a process-wide logger that could not be opened.
    #[must_use]
    pub fn checkpoint(&self) -> Option<SignedCheckpoint> {
        self.core().ok()?.checkpoint_signer.latest()
    }

    /// The public key that checks this trail's checkpoints, for whoever is to verify it.
    ///
    /// # Errors
    /// The error of opening, for a process-wide logger that could not be opened.
    pub fn verifier_key(&self) -> Result<VerifierKey> {
        Ok(self.core()?.checkpoint_signer.key())
    }

    /// Replaces the signing key. The trail records both, and both sign the boundary, so that whoever pinned the old one can
    /// follow.
    ///
    /// With [`KeySource::Trail`] a new key is made, and the old one is destroyed. With any other source, configure that
    /// source before the next open.
    ///
    /// # Errors
    /// `is_invalid` where the key is the same or cannot be read, `is_signing` where either cannot sign, `is_storage` where
    /// the disk refused.
    pub fn rotate_key(&self, next: &KeySource) -> Result<KeyChange> {
        let core = self.settled()?;
        let old = core.checkpoint_signer.key();
        let staged = match next {
            KeySource::Trail => Some(stage_in_home(&core.directory, &SigningKey::generate())?),
            _ => None,
        };
        let signer: Arc<dyn Signer> = match &staged {
            Some(staged) => Arc::new(staged.key().clone()),
            None => next.signer(&core.directory)?,
        };
        let new = VerifierKey::new(old.name(), &signer.public_key())?;
        if new == old {
            return Err(Error::invalid("the next key is the one that signs already"));
        }
        let record = ControlRecord::Key { old: old.to_string(), new: new.to_string() };
        let seq = core.appender.rotate_key(&record, signer)?;
        if let Some(staged) = staged {
            staged.settle()?;
        }
        core.housekeeping.keep_control_record(seq)?;
        Ok(KeyChange { old, new })
    }

    /// Erases the text of one line for a reason that is recorded, and keeps its hash: every proof goes on checking.
    ///
    /// Prefer never to store what may have to be erased (see [`crate::Redaction`]). What hooks have copied elsewhere, and
    /// backups, are not within reach. Gives the hash that stands in the line's place.
    ///
    /// # Errors
    /// `is_invalid` where there is no such line, it is a record of the trail's own, or erased already; `is_storage` where
    /// the disk refused; call again then.
    pub fn erase(&self, seq: u64, reason: &str) -> Result<Hash> {
        self.settled()?.housekeeping.erase(seq, reason)
    }

    /// Removes sealed segments that `retention` does not keep, oldest first, down to the first that somebody who keeps a
    /// cursor in the trail has not read. Each leaves a signed `retired` record; what remains still proves.
    ///
    /// # Errors
    /// `is_corrupt` where the tree is not what was signed, `is_storage` where the disk refused.
    pub fn retire(&self, retention: Retention) -> Result<Retired> {
        self.settled()?.housekeeping.retire(retention)
    }

    /// Retention waits no longer for this destination, which may lack lines from then on: the trail records that before it is so.
    /// Gives the number of the first line that it may lack. Stop whoever ships there first.
    ///
    /// # Errors
    /// `is_invalid` where nobody ships there, `is_storage` where the disk refused.
    pub fn drop_shipping(&self, destination: &str) -> Result<u64> {
        let core = self.settled()?;
        let known = shipper_positions(&core.directory)?;
        let Some((_, next)) = known.iter().find(|(name, _)| name == destination) else {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            let known = if names.is_empty() { "nowhere".to_owned() } else { names.join(", ") };
            return Err(Error::invalid(format!(
                "nobody ships to {destination:?}; the trail is shipped to {known}"
            )));
        };
        let record = ControlRecord::ShippingDropped { destination: destination.to_owned(), next: *next };
        core.appender.push_signed(&record)?;
        remove_shipper(&core.directory, destination)?;
        Ok(*next)
    }

    /// What is done to a trail comes after everything that was accepted before.
    fn settled(&self) -> Result<&Arc<Core>> {
        let core = self.core()?;
        core.settle(SETTLE_LIMIT)?;
        Ok(core)
    }

    /// Begins a new trail in the place of one that cannot be opened because it is not what was signed. The old one is moved
    /// aside, whole, and the first record of the new one holds its last signed checkpoint. Returns where the old one is.
    ///
    /// Opening looks at names, lengths and ends of files. A trail that `auditx verify` calls broken although it can be
    /// opened is replaced with [`AuditLogger::replace_broken`].
    ///
    /// # Errors
    /// `is_invalid` if the trail can be opened.
    pub fn begin_anew(config: Config) -> Result<(Self, PathBuf)> {
        let why = match Self::open(config.clone()) {
            Ok(logger) => {
                drop(logger);
                return Err(Error::invalid(
                    "the trail agrees with its checkpoint and can be opened: there is nothing to recover",
                ));
            }
            // An altered note can look like one of another key.
            Err(error) if error.is_corrupt() || error.is_signing() => error.to_string(),
            Err(error) => return Err(error),
        };
        Self::replace_broken(config, &why)
    }

    /// Begins a new trail in the place of one that is not what was signed, as [`AuditLogger::begin_anew`] does, without
    /// trying to open it. `why` says what is wrong with it; the first record of the new trail repeats it.
    ///
    /// # Errors
    /// `is_locked` if a process has the trail open, `is_storage` if the disk refuses.
    pub fn replace_broken(config: Config, why: &str) -> Result<(Self, PathBuf)> {
        let path = config.trail_dir();
        let trail = config.hold_dir()?;
        let lock = lock::lock(&trail, &config.instance)?;
        let (trail_id, entries) = match TrailIdentity::read(&trail) {
            // Evidence is not added to: what was accepted for the old trail becomes lines of the new one.
            Ok(identity) => (identity.trail_id.clone(), missing_from(&trail, identity.id())?.1),
            Err(_) => ("unknown".to_owned(), Vec::new()),
        };
        let moved_to = set_aside(&trail, &trail_id)?;
        drop(lock);
        let note = trail.read(Path::new(&moved_to).join(CHECKPOINT)).unwrap_or_default();
        let previous = PreviousTrail {
            trail_id,
            note: String::from_utf8_lossy(&note).into_owned(),
            moved_to: moved_to.clone(),
            why: why.to_owned(),
        };
        let core =
            Arc::new(Core::open(&config, Arc::new(Disk), Some(Inheritance { trail: previous, entries }))?);
        exit::close_at_exit(&core);
        Ok((Self(Arc::new(Handle::Open(core))), path.join(moved_to)))
    }
}

/// Moves a trail into a directory of its own below its place, where it can be examined as any other, and returns that
/// directory's name. Killed on the way, it goes on where it was: the checkpoint moves last, and without it nothing can be
/// opened.
fn set_aside(trail: &Dir, trail_id: &str) -> Result<String> {
    let target = format!("audit.set-aside-{trail_id}");
    let target_own = format!("{target}/{AUDITX_DIR}");
    trail.create_directory(&target).and_then(|()| trail.create_directory(&target_own)).map_err(|error| {
        Error::storage("cannot create a directory for the old trail", trail.join(&target), error)
    })?;
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
    for directory in [&*target_own, &*target, AUDITX_DIR, ""] {
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
