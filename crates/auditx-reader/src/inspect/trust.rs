//! What verifying the trail says, and whether the files that are derived from its lines agree with them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use auditx_core::{
    AUDITX_DIR, Leaf, Moment, SealedSegment, SegmentIndex, SigningKey, VerifierKey, sealed_segments,
};

use crate::file;
use crate::find::find_line;
use crate::head::Head;
use crate::listing::{Listing, active_path};
use crate::verify::{Fault, FaultKind, RemarkKind, Verification};

use super::TornTail;
use super::finding::{Finding, FindingKind, Findings};
use super::follower::FollowerState;

/// How the cursor of a destination is named.
const SHIPPER_PREFIX: &str = "ship-";

/// A destination that lacks an older line than this needs somebody; `auditx ship status` has the same limit.
const LONGEST_LAG: Duration = Duration::from_secs(300);

/// What verifying came to.
pub(super) fn check_verification(directory: &Path, verification: &Verification, findings: &mut Findings) {
    // A checkpoint or a segment that cannot be read is a finding already.
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
                "do not read it: `auditx query --source security` reads the trail itself. Find out who changed it",
                false,
            ),
            RemarkKind::ShortProjection => (
                FindingKind::Projection,
                "security.jsonl",
                "nothing, if it was archived: `auditx query --source security` reads the trail itself",
                true,
            ),
            RemarkKind::WrongTiles => (
                FindingKind::Cache,
                ".auditx/tiles",
                "remove the directory while no process has the trail open: the next one makes it again",
                remark.seq.is_none(),
            ),
            RemarkKind::UnusableHistory => {
                (FindingKind::Checkpoint, ".auditx/checkpoints", "find out who put it there", false)
            }
            RemarkKind::StaleCheckpoint => {
                (FindingKind::Checkpoint, ".auditx/checkpoint", "find out who replaced it", false)
            }
            // Found by the inspection itself.
            _ => continue,
        };
        for example in &remark.examples {
            let finding = Finding::new(kind, example.message.clone(), &directory.join(name), advice);
            findings.add(if is_note { finding.for_information() } else { finding });
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

/// Segments whose names claim lines that the active one holds.
pub(super) fn check_strays(directory: &Path, listing: &Listing, findings: &mut Findings) {
    let Ok(all) = sealed_segments(directory) else { return };
    let last = listing.sealed.back().map(|sealed| sealed.first_seq);
    let first_active = listing.active.as_ref().and_then(|active| active.as_ref().ok()?.first_seq());
    for stray in all.iter().filter(|sealed| last.is_none_or(|last| sealed.first_seq > last)) {
        if first_active.is_none_or(|active| stray.first_seq < active) {
            continue;
        }
        let what = "its name claims lines that the active segment holds: it does not belong to the trail";
        let advice = "find out who put it there, and move it away; no process opens the trail beside it";
        findings.add(Finding::new(FindingKind::StraySegment, what, &stray.path, advice));
    }
}

/// Skip indexes that no reader may use. Their segments are read whole.
pub(super) fn check_indexes(directory: &Path, sealed: &[SealedSegment], findings: &mut Findings) {
    let head = Head::of(directory);
    if head.ledger.is_none() {
        return;
    }
    let is_signed = |record: Leaf| head.signed.is_some_and(|signed| record.seq < signed);
    for segment in sealed {
        let path = directory.join(AUDITX_DIR).join("index").join(format!("{:020}.idx", segment.first_seq));
        let why = match SegmentIndex::read(directory, segment) {
            Ok(None) => continue,
            Ok(Some(index)) => match file::open(&segment.path) {
                // The line that names it may not be signed yet.
                Ok(Some(_)) if !head.believes(&index) && index.record().is_none_or(is_signed) => {
                    "the trail does not name this index: another program changed it".to_owned()
                }
                // If the segment is not the one it was, that is a finding of its own.
                _ => continue,
            },
            Err(error) => error.to_string(),
        };
        let advice =
            "nothing: readers do not use it, and the next process that opens the trail makes it again";
        findings.add(Finding::new(FindingKind::Index, why, &path, advice));
    }
}

/// A private key beside the trail that is not the one that signs it.
pub(super) fn check_key(directory: &Path, verification: &Verification, findings: &mut Findings) {
    let path = directory.join(AUDITX_DIR).join("keys").join("signing.pem");
    let Some(log_name) = verification.origin.as_ref().filter(|_| !verification.keys.is_empty()) else {
        return;
    };
    // It is its owner's only; another user learns nothing about it.
    let Ok(text) = fs::read_to_string(&path) else { return };
    let key = SigningKey::from_pem(&text)
        .and_then(|key| VerifierKey::new(log_name, &auditx_core::Signer::public_key(&key)));
    let what = match key {
        Ok(key) if verification.keys.iter().any(|signed| signed.key == key.to_string()) => return,
        Ok(key) => format!("is not the key that signs the trail; its public key is {key}"),
        Err(error) => format!("cannot be read as a key: {error}"),
    };
    let advice =
        "restore the trail's own key, or give the process the key that signs with AUDITX_SIGNING_KEY";
    findings.add(Finding::new(FindingKind::Key, what, &path, advice));
}

/// Destinations that lack lines which were signed some time ago.
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
        let advice = "see `auditx ship status`: the shipper is not running, or the destination refuses";
        let path = directory.join(AUDITX_DIR).join("cursors").join(&follower.name);
        findings.add(Finding::new(FindingKind::Destination, what, &path, advice));
    }
}

/// What follows the last newline, where a process is not about to write the rest: unless lines that were signed are gone.
pub(super) fn check_tail(
    directory: &Path,
    TornTail { offset, bytes }: TornTail,
    is_missing_signed: bool,
    findings: &mut Findings,
) {
    let (what, advice) = if is_missing_signed {
        (
            format!("{bytes} bytes that are not a line, where signed lines must be"),
            "copy the directory as evidence; nothing writes to such a trail",
        )
    } else {
        (
            format!("{bytes} bytes of an unfinished line, and nobody is writing it"),
            "nothing: the next process that opens the trail keeps it aside. Its entry was never accepted",
        )
    };
    let finding = Finding::new(FindingKind::TornTail, what, &active_path(directory), advice);
    findings.add(finding.at_byte(offset));
}
