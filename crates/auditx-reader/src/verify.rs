//! Verifies a trail offline: hashes every line and compares the Merkle tree with the signed checkpoint.
//!
//! The input is a directory, the public keys that the auditor pinned, and checkpoints that were kept outside
//! the trail; the result is a [`Verification`]. Files are only opened for reading and none is created. A
//! writer may append, seal, compress, erase and retire at the same time.
//!
//! All lines are read once, on several threads. They are read a second time, to find the first wrong line,
//! only if the root does not match the signed one.

mod classify;
mod fault;
mod files;
mod fold;
mod integrity;
mod check;
mod later;
mod localise;
mod moment;
mod checkpoints;
mod projection;
mod heartbeats;
pub(crate) mod remark;
mod stamped;
mod options;
mod leaf_cache;
mod scan;
mod subtrees;
mod timeline;
mod trust;
mod verification;
mod walk;
mod window;
mod parent;
mod witnessed;
mod workers;

use std::path::Path;

use auditx_store::Tiles;
use auditx_tlog::{SignedCheckpoint, to_hex};

use crate::error::{Error, Result};
use crate::listing::{begins_as_legacy, legacy_files};

use checkpoints::Checkpoints;
use files::SegmentFile;
use fold::Walked;
use projection::Difference;
use witnessed::{Open, Sought};

pub use fault::{Fault, FaultKind};
pub use options::VerifyOptions;
pub use parent::{ParentEntry, ParentTrail};
pub use remark::{Occurrence, Remark, RemarkKind};
pub use stamped::{StampedCheckpoint, TimeStamp, TimeStamps};
pub use verification::{Answer, Reason, Signatory, Verification};
pub use witnessed::Witnessed;

/// How often verification starts again because a writer changed the trail in a way that looks like a fault.
const ATTEMPTS: usize = 20;

/// Everything that was read about a trail.
struct Case<'a> {
    directory: &'a Path,
    options: &'a VerifyOptions,
    /// The checkpoint that witnesses cosigned or the parent trail recorded, if the auditor requires one.
    cosigned: &'a Sought,
    checkpoints: &'a Checkpoints,
    files: &'a [SegmentFile],
    walked: &'a Walked,
}

/// Verifies the trail in `directory`. `progress` is called from time to time, on this thread, with the bytes
/// done and the total bytes on disk; it starts again at 0 if the trail is read once more.
///
/// Costs two SHA-256 hashes per line, of the line and of one tree node, spread over the threads, in constant
/// memory. A trail that differs from what was signed is read a second time.
///
/// # Errors
/// `is_missing` if the directory does not exist or holds no trail; `is_storage` if it cannot be read;
/// `is_invalid` if a known checkpoint belongs to another trail or two keys have the same name and id. A fault
/// of the trail is not an error: it is part of the [`Verification`].
pub fn verify(
    directory: &Path,
    options: &VerifyOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verification> {
    match directory.metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(Error::refused("not a directory", directory)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::missing("there is no such directory", directory));
        }
        Err(error) => return Err(Error::storage("cannot examine the directory", directory, error)),
    }
    let cosigned = witnessed::find(directory, options)?;
    let mut suspicion = None;
    for _ in 0..ATTEMPTS {
        match attempt(directory, (options, &cosigned), progress, suspicion.as_ref())? {
            Attempt::Done(verification) => return Ok(*verification),
            Attempt::Retry(suspected) => suspicion = suspected,
        }
    }
    let why = "lines are erased and segments retired faster than they can be read";
    Err(Error::storage("cannot verify the trail while it changes", directory, why))
}

/// The outcome of one attempt to verify.
enum Attempt {
    Done(Box<Verification>),
    /// A writer may have changed the trail during the attempt, so verify again. Holds the suspected fault and
    /// the first line at that time.
    Retry(Option<(Fault, Option<u64>)>),
}

