//! Checks a trail against what was signed and returns its first fault.
//!
//! The lines are read again only if they differ from what was signed.

use auditx_store::LINES_BEFORE_FIRST_CHECKPOINT;
use auditx_tlog::{Hash, SignedCheckpoint, VerifierKey};

use super::Case;
use super::fault::{Fault, FaultKind};
use super::fold::{Claimed, Location};
use super::integrity;
use super::parent::RecordedHead;
use super::remark::RemarkKind;
use super::stamped::TimeStamps;
use super::trust::Trust;
use super::verification::Verification;
use super::witnessed::Cosigned;
use crate::error::{Error, Result};

/// Whose checkpoint contradicts the lines.
const RECORDED: &str = "that the parent trail recorded";

/// Returns the first fault of the trail, and fills in the signers, the known checkpoints and the remarks of
/// `verification`.
///
/// # Errors
/// `is_invalid` if the auditor's keys or checkpoints cannot be used; `is_storage` if the lines cannot be read
/// again.
pub(super) fn check(case: &Case<'_>, verification: &mut Verification) -> Result<Option<Fault>> {
    let checkpoint = match &case.checkpoints.latest {
        Ok(Some(checkpoint)) => checkpoint,
        Ok(None) => return unsigned(case),
        Err(fault) => return Ok(Some(fault.clone())),
    };
    if let Some(fault) = foreign_checkpoint(case, checkpoint) {
        return Ok(Some(fault));
    }
    let trust = Trust::of(case, checkpoint)?;
    verification.keys.clone_from(&trust.signatories);
    // Without a pinned key, the keys come from the trail's own lines, so the integrity of the lines is
    // checked first.
    let is_pinned = !case.options.keys.is_empty();
    if let Some(fault) = trust.fault.clone().filter(|_| is_pinned) {
        return Ok(Some(fault));
    }
    if let Some(fault) = integrity::fault(case, checkpoint, &trust)? {
        return Ok(Some(fault));
    }
    let of_the_key = trust.fault.clone().or_else(|| trust.outdated.clone());
    let of_the_records =
        || foreign_genesis(case, checkpoint).or_else(|| false_record(case, checkpoint, &trust));
    if let Some(fault) = of_the_key.or_else(of_the_records) {
        return Ok(Some(fault));
    }
    if let Some(fault) = fork_in_history(case, checkpoint, &trust, verification) {
        return Ok(Some(fault));
    }
    check_known(case, checkpoint, &trust, verification)
}

/// The fault of a trail without a checkpoint; `None` while the trail is too young to have one.
fn unsigned(case: &Case<'_>) -> Result<Option<Fault>> {
    let is_beginning = case.walked.stop.is_none()
        && case.walked.first == Some(0)
        && case.walked.next <= LINES_BEFORE_FIRST_CHECKPOINT
        && case.checkpoints.history.is_empty()
        && case.options.known.is_empty()
        && case.options.stamped.is_empty()
        && !matches!(case.cosigned.outcome, Ok(Some(_)));
    let fault = Fault::new(FaultKind::Unsigned, "the trail has no checkpoint: its lines are not signed");
    Ok((!is_beginning).then_some(fault))
}

