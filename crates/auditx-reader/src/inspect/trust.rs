//! Adds the result of verification, and checks the files derived from the lines.

use std::path::Path;
use std::time::Duration;

use auditx_format::moment::Moment;
use auditx_store::{AUDITX_DIR, SealedSegment, SegmentIndex, sealed_segments};
use auditx_tlog::Leaf;

use crate::file;
use crate::find::find_line;
use crate::head::Head;
use crate::keys::{KEY, key_in_directory};
use crate::listing::{Listing, active_path};
use crate::verify::{Fault, FaultKind, RemarkKind, Verification};

use super::TornTail;
use super::finding::{Finding, FindingKind, Findings};
use super::follower::FollowerState;

/// The prefix of a destination's cursor.
const SHIPPER_PREFIX: &str = "ship-";

/// A destination that lacks a line older than this needs attention; `auditx ship status` has the same limit.
const LONGEST_LAG: Duration = Duration::from_secs(300);

/// Adds the fault and the remarks of verification.
pub(super) fn check_verification(directory: &Path, verification: &Verification, findings: &mut Findings) {
    // An unreadable checkpoint or segment is already a finding.
    let is_found = |fault: &&Fault| {
        use FaultKind::{Damaged, MalformedCheckpoint, NotAFile, Unsigned};
        matches!(fault.kind, Unsigned | MalformedCheckpoint | Damaged | NotAFile)
    };
    if let Some(fault) = verification.fault.as_ref().filter(|fault| !is_found(fault)) {
        findings.add(of_fault(directory, fault));
    }
    for remark in &verification.remarks {
        let (kind, name, advice, is_note) = match remark.kind {
            RemarkKind::WrongProjection => (
                FindingKind::Projection,
                "security.jsonl",
                "find out what changed it; `auditx query --source security` reads the trail itself",
                false,
            ),
            RemarkKind::ShortProjection => (
                FindingKind::Projection,
                "security.jsonl",
                "nothing if it was archived: `auditx query --source security` reads the trail itself",
                true,
            ),
            RemarkKind::WrongTiles => (
                FindingKind::Cache,
                ".auditx/tiles",
                "remove the directory while no process has the trail open: the next process recreates it",
                remark.seq.is_none(),
            ),
            RemarkKind::UnusableHistory => {
                (FindingKind::Checkpoint, ".auditx/checkpoints", "find out what created it", false)
            }
            RemarkKind::StaleCheckpoint => {
                (FindingKind::Checkpoint, ".auditx/checkpoint", "find out what replaced it", false)
            }
            // The inspection itself finds these.
            _ => continue,
        };
        for example in &remark.examples {
            let finding = Finding::new(kind, example.message.clone(), &directory.join(name), advice);
            findings.add(if is_note { finding.informational() } else { finding });
        }
    }
}

fn of_fault(directory: &Path, fault: &Fault) -> Finding {
    let path = match &fault.segment {
        Some(segment) => directory.join(segment),
        None => directory.to_path_buf(),
    };
    let advice = "copy the directory as evidence, then run `auditx verify`; nothing writes to such a trail";
    let mut finding = Finding::new(FindingKind::NotAsSigned, fault.message.clone(), &path, advice);
    (finding.offset, finding.seq) = (fault.offset, fault.seq);
    finding
}

/// Adds findings for segments whose names claim lines that the active segment holds.
pub(super) fn check_strays(directory: &Path, listing: &Listing, findings: &mut Findings) {
    let Ok(all) = sealed_segments(directory) else { return };
    let last = listing.sealed.back().map(|sealed| sealed.first_seq);
    let first_active = listing.active.as_ref().and_then(|active| active.as_ref().ok()?.first_seq());
    for stray in all.iter().filter(|sealed| last.is_none_or(|last| sealed.first_seq > last)) {
        if first_active.is_none_or(|active| stray.first_seq < active) {
            continue;
        }
        let what = "its name claims lines that the active segment holds: it does not belong to the trail";
        let advice = "find out what created it, and move it away; no process opens the trail while it exists";
        findings.add(Finding::new(FindingKind::StraySegment, what, &stray.path, advice));
    }
}