fn attempt(
    directory: &Path,
    (options, cosigned): (&VerifyOptions, &Sought),
    progress: &mut dyn FnMut(u64, u64),
    suspicion: Option<&(Fault, Option<u64>)>,
) -> Result<Attempt> {
    let checkpoints = Checkpoints::read(directory)?;
    let files = files::list(directory)?;
    if matches!(checkpoints.latest, Ok(None)) && checkpoints.log_name.is_none() {
        if is_legacy(directory, &files) {
            let what = "the directory holds legacy lines of the Python package auditX, which signs nothing: \
there is nothing to verify";
            return Err(Error::invalid(what, directory));
        }
        if files.is_empty() {
            return Err(Error::missing("there is no trail in the directory", directory));
        }
    }
    let compared = compared(options, cosigned);
    let Some(walked) = walk::walk(directory, (options, &compared), &checkpoints, &files, progress)? else {
        return Ok(Attempt::Retry(None));
    };
    let case =
        Case { directory, options, cosigned, checkpoints: &checkpoints, files: &files, walked: &walked };
    let mut verification = Verification::of(directory.to_path_buf());
    describe(&case, &mut verification);
    let fault = check::check(&case, &mut verification)?;
    if let Some(fault) = &fault
        && may_be_a_race(&case, fault)
    {
        let suspected = (fault.clone(), walked.first);
        // The record that explains it was signed before the fault could be seen: the second attempt knows it.
        if suspicion != Some(&suspected) {
            return Ok(Attempt::Retry(Some(suspected)));
        }
    }
    remark(&case, &mut verification);
    if fault.is_none() {
        remark_on_cache(&case, &mut verification);
        remark_on_projection(&case, &mut verification);
    }
    conclude(&case, &mut verification, fault);
    Ok(Attempt::Done(Box::new(verification)))
}

/// Returns the sizes of the trees whose roots are compared with those of checkpoints from outside.
fn compared(options: &VerifyOptions, cosigned: &Sought) -> Vec<u64> {
    let known = options.known.iter().chain(options.stamped.iter().map(|stamped| &stamped.checkpoint));
    let mut sizes: Vec<u64> = known.map(SignedCheckpoint::size).collect();
    if let Ok(Some(cosigned)) = &cosigned.outcome {
        sizes.push(cosigned.witnessed.size);
        sizes.extend(cosigned.recorded.iter().map(|head| head.size));
    }
    sizes
}

/// Whether a directory without checkpoint and identity holds legacy lines of the Python package and no
/// others.
fn is_legacy(directory: &Path, files: &[SegmentFile]) -> bool {
    let is_active_legacy = files.iter().all(|file| file.is_active() && begins_as_legacy(file.path()));
    is_active_legacy && !(files.is_empty() && legacy_files(directory).is_empty())
}

/// Whether a line erased or a segment retired during the attempt would look like this fault. In that case a
/// newer checkpoint has been signed.
fn may_be_a_race(case: &Case<'_>, fault: &Fault) -> bool {
    let is_of_that_kind = matches!(fault.kind, FaultKind::BadErasure | FaultKind::Unsigned)
        || (fault.kind == FaultKind::Missing && fault.seq == Some(0));
    let Ok(was) = &case.checkpoints.latest else { return false };
    let text = |latest: &Option<SignedCheckpoint>| latest.as_ref().map(|latest| latest.as_str().to_owned());
    is_of_that_kind
        && Checkpoints::read(case.directory)
            .is_ok_and(|now| now.latest.is_ok_and(|is| text(&is) != text(was)))
}

fn describe(case: &Case<'_>, verification: &mut Verification) {
    let Walked { first, next, torn_bytes, stubs, .. } = case.walked;
    verification.first_seq = first.unwrap_or(0);
    verification.lines = *next;
    verification.unusable_stamps.clone_from(&case.options.unusable_stamps);
    verification.torn_bytes = *torn_bytes;
    let signed =
        case.checkpoints.latest.as_ref().ok().and_then(Option::as_ref).map_or(0, SignedCheckpoint::size);
    let lost = stubs.iter().filter(|(location, _)| case.walked.is_lost(location.seq, signed)).count() as u64;
    verification.lost = lost;
    verification.erased = stubs.len() as u64 - lost;
    verification.segments = case.files.len() as u64;
    verification.bytes = walk::bytes(case.files);
    if let Ok(Some(checkpoint)) = &case.checkpoints.latest {
        verification.origin = Some(checkpoint.origin().to_owned());
        verification.signed = Some(checkpoint.size());
        verification.root = Some(to_hex(checkpoint.root()));
    }
    verification.unsigned_lines = next.saturating_sub(verification.signed.unwrap_or(0));
}

