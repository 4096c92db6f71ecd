//! Checks the identity of a trail, `.auditx/trail.json`, and the first record, which must match it.

use std::path::Path;

use auditx_format::control_record::FORMAT_VERSION;
use auditx_store::{AUDITX_DIR, LINES_BEFORE_FIRST_CHECKPOINT, checkpoint_path};
use serde_json::{Map, Value};

use crate::checkpoint::latest_checkpoint;
use crate::file;
use crate::identity::{FORMAT_WITHOUT_TREE, Identity};
use crate::listing::Listing;

use super::finding::{Finding, FindingKind, Findings};

pub(super) fn read(directory: &Path, listing: &Listing, findings: &mut Findings) -> Option<Identity> {
    let path = directory.join(AUDITX_DIR).join("trail.json");
    let why = match file::read_small(&path) {
        // Segments without an identity hold legacy lines, or `.auditx` was lost; the walk tells which.
        Ok(None) => return None,
        Err(error) => {
            findings.unreadable(&error, &path);
            return None;
        }
        Ok(Some(bytes)) => match serde_json::from_slice::<Identity>(&bytes) {
            Ok(identity) => {
                check_format(&identity, &path, findings);
                return Some(identity);
            }
            Err(error) => error.to_string(),
        },
    };
    let advice = if listing.is_empty() {
        "remove it; the next process that opens the directory creates a new trail"
    } else {
        "restore it from a backup: no process can open the trail without it"
    };
    findings.add(Finding::new(FindingKind::Identity, format!("cannot be read: {why}"), &path, advice));
    None
}

fn check_format(identity: &Identity, path: &Path, findings: &mut Findings) {
    if (FORMAT_WITHOUT_TREE..=FORMAT_VERSION).contains(&identity.format) {
        return;
    }
    let what = format!(
        "the trail has format {}, but this version reads formats {FORMAT_WITHOUT_TREE} to {FORMAT_VERSION}",
        identity.format
    );
    let advice = "use the version of auditx that wrote it";
    findings.add(Finding::new(FindingKind::Identity, what, path, advice));
}

/// Returns how many lines the latest checkpoint names, and adds a finding if a checkpoint is due and missing
/// or cannot be read. Its signature is checked by verification.
pub(super) fn read_signed(
    directory: &Path,
    (identity, last_seq): (Option<&Identity>, Option<u64>),
    is_quiet: bool,
    findings: &mut Findings,
) -> Option<u64> {
    let has_tree = identity.is_some_and(|identity| identity.format > FORMAT_WITHOUT_TREE);
    let is_due = has_tree && last_seq >= Some(LINES_BEFORE_FIRST_CHECKPOINT);
    let why = match latest_checkpoint(directory) {
        Ok(checkpoint) => return Some(checkpoint.size()),
        // The first checkpoint may not have been written yet.
        Err(error) if error.is_missing() && (!is_due || !is_quiet) => return None,
        Err(error) if error.is_missing() => "is missing".to_owned(),
        Err(error) => error.why(),
    };
    let advice =
        "restore it from a backup: no process can open the trail without it; then run `auditx verify`";
    findings.add(Finding::new(FindingKind::Checkpoint, why, &checkpoint_path(directory), advice));
    None
}

/// Checks whether the first record names the same trail.
pub(super) fn check_genesis(
    identity: Option<&Identity>,
    genesis: &Map<String, Value>,
    segment: &Path,
    findings: &mut Findings,
) {
    let recorded = genesis.get("trail_id").and_then(Value::as_str).unwrap_or_default();
    if let Some(identity) = identity
        && identity.trail_id != recorded
    {
        let what = format!(
            "the first record names trail {recorded}, but {AUDITX_DIR}/trail.json names trail {}",
            identity.trail_id
        );
        let advice = "find out which of the two came from another trail";
        findings.add(Finding::new(FindingKind::Identity, what, segment, advice));
    }
}

/// Adds a finding if there are numbered lines without an identity: the `.auditx` directory is missing.
pub(super) fn check_presence(
    identity: Option<&Identity>,
    has_numbered: bool,
    directory: &Path,
    findings: &mut Findings,
) {
    let path = directory.join(AUDITX_DIR).join("trail.json");
    if identity.is_none() && has_numbered && !path.exists() {
        let what = "is missing, although auditx wrote the lines";
        let advice = "restore it from a backup: no process can open the trail without it";
        findings.add(Finding::new(FindingKind::Identity, what, &path, advice));
    }
}
