//! Finds the largest checkpoint of the trail that a quorum of witnesses cosigned.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_tlog::{Policy, SignedCheckpoint};
use serde::Serialize;

use super::VerifyOptions;
use super::parent::RecordedHead;
use super::verification::Verification;
use crate::checkpoint::{Unusable, cosigned_sizes, latest_checkpoint, read_cosigned};

/// A checkpoint that a quorum of witnesses cosigned as the newest of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Witnessed {
    /// The number of lines that it names.
    pub size: u64,
    /// The latest time at which a quorum had cosigned it, in seconds since 1970. With a parent trail: when
    /// that recorded it or, if earlier, when a quorum had cosigned the parent trail.
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

/// What was found.
#[derive(Debug)]
pub(super) struct Sought {
    /// The largest checkpoint that a quorum cosigned; `None` if no cosignature is required. Or why no
    /// checkpoint counts.
    pub(super) outcome: Result<Option<Cosigned>, String>,
    /// The sizes in the names of files that are not what these say, among those that were read.
    pub(super) unusable: Vec<u64>,
}

/// Finds the checkpoint that witnesses cosigned or, with a parent trail, the last one that it recorded.
///
/// # Errors
/// If the checkpoints or the parent trail cannot be read.
pub(super) fn find(directory: &Path, options: &VerifyOptions) -> crate::error::Result<Sought> {
    let Some(parent) = &options.parent else { return cosigned(directory, options) };
    let outcome = match latest_checkpoint(directory) {
        Ok(latest) => parent.records_of(latest.origin())?.map(Some),
        Err(error) => Err(format!("the latest checkpoint of the trail cannot be read: {error}")),
    };
    Ok(Sought { outcome, unusable: Vec::new() })
}

/// Finds the largest checkpoint that the witnesses of the policy cosigned: in `.auditx/cosigned`, the latest
/// one, and among those that the auditor has. Whether the log signed it is left to verification, which knows
/// the keys that replaced each other. Files are read until one is found.
///
/// # Errors
/// `is_storage` if the files cannot be listed.
fn cosigned(directory: &Path, options: &VerifyOptions) -> crate::error::Result<Sought> {
    let mut sought = Sought { outcome: Ok(None), unusable: Vec::new() };
    let Some(policy) = options.policy.as_ref().filter(|policy| !policy.needs_no_witness()) else {
        return Ok(sought);
    };
    let latest = latest_checkpoint(directory).ok();
    // The latest checkpoint of a copy has the cosignatures with which it was shipped.
    let known = options.known.iter().chain(&latest);
    let known: Vec<_> = known.filter(|known| known.cosignature_count() > 0).collect();
    let sizes = known.iter().map(|known| known.size()).chain(cosigned_sizes(directory)?);
    let mut why = None;
    for size in sizes.collect::<BTreeSet<u64>>().into_iter().rev() {
        let file = read_cosigned(directory, size).unwrap_or_else(|Unusable| {
            sought.unusable.push(size);
            why.get_or_insert_with(|| unusable(size));
            None
        });
        let known = known.iter().copied().filter(|known| known.size() == size);
        let mut best: Option<Cosigned> = None;
        for checkpoint in merged(known.cloned().chain(file).collect()) {
            match examine(&checkpoint, policy, latest.as_ref()) {
                Ok(at) if best.as_ref().is_none_or(|best| best.witnessed.at < at) => {
                    let witnessed = Witnessed { size, at, parent: None };
                    best = Some(Cosigned { checkpoint, witnessed, recorded: Vec::new() });
                }
                Ok(_) => {}
                Err(missing) => drop(why.get_or_insert(missing)),
            }
        }
        if best.is_some() {
            sought.outcome = Ok(best);
            return Ok(sought);
        }
    }
    sought.outcome = Err(why.unwrap_or_else(|| "no checkpoint of the trail was cosigned".to_owned()));
    Ok(sought)
}

/// Returns the message about a file that is not what its name says.
pub(super) fn unusable(size: u64) -> String {
    format!(".auditx/cosigned/{size} cannot be read as a checkpoint")
}

/// Returns the copies, each with the cosignatures of those that are of the same checkpoint.
fn merged(copies: Vec<SignedCheckpoint>) -> Vec<SignedCheckpoint> {
    let with_others = |copy: &SignedCheckpoint| {
        copies.iter().fold(copy.clone(), |merged, other| merged.merged(other).unwrap_or(merged))
    };
    copies.iter().map(with_others).collect()
}

/// Returns when a quorum had cosigned the checkpoint, in seconds since 1970, or why it does not count.
fn examine(
    checkpoint: &SignedCheckpoint,
    policy: &Policy,
    latest: Option<&SignedCheckpoint>,
) -> Result<u64, String> {
    let size = checkpoint.size();
    if latest.is_some_and(|latest| latest.origin() != checkpoint.origin()) {
        return Err(format!("the checkpoint of {size} lines belongs to another log"));
    }
    let at = policy.witnessed_at(checkpoint, now());
    at.map(Option::unwrap_or_default).map_err(|missing| format!("the checkpoint of {size} lines: {missing}"))
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
