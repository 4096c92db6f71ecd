//! Finds the largest checkpoint in `.auditx/cosigned` that a quorum of witnesses cosigned.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_tlog::{Policy, SignedCheckpoint};
use serde::Serialize;

use super::VerifyOptions;
use super::parent::RecordedHead;
use super::verification::Verification;
use crate::checkpoint::{cosigned_checkpoints, latest_checkpoint};
use crate::error::Result;

/// A checkpoint that a quorum of witnesses saw as the newest of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Witnessed {
    /// The number of lines that it names.
    pub size: u64,
    /// The latest time at which a quorum had seen it, in seconds since 1970. With a parent trail, the time at
    /// which that recorded it.
    pub at: u64,
    /// The name of the parent trail that recorded it, if witnesses cosigned that one instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// A checkpoint of the trail with the cosignatures of a quorum, or that a parent trail with such
/// cosignatures recorded.
#[derive(Debug)]
pub(super) struct Cosigned {
    pub(super) checkpoint: SignedCheckpoint,
    pub(super) witnessed: Witnessed,
    /// The tree heads that the parent trail recorded.
    pub(super) recorded: Vec<RecordedHead>,
}

/// Returns the checkpoint that vouches for the trail; `None` if the auditor requires none.
///
/// # Errors
/// Why there is no such checkpoint. As the outer error, if the checkpoints or the parent trail cannot be read.
pub(super) fn find(directory: &Path, options: &VerifyOptions) -> Result<Result<Option<Cosigned>, String>> {
    if let Some(parent) = &options.parent {
        let Ok(latest) = latest_checkpoint(directory) else {
            return Ok(Err("the trail has no checkpoint".to_owned()));
        };
        return Ok(parent.records_of(latest.origin())?.map(Some));
    }
    options.policy.as_ref().map_or(Ok(Ok(None)), |policy| cosigned(directory, policy))
}

/// Returns the largest checkpoint that the witnesses of the policy cosigned; `None` if it requires no
/// cosignature. Whether the log signed it is left to verification, which knows the keys that replaced each other.
///
/// # Errors
/// Why there is no such checkpoint. `is_storage`, as the outer error, if they cannot be listed.
fn cosigned(directory: &Path, policy: &Policy) -> Result<Result<Option<Cosigned>, String>> {
    if policy.needs_no_witness() {
        return Ok(Ok(None));
    }
    let latest = latest_checkpoint(directory).ok();
    let mut why = None;
    for checkpoint in cosigned_checkpoints(directory)? {
        let size = checkpoint.size();
        if latest.as_ref().is_some_and(|latest| latest.origin() != checkpoint.origin()) {
            why.get_or_insert_with(|| format!("the checkpoint of {size} lines belongs to another log"));
            continue;
        }
        match policy.witnessed_at(&checkpoint, now()) {
            Ok(None) => return Ok(Ok(None)),
            Ok(Some(at)) => {
                let witnessed = Witnessed { size, at, parent: None };
                return Ok(Ok(Some(Cosigned { checkpoint, witnessed, recorded: Vec::new() })));
            }
            Err(missing) => {
                why.get_or_insert_with(|| format!("the checkpoint of {size} lines: {missing}"));
            }
        }
    }
    Ok(Err(why.unwrap_or_else(|| "no checkpoint of the trail was cosigned".to_owned())))
}

/// What the witnesses leave open.
pub(super) struct Open {
    /// They saw the trail longer ago than the auditor allows.
    pub(super) is_stale: bool,
    /// They did not see the last signed lines.
    pub(super) is_tail_unseen: bool,
}

/// Returns what the witnesses leave open. `max_age` is what the auditor allows.
pub(super) fn open(verification: &Verification, max_age: Option<Duration>) -> Open {
    let witnessed = verification.witnessed.as_ref();
    let oldest = max_age.map(|age| now().saturating_sub(age.as_secs()));
    Open {
        is_stale: oldest.is_some_and(|oldest| witnessed.is_none_or(|witnessed| witnessed.at < oldest)),
        is_tail_unseen: witnessed.is_some_and(|witnessed| verification.signed > Some(witnessed.size)),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
