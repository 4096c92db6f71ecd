//! The verdict: everything that a trail says held against what was signed, the first fault first.
//!
//! Comes in: a [`Case`]. Goes out: its fault, if there is one. Lines are only read again where they are not what was signed.

use auditx_core::SignedCheckpoint;

use super::Case;
use super::fault::{Fault, FaultKind};
use super::fold::{Claimed, Place};
use super::integrity;
use super::remark::RemarkKind;
use super::trust::Trust;
use super::verification::Verification;
use crate::error::{Error, Result};

/// `genesis` and `open`: all that a trail can hold before its first checkpoint.
const LINES_BEFORE_FIRST_CHECKPOINT: u64 = 2;

/// The first fault of the trail, and in `verification` what else is to be said.
///
/// # Errors
/// `is_invalid` where what the auditor gave cannot be used, `is_storage` where the lines cannot be read again.
pub(super) fn judge(case: &Case<'_>, verification: &mut Verification) -> Result<Option<Fault>> {
    let checkpoint = match &case.notes.checkpoint {
        Ok(Some(checkpoint)) => checkpoint,
        Ok(None) => return unsigned(case),
        Err(fault) => return Ok(Some(fault.clone())),
    };
    if let Some(fault) = foreign(case, checkpoint) {
        return Ok(Some(fault));
    }
    let trust = Trust::of(case, checkpoint)?;
    verification.keys.clone_from(&trust.signatories);
    // Without a pinned key the trail's own lines say whose word counts: first see whether they are what they were.
    let is_pinned = !case.options.keys.is_empty();
    if let Some(fault) = trust.fault.clone().filter(|_| is_pinned) {
        return Ok(Some(fault));
    }
    if let Some(fault) = integrity::fault(case, checkpoint, &trust)? {
        return Ok(Some(fault));
    }
    let of_the_key = trust.fault.clone().or_else(|| trust.outdated.clone());
    let of_the_records = || misfounded(case, checkpoint).or_else(|| false_record(case, checkpoint, &trust));
    if let Some(fault) = of_the_key.or_else(of_the_records) {
        return Ok(Some(fault));
    }
    if let Some(fault) = fork_in_history(case, checkpoint, &trust, verification) {
        return Ok(Some(fault));
    }
    known(case, checkpoint, &trust, verification)
}

/// No checkpoint at all.
fn unsigned(case: &Case<'_>) -> Result<Option<Fault>> {
    let is_beginning = case.walked.stop.is_none()
        && case.walked.first == Some(0)
        && case.walked.next <= LINES_BEFORE_FIRST_CHECKPOINT
        && case.notes.history.is_empty()
        && case.options.known.is_empty();
    let fault = Fault::new(FaultKind::Unsigned, "there is no checkpoint: nobody signed these lines");
    Ok((!is_beginning).then_some(fault))
}