/// The fault of a checkpoint whose log is not that of the pinned keys or of `trail.json`.
fn foreign_checkpoint(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Option<Fault> {
    let origin = checkpoint.origin();
    let pinned = &case.options.keys;
    let wrong = |whose: &str, name: &str| {
        let message = format!("the checkpoint belongs to the log {origin}, but {whose} {name}");
        Some(Fault::new(FaultKind::ForeignLog, message))
    };
    if let Some(key) = pinned.first()
        && pinned.iter().all(|key| key.name() != origin)
    {
        return wrong("the pinned key belongs to", key.name());
    }
    match &case.checkpoints.log_name {
        Some(name) if name != origin => wrong(".auditx/trail.json names", name),
        _ => None,
    }
}

/// The fault of a signed first line that names another log.
fn foreign_genesis(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Option<Fault> {
    let (log_name, _) = case.walked.genesis.as_ref()?;
    let message = format!(
        "the first line names the log {log_name}, but the checkpoint belongs to {}",
        checkpoint.origin()
    );
    let fault = Fault::new(FaultKind::ForeignLog, message).at(0);
    (log_name != checkpoint.origin()).then_some(fault)
}

fn at(case: &Case<'_>, kind: FaultKind, location: Location, message: String) -> Fault {
    Fault::new(kind, message).at(location.seq).within(case.files[location.segment].name(), location.offset)
}

/// The first recorded checkpoint that is false, or control record that cannot be read.
fn false_record(case: &Case<'_>, checkpoint: &SignedCheckpoint, trust: &Trust) -> Option<Fault> {
    let false_claim = case.walked.claims.iter().find_map(|claim| {
        let why = falsehood(case, claim, checkpoint, trust)?;
        let message =
            format!("the checkpoint of {} lines recorded in line {} {why}", claim.size, claim.location.seq);
        Some(at(case, FaultKind::FalseRecord, claim.location, message))
    });
    let unreadable = case
        .walked
        .unreadable
        .map(|(location, what)| at(case, FaultKind::FalseRecord, location, what.to_owned()));
    false_claim.into_iter().chain(unreadable).min_by_key(|fault| fault.seq)
}

fn falsehood(
    case: &Case<'_>,
    claim: &Claimed,
    checkpoint: &SignedCheckpoint,
    trust: &Trust,
) -> Option<&'static str> {
    if claim.size > claim.location.seq {
        return Some("names lines that came later");
    }
    if claim.note.as_ref().is_some_and(|note| note.origin() != checkpoint.origin()) {
        return Some("belongs to another log");
    }
    if claim.is_true == Some(false) {
        return Some("has a root that the lines did not have");
    }
    (!is_signed(case, claim, trust)).then_some("is not signed with a key that the trail had at that time")
}

/// Whether a recorded checkpoint is signed with a key that was in force. `true` if no key is known.
pub(super) fn is_signed(case: &Case<'_>, claim: &Claimed, trust: &Trust) -> bool {
    let in_force = trust.timeline.in_force(claim.size);
    in_force.is_empty() || in_force.iter().any(|key| case.walked.is_signer(claim, key))
}

/// Compares the checkpoints in `.auditx/checkpoints` with the lines. One that a key of the trail signed and
/// that does not match was signed for another history.
fn fork_in_history(
    case: &Case<'_>,
    checkpoint: &SignedCheckpoint,
    trust: &Trust,
    verification: &mut Verification,
) -> Option<Fault> {
    let keys = trust.keys();
    for saved in &case.checkpoints.history {
        let (size, root) = (saved.size(), case.walked.roots.get(&saved.size()));
        let is_beyond_end = size > case.walked.next;
        if root == Some(saved.root()) || (root.is_none() && !is_beyond_end) {
            let is_trusted = keys.is_empty() || saved.verify(&keys).is_ok();
            if root.is_some() && size > checkpoint.size() && is_trusted {
                verification.remark(RemarkKind::StaleCheckpoint, None, stale(size));
            }
            continue;
        }
        if saved.origin() != checkpoint.origin() || saved.verify(&keys).is_err() {
            let message = format!(".auditx/checkpoints/{size} is not signed with a key of this trail");
            verification.remark(RemarkKind::UnusableHistory, None, message);
        } else if is_beyond_end {
            return Some(rolled_back(checkpoint, size, "in .auditx/checkpoints"));
        } else {
            return Some(forked(size, "in .auditx/checkpoints"));
        }
    }
    None
}

fn rolled_back(checkpoint: &SignedCheckpoint, size: u64, whose: &str) -> Fault {
    let signed = checkpoint.size();
    let message = format!("the trail was rolled back to {signed} lines: a checkpoint {whose} names {size}");
    Fault::new(FaultKind::Truncated, message).at(signed)
}

fn stale(size: u64) -> String {
    format!("a checkpoint of {size} lines was signed, but the latest checkpoint names fewer")
}

fn forked(size: u64, whose: &str) -> Fault {
    let message = format!("a checkpoint {whose} signs a different history of the first {size} lines");
    Fault::new(FaultKind::Forked, message)
}

/// Compares the auditor's checkpoints with the lines.
fn check_known(
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
    for known in &case.options.known {
        let size = known.size();
        if known.origin() != checkpoint.origin() {
            return invalid(size, &format!("it belongs to the log {}", known.origin()));
        }
        match known.verify(&keys) {
            Ok(_) => {}
            Err(_) if keys.is_empty() => continue,
            Err(fault) => return invalid(size, &fault.to_string()),
        }
        match compare(case, checkpoint, head_of(known), "kept elsewhere", verification) {
            Err(fault) => return Ok(Some(fault)),
            Ok(true) => verification.known.push(size),
            Ok(false) => {}
        }
    }
    if let Some(fault) = check_recorded(case, checkpoint, &keys, verification)? {
        return Ok(Some(fault));
    }
    Ok(check_cosigned(case, checkpoint, &keys, verification)
        .or_else(|| check_stamps(case, checkpoint, &keys, verification)))
}

/// Compares the tree heads that a parent trail recorded with the lines. One that contradicts them is a fault
/// if a key of the trail signed it. Otherwise nothing is proved: a newer key may have signed it.
fn check_recorded(
    case: &Case<'_>,
    checkpoint: &SignedCheckpoint,
    keys: &[VerifierKey],
    verification: &mut Verification,
) -> Result<Option<Fault>> {
    let (Ok(Some(Cosigned { recorded, .. })), Some(parent)) = (&case.cosigned.outcome, &case.options.parent)
    else {
        return Ok(None);
    };
    let mut compared = |head: &RecordedHead| {
        compare(case, checkpoint, (head.size, &head.root), RECORDED, verification).err()
    };
    let contradicting: Vec<_> = recorded.iter().filter(|head| compared(head).is_some()).collect();
    let Some(first) = contradicting.first() else { return Ok(None) };
    if let Some(signed) = parent.signed_one(&contradicting, checkpoint.origin(), keys)? {
        return Ok(compared(signed));
    }
    verification.unwitnessed = Some(format!(
        "line {} of the parent trail records {} lines that the trail does not have, not signed with a key of it",
        first.seq, first.size
    ));
    Ok(None)
}

/// Compares the checkpoint that witnesses cosigned with the lines. It may be a file of the trail, so one that
/// the log did not sign is no error of the auditor.
fn check_cosigned(
    case: &Case<'_>,
    checkpoint: &SignedCheckpoint,
    keys: &[VerifierKey],
    verification: &mut Verification,
) -> Option<Fault> {
    let Cosigned { checkpoint: cosigned, witnessed, .. } = match &case.cosigned.outcome {
        Ok(Some(cosigned)) if verification.unwitnessed.is_none() => cosigned,
        Ok(_) => return None,
        Err(why) => {
            verification.unwitnessed = Some(why.clone());
            return None;
        }
    };
    let size = witnessed.size;
    if cosigned.verify(keys).is_err() {
        verification.unwitnessed =
            Some(format!("the checkpoint of {size} lines is not signed with a key of the trail"));
        return None;
    }
    let whose = if witnessed.parent.is_some() { RECORDED } else { "that witnesses cosigned" };
    match compare(case, checkpoint, head_of(cosigned), whose, verification) {
        Err(fault) => return Some(fault),
        Ok(true) => verification.witnessed = Some(witnessed.clone()),
        Ok(false) => {
            verification.unwitnessed =
                Some(format!("the checkpoint of {size} lines names lines that were retired"));
        }
    }
    None
}

/// Compares the time-stamped checkpoints with the lines. They are files of the trail, and an authority stamps
/// any bytes, so a stamp alone does not show that the checkpoint belongs to the trail.
fn check_stamps(
    case: &Case<'_>,
    checkpoint: &SignedCheckpoint,
    keys: &[VerifierKey],
    verification: &mut Verification,
) -> Option<Fault> {
    for stamp in &case.options.stamped {
        let stamped = &stamp.checkpoint;
        let mut unusable = |why: &str| {
            let size = stamped.size();
            verification.unusable_stamps.push(format!("the stamped checkpoint of {size} lines {why}"));
        };
        if stamped.origin() != checkpoint.origin() {
            unusable(&format!("belongs to the log {}", stamped.origin()));
        } else if stamped.verify(keys).is_err() {
            unusable("is not signed with a key of the trail");
        } else {
            match compare(case, checkpoint, head_of(stamped), "that was time-stamped", verification) {
                Err(fault) => return Some(fault),
                Ok(true) => TimeStamps::add(&mut verification.time_stamps, stamp),
                // Its lines were retired.
                Ok(false) => {}
            }
        }
    }
    None
}

fn head_of(checkpoint: &SignedCheckpoint) -> (u64, &Hash) {
    (checkpoint.size(), checkpoint.root())
}

/// Compares a tree head from outside with the lines. `Ok(false)` if it names no lines, or lines that were
/// retired. `whose` describes it in the fault.
fn compare(
    case: &Case<'_>,
    checkpoint: &SignedCheckpoint,
    (size, known): (u64, &Hash),
    whose: &str,
    verification: &mut Verification,
) -> std::result::Result<bool, Fault> {
    if size > case.walked.next {
        return Err(rolled_back(checkpoint, size, whose));
    }
    match case.walked.roots.get(&size) {
        Some(root) if root != known => return Err(forked(size, whose)),
        Some(_) if size > 0 => {}
        _ => return Ok(false),
    }
    if size > checkpoint.size() {
        verification.remark(RemarkKind::StaleCheckpoint, None, stale(size));
    }
    Ok(true)
}
