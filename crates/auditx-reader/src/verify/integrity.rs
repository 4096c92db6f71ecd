//! Checks whether the lines match the signed root, and if not, finds the first wrong line.
//!
//! The root alone decides whether a line is wrong.

use auditx_tlog::{CompactRange, Hash, SignedCheckpoint};

use super::Case;
use super::check::is_signed;
use super::fault::{Fault, FaultKind};
use super::fold::{Location, Stop};
use super::later;
use super::leaf_cache::LeafCache;
use super::localise::Localiser;
use super::trust::Trust;
use super::workers::Breakage;
use crate::error::Result;

/// Returns the first fault of the lines.
///
/// # Errors
/// `is_storage` if the lines cannot be read again.
pub(super) fn fault(case: &Case<'_>, checkpoint: &SignedCheckpoint, trust: &Trust) -> Result<Option<Fault>> {
    let walked = case.walked;
    let signed = checkpoint.size();
    if walked.stop.is_none() {
        if let Some(fault) = unrecorded_retirement(case, signed) {
            return Ok(Some(fault));
        }
        if walked.roots.get(&signed) == Some(checkpoint.root()) {
            return match bad_erasure(case, signed, &[]) {
                None => Ok(None),
                Some(_) => {
                    let later = later::erasures(case, checkpoint, trust)?;
                    Ok(bad_erasure(case, signed, &later))
                }
            };
        }
    }
    let leaf_cache = trusted_leaf_cache(case, checkpoint);
    let breakage =
        walked.stop.as_ref().and_then(|stop| stop.breakage.as_ref().map(|breakage| (stop, breakage)));
    let until = breakage.map(|(stop, _)| stop.location.seq);
    let localiser = Localiser { files: case.files, leaf_cache: leaf_cache.as_ref(), signed, until };
    let found = localiser.first_fault()?;
    if leaf_cache.is_some() && found.is_some() {
        return Ok(found);
    }
    let erasure = bad_erasure(case, signed, &[]).filter(|_| walked.stop.is_none());
    let inexact = erasure.or_else(|| bracket(case, checkpoint, trust));
    let broken = breakage.map(|(stop, breakage)| unreadable(case, stop, breakage));
    let stopped = walked.stop.as_ref().map(|Stop { location, .. }| mismatch(case, *location));
    Ok(inexact.or(found).or(broken).or(stopped).or_else(|| {
        let message = format!("the first {signed} lines differ from what was signed");
        Some(Fault::new(FaultKind::Altered, message).at(walked.first.unwrap_or(0)))
    }))
}

/// The tile cache, if it leads to the signed root.
fn trusted_leaf_cache(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Option<LeafCache> {
    let leaf_cache = LeafCache::open(case.directory)?;
    let from = |tree| leaf_cache.leads(tree, checkpoint.size(), checkpoint.root());
    let is_right = from(CompactRange::new(0)) || case.walked.begin.clone().is_some_and(from);
    is_right.then_some(leaf_cache)
}

/// The fault of a trail whose first lines are missing without a signed record of their retirement.
fn unrecorded_retirement(case: &Case<'_>, signed: u64) -> Option<Fault> {
    let first = case.walked.first.filter(|first| *first > 0)?;
    let is_recorded = case.walked.retirement.as_ref().is_some_and(|(seq, _)| *seq < signed);
    let message = format!(
        "the trail begins with line {first}, and no signed record says that the lines before it were retired"
    );
    let fault = Fault::new(FaultKind::Missing, message).at(0);
    (!is_recorded).then_some(fault)
}

/// The first stub without a signed record of the same hash. `later` holds erasures that were recorded and
/// signed during the verification.
fn bad_erasure(case: &Case<'_>, signed: u64, later: &[(u64, Hash)]) -> Option<Fault> {
    let is_excused = |seq, hash| later.contains(&(seq, hash)) || case.walked.is_lost(seq, signed);
    let mut stubs = case.walked.stubs.iter().filter(|(location, hash)| !is_excused(location.seq, *hash));
    stubs.find_map(|(location, hash)| {
        let mut records = case
            .walked
            .erasures
            .iter()
            .filter(|(at, seq, _)| *seq == location.seq && *at > *seq && *at < signed);
        let seq = location.seq;
        let message = match records.next() {
            _ if seq >= signed => format!("line {seq} was erased before it was signed"),
            None => format!("no signed record says that line {seq} was erased"),
            Some((_, _, recorded)) if recorded == hash => return None,
            Some(_) if records.any(|(_, _, recorded)| recorded == hash) => return None,
            Some(_) => format!("the stub of line {seq} has another hash than the record of its erasure"),
        };
        Some(
            Fault::new(FaultKind::BadErasure, message)
                .at(seq)
                .within(case.files[location.segment].name(), location.offset),
        )
    })
}

/// The two nearest checkpoints between which the lines begin to differ, for trails without a usable tile
/// cache.
fn bracket(case: &Case<'_>, checkpoint: &SignedCheckpoint, trust: &Trust) -> Option<Fault> {
    let walked = case.walked;
    let keys = trust.keys();
    let signed =
        case.checkpoints.history.iter().filter(|saved| keys.is_empty() || saved.verify(&keys).is_ok());
    let signed = signed
        .chain([checkpoint])
        .filter_map(|saved| walked.roots.get(&saved.size()).map(|root| (saved.size(), root == saved.root())));
    let recorded = walked
        .claims
        .iter()
        .filter(|claim| claim.size <= claim.location.seq && is_signed(case, claim, trust));
    let recorded = recorded.filter_map(|claim| claim.is_true.map(|is_true| (claim.size, is_true)));
    let comparisons: Vec<(u64, bool)> = signed.chain(recorded).collect();
    let end = comparisons.iter().filter(|(_, is_right)| !is_right).map(|(size, _)| *size).min()?;
    let right = comparisons.iter().filter(|(size, is_right)| *is_right && *size < end).map(|(size, _)| *size);
    let begin = right.max().max(walked.first).unwrap_or(0);
    let message = match end.saturating_sub(begin) {
        1 => format!("line {begin} differs from what was signed"),
        _ => format!(
            "a line between line {begin} and line {} differs from what was signed",
            end.saturating_sub(1)
        ),
    };
    Some(Fault::new(FaultKind::Altered, message).at(begin))
}

fn unreadable(case: &Case<'_>, stop: &Stop, breakage: &Breakage) -> Fault {
    let Location { seq, segment, offset } = stop.location;
    let name = case.files[segment].name();
    if breakage.is_file {
        let message = format!("the compressed segment cannot be read to its end: {}", breakage.why);
        Fault::new(FaultKind::Damaged, message).at(seq).within(name, offset)
    } else {
        Fault::new(FaultKind::NotAFile, breakage.why.clone()).at(seq).in_segment(name)
    }
}

fn mismatch(case: &Case<'_>, location: Location) -> Fault {
    let message = format!("expected line {}, found something else", location.seq);
    Fault::new(FaultKind::Altered, message)
        .at(location.seq)
        .within(case.files[location.segment].name(), location.offset)
}