fn remark(case: &Case<'_>, verification: &mut Verification) {
    let walked = case.walked;
    // With a stamp of another trail among them, it is not known which one the times contradict.
    let are_of_the_trail = verification.unusable_stamps.len() == case.options.unusable_stamps.len();
    let beside_stamps = walked.beside_stamps.iter().filter(|_| are_of_the_trail);
    for remark in walked.found.iter().chain(beside_stamps) {
        verification.put_remark(remark.clone());
    }
    for (at, seq, _) in &walked.erasures {
        let is_there = walked.first.is_some_and(|first| *seq >= first)
            && !walked.stubs.iter().any(|(location, _)| location.seq == *seq);
        if is_there {
            let message =
                format!("line {at} records the erasure of line {seq}, but line {seq} still has its text");
            verification.remark(RemarkKind::UnfinishedErasure, Some(*seq), message);
        }
    }
    for name in &case.checkpoints.unusable {
        let message = format!(".auditx/checkpoints/{name} cannot be read as a checkpoint");
        verification.remark(RemarkKind::UnusableHistory, None, message);
    }
    for size in &case.cosigned.unusable {
        verification.remark(RemarkKind::UnusableHistory, None, witnessed::unusable(*size));
    }
    if case.checkpoints.log_name.is_none() {
        let message = ".auditx/trail.json cannot be read: no process can open the trail without it";
        verification.remark(RemarkKind::UnreadableIdentity, None, message);
    }
}

/// Compares the tile cache with the lines, which match what was signed.
fn remark_on_cache(case: &Case<'_>, verification: &mut Verification) {
    let Ok(Some(checkpoint)) = &case.checkpoints.latest else { return };
    let cached = Tiles::open(case.directory).frontier(checkpoint.size()).and_then(|tree| tree.root());
    if let Some(seq) = case.walked.cache_differs_at {
        let message = format!("the tile cache differs from the lines, starting at line {seq}");
        verification.remark(RemarkKind::WrongTiles, Some(seq), message);
    } else if cached.as_ref() != Some(checkpoint.root()) {
        let message = "the tile cache is missing or does not match the lines";
        verification.remark(RemarkKind::WrongTiles, None, message);
    }
}

/// Compares `security.jsonl` with the lines, which match what was signed.
fn remark_on_projection(case: &Case<'_>, verification: &mut Verification) {
    let Some(Difference { wrong, before, behind }) = &case.walked.projection else { return };
    let lines = |count: u64| if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
    if let Some((seq, what)) = wrong {
        let message = format!("security.jsonl differs from the trail at line {seq}: it has {what}");
        verification.remark(RemarkKind::WrongProjection, Some(*seq), message);
    }
    if let Some((count, seq)) = before {
        let message = format!(
            "security.jsonl lacks {} of level SECURITY or CRITICAL, starting at line {seq}: \
it was archived or emptied",
            lines(*count)
        );
        verification.remark(RemarkKind::ShortProjection, Some(*seq), message);
    }
    if let Some((count, seq)) = behind {
        let message = format!(
            "security.jsonl lacks the newest {}, starting at line {seq}: \
the next process that opens the trail adds them",
            lines(*count)
        );
        verification.remark(RemarkKind::ShortProjection, Some(*seq), message);
    }
}

fn conclude(case: &Case<'_>, verification: &mut Verification, fault: Option<Fault>) {
    if fault.is_some() {
        (verification.answer, verification.fault) = (Answer::Broken, fault);
        return;
    }
    let is_signed = verification.signed.is_some();
    let Open { is_stale, is_tail_unseen } = witnessed::open(verification, case.options.max_age);
    let is_projection_wrong = case.walked.projection.as_ref().is_some_and(|found| found.wrong.is_some());
    let reasons = [
        (Reason::SignatureUnchecked, is_signed && verification.keys.is_empty()),
        (Reason::KeyNotPinned, case.options.keys.is_empty()),
        // Cosigned files can be put back together with the lines, so only their age shows a rollback.
        (Reason::FreshnessUnknown, verification.known.is_empty() && case.options.max_age.is_none()),
        (Reason::NotWitnessed, verification.unwitnessed.is_some()),
        (Reason::NotFresh, is_stale),
        (Reason::TailNotWitnessed, is_tail_unseen),
        (Reason::NotStamped, case.options.needs_stamp && verification.time_stamps.is_none()),
        (Reason::UnusableStamp, !verification.unusable_stamps.is_empty()),
        (Reason::TailUnsigned, verification.unsigned_lines > 0),
        (Reason::TornTail, verification.torn_bytes > 0),
        (Reason::LinesLost, verification.lost > 0),
        (Reason::ProjectionDiffers, is_projection_wrong),
    ];
    verification.reasons =
        reasons.into_iter().filter(|(_, applies)| *applies).map(|(reason, _)| reason).collect();
    let is_intact = verification.reasons.is_empty();
    verification.answer = if is_intact { Answer::Intact } else { Answer::Unconfirmed };
}

#[cfg(test)]
mod tests;
