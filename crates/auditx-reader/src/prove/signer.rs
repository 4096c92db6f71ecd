//! The key that signed a checkpoint, if the trail names it.

use std::path::Path;

use auditx_format::control_record::StoredRecord;
use auditx_store::{Tiles, checkpoint_path};
use auditx_tlog::{SignedCheckpoint, VerifierKey};

use crate::error::{Error, Result};
use crate::keys::recorded_keys;
use crate::signed_leaves::SignedLeaves;

/// Fails if no key that the trail names signed the checkpoint. A trail that names none accepts any.
///
/// Costs and errors are those of [`recorded_signer`].
pub(super) fn ensure_signed(directory: &Path, checkpoint: &SignedCheckpoint) -> Result<()> {
    recorded_signer(directory, checkpoint).map(drop)
}

/// Returns the key that the trail names and that signed the checkpoint; `None` if the trail names no key,
/// because the records that did were retired.
///
/// Costs reading `.auditx/control.jsonl`; if no key in a line of it that is in the tree signed the
/// checkpoint, reading every line once.
///
/// # Errors
/// `is_corrupt` if the trail names keys and none of them signed it; otherwise as [`recorded_keys`].
pub fn recorded_signer(directory: &Path, checkpoint: &SignedCheckpoint) -> Result<Option<VerifierKey>> {
    let is_signed_by = |key: &VerifierKey| checkpoint.verify(std::slice::from_ref(key)).is_ok();
    let signed_leaves = SignedLeaves::open(Tiles::open(directory), checkpoint);
    let copies = signed_leaves.and_then(|leaves| leaves.control_records(directory)).unwrap_or_default();
    let copied: Vec<&VerifierKey> = copies.iter().flatten().filter_map(StoredRecord::signing_key).collect();
    if let Some(&key) = copied.iter().rfind(|key| is_signed_by(key)) {
        return Ok(Some(key.clone()));
    }
    let recorded = recorded_keys(directory)?;
    if copied.is_empty() && recorded.is_empty() {
        return Ok(None);
    }
    if let Some(recorded) = recorded.into_iter().rfind(|recorded| is_signed_by(&recorded.key)) {
        return Ok(Some(recorded.key));
    }
    let message = "the checkpoint is not signed with a key that the trail names: run `auditx verify`";
    Err(Error::corrupt(message, &checkpoint_path(directory)))
}
