//! The latest checkpoint of a trail, read from beside its lines. No signature of it is checked here.

use std::path::Path;

use auditx_core::{OWN_DIR, SignedCheckpoint, VerifierKey, checkpoint_path, control_lines};

use crate::error::{Error, Result};
use crate::file;
use crate::inspect::Identity;
use crate::keys::recorded_keys;
use crate::verify::record::{self, Record};

/// The latest signed checkpoint of the trail in `directory`, as it stands there: whether to believe it is for whoever has
/// the key ([`SignedCheckpoint::verify`]).
///
/// # Errors
/// `is_missing` where there is no such directory or no checkpoint in it, `is_corrupt` where it is no checkpoint,
/// `is_refused` or `is_storage` where it cannot be read.
pub fn latest_checkpoint(directory: &Path) -> Result<SignedCheckpoint> {
    let path = checkpoint_path(directory);
    let Some(note) = file::read_small(&path)? else {
        let message = if directory.exists() {
            "there is no checkpoint of a trail: nothing was signed here"
        } else {
            "there is no such directory"
        };
        return Err(Error::missing(message, directory));
    };
    SignedCheckpoint::parse(&note).map_err(|error| Error::corrupt(error.to_string(), &path))
}

/// Refuses a checkpoint that no key signed which the trail names. A trail that names none, since the records that did were
/// retired, cannot refuse any.
///
/// Costs reading `.auditx/control.jsonl`; if no key in it signed, reading every line once.
///
/// # Errors
/// `is_corrupt` if it is not signed, and as [`recorded_keys`].
pub(crate) fn must_be_signed(directory: &Path, checkpoint: &SignedCheckpoint) -> Result<()> {
    let is_signed_by = |key: &VerifierKey| checkpoint.verify(std::slice::from_ref(key)).is_ok();
    let copies = control_lines(directory).ok().flatten().unwrap_or_default();
    let named = copies.iter().filter_map(|line| match record::read(line, &[]) {
        Some(Record::Genesis { key, .. }) => key,
        Some(Record::Key { new, .. }) => Some(new),
        _ => None,
    });
    if named.into_iter().any(|key| is_signed_by(&key)) {
        return Ok(());
    }
    let recorded = recorded_keys(directory)?;
    if recorded.is_empty() || recorded.iter().any(|recorded| is_signed_by(&recorded.key)) {
        return Ok(());
    }
    let message = "no key that the trail names signed the checkpoint: run `auditx verify`";
    Err(Error::corrupt(message, &checkpoint_path(directory)))
}

/// The name of the log by `.auditx/trail.json`; `None` if that cannot be read.
pub(crate) fn log_name(directory: &Path) -> Option<String> {
    let bytes = file::read_small(&directory.join(OWN_DIR).join("trail.json")).ok()??;
    let identity: Identity = serde_json::from_slice(&bytes).ok()?;
    Some(format!("{}/auditx/{}", identity.origin, identity.trail_id))
}
