//! Finds the largest checkpoint in `.auditx/cosigned` that a quorum of witnesses cosigned.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use auditx_tlog::{Policy, SignedCheckpoint};
use serde::Serialize;

use crate::checkpoint::{cosigned_checkpoints, latest_checkpoint};
use crate::error::Result;

/// A checkpoint that a quorum of witnesses saw as the newest of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Witnessed {
    /// The number of lines that it names.
    pub size: u64,
    /// The latest time at which a quorum had seen it, in seconds since 1970.
    pub at: u64,
}

/// What the witnesses say.
#[derive(Debug)]
pub(super) enum Finding {
    /// No cosignature is required.
    NotRequired,
    Found(SignedCheckpoint, Witnessed),
    /// No checkpoint was cosigned by a quorum, for this reason.
    Missing(String),
}

/// Whether the log signed it is left to verification, which knows the keys that replaced each other.
///
/// # Errors
/// `is_storage` if the checkpoints cannot be listed.
pub(super) fn find(directory: &Path, policy: &Policy) -> Result<Finding> {
    if policy.needs_no_witness() {
        return Ok(Finding::NotRequired);
    }
    let mut why = None;
    let latest = latest_checkpoint(directory).ok();
    for checkpoint in cosigned_checkpoints(directory)? {
        if latest.as_ref().is_some_and(|latest| latest.origin() != checkpoint.origin()) {
            let size = checkpoint.size();
            why.get_or_insert_with(|| format!("the checkpoint of {size} lines belongs to another log"));
            continue;
        }
        match policy.witnessed_at(&checkpoint, now()) {
            Ok(None) => return Ok(Finding::NotRequired),
            Ok(Some(at)) => {
                let witnessed = Witnessed { size: checkpoint.size(), at };
                return Ok(Finding::Found(checkpoint, witnessed));
            }
            Err(missing) => {
                let size = checkpoint.size();
                why.get_or_insert_with(|| format!("the checkpoint of {size} lines: {missing}"));
            }
        }
    }
    Ok(Finding::Missing(why.unwrap_or_else(|| "no checkpoint of the trail was cosigned".to_owned())))
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