/// Adds findings for skip indexes that readers do not use. Their segments are read in full.
pub(super) fn check_indexes(directory: &Path, sealed: &[SealedSegment], findings: &mut Findings) {
    let head = Head::of(directory);
    if head.signed_leaves.is_none() {
        return;
    }
    let is_signed = |record: Leaf| head.signed().is_some_and(|signed| record.seq < signed);
    for segment in sealed {
        let path = directory.join(AUDITX_DIR).join("index").join(format!("{:020}.idx", segment.first_seq));
        let why = match SegmentIndex::read(directory, segment) {
            Ok(None) => continue,
            Ok(Some(index)) => match file::open(&segment.path) {
                // The line that names the index may not be signed yet.
                Ok(Some(_)) if !head.trusts(&index) && index.record().is_none_or(is_signed) => {
                    "the trail does not name this index: another program changed it".to_owned()
                }
                // A changed segment is a finding of its own.
                _ => continue,
            },
            Err(error) => error.to_string(),
        };
        let advice = "nothing: readers do not use it, and the next process that opens the trail rebuilds it";
        findings.add(Finding::new(FindingKind::Index, why, &path, advice));
    }
}

/// Adds a finding for a private key in the trail that does not sign it.
pub(super) fn check_key(directory: &Path, verification: &Verification, findings: &mut Findings) {
    let path = directory.join(AUDITX_DIR).join(KEY);
    let Some(log_name) = verification.origin.as_ref().filter(|_| !verification.keys.is_empty()) else {
        return;
    };
    // Only its owner can read it; for other users this check is skipped.
    let what = match key_in_directory(directory, log_name) {
        // A file that cannot be read, or is not one, has a finding already.
        Ok(None) => return,
        Ok(Some(key)) if verification.keys.iter().any(|signed| signed.key == key.to_string()) => return,
        Ok(Some(key)) => format!("is not the key that signs the trail; its public key is {key}"),
        Err(error) => format!("cannot be read as a key: {error}"),
    };
    let advice = "restore the trail's own key, or set AUDITX_SIGNING_KEY to the key that signs";
    findings.add(Finding::new(FindingKind::Key, what, &path, advice));
}

/// Adds findings for destinations that lack lines recorded some time ago.
pub(super) fn check_destinations(
    directory: &Path,
    followers: &[FollowerState],
    signed: u64,
    findings: &mut Findings,
) {
    for follower in followers.iter().filter(|follower| follower.name.starts_with(SHIPPER_PREFIX)) {
        let next = follower.next_seq.unwrap_or(0);
        let Some(line) = (next < signed).then(|| find_line(directory, next).ok().flatten()).flatten() else {
            continue;
        };
        let Some(since) = line.parse().ok().and_then(|entry| Moment::parse(&entry.timestamp)) else {
            continue;
        };
        if since >= Moment::now().before(LONGEST_LAG) {
            continue;
        }
        let name = follower.name.trim_start_matches(SHIPPER_PREFIX);
        let count = signed - next;
        let what = format!("the destination {name} lacks {count} lines, the oldest recorded at {since}");
        let advice = "run `auditx ship status`: the shipper is not running, or the destination rejects lines";
        let path = directory.join(AUDITX_DIR).join("cursors").join(&follower.name);
        findings.add(Finding::new(FindingKind::Destination, what, &path, advice));
    }
}

/// Adds a finding for text after the last newline while no process writes the trail. It is a fault if signed
/// lines are missing.
pub(super) fn check_tail(
    directory: &Path,
    TornTail { offset, bytes }: TornTail,
    is_missing_signed: bool,
    findings: &mut Findings,
) {
    let (what, advice) = if is_missing_signed {
        (
            format!("{bytes} bytes that are not a line, where signed lines are missing"),
            "copy the directory as evidence; nothing writes to such a trail",
        )
    } else {
        (
            format!("{bytes} bytes of an unfinished line that no process is writing"),
            "nothing: the next process that opens the trail sets it aside; its entry was never accepted",
        )
    };
    let finding = Finding::new(FindingKind::TornTail, what, &active_path(directory), advice);
    findings.add(finding.at_byte(offset));
}