/// A checkpoint that is of another trail than the keys, or than the trail says it is.
fn foreign(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Option<Fault> {
    let origin = checkpoint.origin();
    let pinned = &case.options.keys;
    let wrong = |whose: &str, name: &str| {
        let message = format!("the checkpoint is of the log {origin}, and {whose} {name}");
        Some(Fault::new(FaultKind::ForeignLog, message))
    };
    if let Some(key) = pinned.first()
        && pinned.iter().all(|key| key.name() != origin)
    {
        return wrong("the pinned key of", key.name());
    }
    match &case.notes.log_name {
        Some(name) if name != origin => wrong(".auditx/trail.json names", name),
        _ => None,
    }
}

/// A first line that is that of another trail, though it was signed.
fn misfounded(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Option<Fault> {
    let (log_name, _) = case.walked.genesis.as_ref()?;
    let message =
        format!("the first line begins the log {log_name}, and the checkpoint is of {}", checkpoint.origin());
    let fault = Fault::new(FaultKind::ForeignLog, message).at(0);
    (log_name != checkpoint.origin()).then_some(fault)
}

fn at(case: &Case<'_>, kind: FaultKind, place: Place, message: String) -> Fault {
    Fault::new(kind, message).at(place.seq).within(case.files[place.segment].name(), place.offset)
}

/// The first recorded checkpoint that says what was not so, and records that cannot be read.
fn false_record(case: &Case<'_>, checkpoint: &SignedCheckpoint, trust: &Trust) -> Option<Fault> {
    let lie = case.walked.claims.iter().find_map(|claim| {
        let why = lie(case, claim, checkpoint, trust)?;
        let message =
            format!("the checkpoint of {} lines recorded in line {} {why}", claim.size, claim.place.seq);
        Some(at(case, FaultKind::FalseRecord, claim.place, message))
    });
    let unreadable =
        case.walked.unreadable.map(|(place, what)| at(case, FaultKind::FalseRecord, place, what.to_owned()));
    lie.into_iter().chain(unreadable).min_by_key(|fault| fault.seq)
}

fn lie(
    case: &Case<'_>,
    claim: &Claimed,
    checkpoint: &SignedCheckpoint,
    trust: &Trust,
) -> Option<&'static str> {
    if claim.size > claim.place.seq {
        return Some("speaks of lines that came later");
    }
    if claim.note.as_ref().is_some_and(|note| note.origin() != checkpoint.origin()) {
        return Some("is of another log");
    }
    if claim.is_true == Some(false) {
        return Some("has another root than the lines had");
    }
    (!is_signed(case, claim, trust)).then_some("is not signed with a key of the trail at that time")
}

/// Whether a recorded checkpoint is signed by a key that was in force; where none is known, it is taken to be.
pub(super) fn is_signed(case: &Case<'_>, claim: &Claimed, trust: &Trust) -> bool {
    let in_force = trust.timeline.in_force(claim.size);
    in_force.is_empty() || in_force.iter().any(|key| case.walked.is_signer(claim, key))
}

/// Checkpoints kept beside the lines: one that was signed and does not agree was signed of another history.
fn fork_in_history(
    case: &Case<'_>,
    checkpoint: &SignedCheckpoint,
    trust: &Trust,
    verification: &mut Verification,
) -> Option<Fault> {
    let keys = trust.keys();
    for note in &case.notes.history {
        let (size, root) = (note.size(), case.walked.roots.get(&note.size()));
        let is_gone = size > case.walked.next;
        if root == Some(note.root()) || (root.is_none() && !is_gone) {
            let is_believed = keys.is_empty() || note.verify(&keys).is_ok();
            if root.is_some() && size > checkpoint.size() && is_believed {
                verification.remark(RemarkKind::StaleCheckpoint, None, stale(size));
            }
            continue;
        }
        if note.origin() != checkpoint.origin() || note.verify(&keys).is_err() {
            let message = format!("the kept checkpoint of {size} lines is not of a key of this trail");
            verification.remark(RemarkKind::UnusableHistory, None, message);
        } else if is_gone {
            return Some(rolled_back(checkpoint, size, "kept beside it"));
        } else {
            return Some(forked(size, "kept beside it"));
        }
    }
    None
}

fn rolled_back(checkpoint: &SignedCheckpoint, size: u64, whose: &str) -> Fault {
    let signed = checkpoint.size();
    let message = format!("the trail was taken back to {signed} lines: a checkpoint {whose} names {size}");
    Fault::new(FaultKind::Truncated, message).at(signed)
}

fn stale(size: u64) -> String {
    format!("a checkpoint of {size} lines was signed, and the latest here names fewer")
}

fn forked(size: u64, whose: &str) -> Fault {
    let message = format!("a checkpoint {whose} was signed of other first {size} lines than these");
    Fault::new(FaultKind::Forked, message)
}

/// The notes that an auditor brought along.
fn known(
    case: &Case<'_>,
    checkpoint: &SignedCheckpoint,
    trust: &Trust,
    verification: &mut Verification,
) -> Result<Option<Fault>> {
    let keys = trust.keys();
    let invalid = |size: u64, why: &str| {
        Err(Error::invalid(
            format!("the known checkpoint of {size} lines cannot be used: {why}"),
            case.directory,
        ))
    };
    for note in &case.options.known {
        let size = note.size();
        if note.origin() != checkpoint.origin() {
            return invalid(size, &format!("it is of the log {}", note.origin()));
        }
        match note.verify(&keys) {
            Ok(_) => {}
            Err(_) if keys.is_empty() => continue,
            Err(fault) => return invalid(size, &fault.to_string()),
        }
        if size > case.walked.next {
            return Ok(Some(rolled_back(checkpoint, size, "kept elsewhere")));
        }
        match case.walked.roots.get(&size) {
            Some(root) if root == note.root() && size > 0 => verification.known.push(size),
            Some(root) if root != note.root() => return Ok(Some(forked(size, "kept elsewhere"))),
            // It speaks of nothing, or of lines that were retired.
            _ => continue,
        }
        if size > checkpoint.size() {
            verification.remark(RemarkKind::StaleCheckpoint, None, stale(size));
        }
    }
    Ok(None)
}
