//! Whether the lines are those that were signed, and if not, where that begins.
//!
//! Comes in: a [`Case`]. Goes out: the first line that is wrong. The root alone tells whether there is one.

use auditx_core::{CompactRange, Hash, SignedCheckpoint};

use super::Case;
use super::fault::{Fault, FaultKind};
use super::fold::{Place, Stop};
use super::judge::is_signed;
use super::later;
use super::localise::Localiser;
use super::row::Row;
use super::trust::Trust;
use super::workers::Breakage;
use crate::error::Result;

/// The first fault of the lines.
///
/// # Errors
/// `is_storage` where they cannot be read again.
pub(super) fn fault(case: &Case<'_>, checkpoint: &SignedCheckpoint, trust: &Trust) -> Result<Option<Fault>> {
    let walked = case.walked;
    let signed = checkpoint.size();
    if walked.stop.is_none() {
        if let Some(fault) = unretired(case, signed) {
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
    let row = trusted_row(case, checkpoint);
    let breakage =
        walked.stop.as_ref().and_then(|stop| stop.breakage.as_ref().map(|breakage| (stop, breakage)));
    let until = breakage.map(|(stop, _)| stop.place.seq);
    let localiser = Localiser { files: case.files, row: row.as_ref(), signed, until };
    let found = localiser.first_fault()?;
    if row.is_some() && found.is_some() {
        return Ok(found);
    }
    let erasure = bad_erasure(case, signed, &[]).filter(|_| walked.stop.is_none());
    let inexact = erasure.or_else(|| bracket(case, checkpoint, trust));
    let broken = breakage.map(|(stop, breakage)| unreadable(case, stop, breakage));
    let stopped = walked.stop.as_ref().map(|Stop { place, .. }| somewhere(case, *place));
    Ok(inexact.or(found).or(broken).or(stopped).or_else(|| {
        let message = format!("the first {signed} lines are not those that were signed");
        Some(Fault::new(FaultKind::Altered, message).at(walked.first.unwrap_or(0)))
    }))
}

/// The cache of hashes, where all of it leads to what was signed.
fn trusted_row(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Option<Row> {
    let row = Row::open(case.directory)?;
    let from = |tree| row.leads(tree, checkpoint.size(), checkpoint.root());
    let is_right = from(CompactRange::new(0)) || case.walked.begin.clone().is_some_and(from);
    is_right.then_some(row)
}

/// Lines that are gone from the beginning, and no signed record says that they were retired.
fn unretired(case: &Case<'_>, signed: u64) -> Option<Fault> {
    let first = case.walked.first.filter(|first| *first > 0)?;
    let is_recorded = case.walked.retirement.as_ref().is_some_and(|(seq, _)| *seq < signed);
    let message = format!(
        "the trail begins with line {first}, and no signed record says that those before it were retired"
    );
    let fault = Fault::new(FaultKind::Missing, message).at(0);
    (!is_recorded).then_some(fault)
}

/// The first stub of a line for which there is no signed record, or another one. `later` are erasures that were recorded
/// and signed since.
fn bad_erasure(case: &Case<'_>, signed: u64, later: &[(u64, Hash)]) -> Option<Fault> {
    let is_excused = |seq, hash| later.contains(&(seq, hash)) || case.walked.is_lost(seq, signed);
    let mut stubs = case.walked.stubs.iter().filter(|(place, hash)| !is_excused(place.seq, *hash));
    stubs.find_map(|(place, hash)| {
        let mut records = case
            .walked
            .erasures
            .iter()
            .filter(|(at, seq, _)| *seq == place.seq && *at > *seq && *at < signed);
        let seq = place.seq;
        let message = match records.next() {
            _ if seq >= signed => format!("line {seq} was erased before it was signed"),
            None => format!("no signed record says that line {seq} was erased"),
            Some((_, _, recorded)) if recorded == hash => return None,
            Some(_) if records.any(|(_, _, recorded)| recorded == hash) => return None,
            Some(_) => format!("the stub in the place of line {seq} is not of the line that was erased"),
        };
        Some(
            Fault::new(FaultKind::BadErasure, message)
                .at(seq)
                .within(case.files[place.segment].name(), place.offset),
        )
    })
}

/// Between which two checkpoints the lines begin to differ, where nothing tells more.
fn bracket(case: &Case<'_>, checkpoint: &SignedCheckpoint, trust: &Trust) -> Option<Fault> {
    let walked = case.walked;
    let keys = trust.keys();
    let kept = case.notes.history.iter().filter(|note| keys.is_empty() || note.verify(&keys).is_ok());
    let kept = kept
        .chain([checkpoint])
        .filter_map(|note| walked.roots.get(&note.size()).map(|root| (note.size(), root == note.root())));
    let recorded =
        walked.claims.iter().filter(|claim| claim.size <= claim.place.seq && is_signed(case, claim, trust));
    let recorded = recorded.filter_map(|claim| claim.is_true.map(|is_true| (claim.size, is_true)));
    let told: Vec<(u64, bool)> = kept.chain(recorded).collect();
    let end = told.iter().filter(|(_, is_right)| !is_right).map(|(size, _)| *size).min()?;
    let right = told.iter().filter(|(size, is_right)| *is_right && *size < end).map(|(size, _)| *size);
    let begin = right.max().max(walked.first).unwrap_or(0);
    let message = match end.saturating_sub(begin) {
        1 => format!("line {begin} is not what was signed"),
        _ => format!("a line between line {begin} and line {} is not what was signed", end.saturating_sub(1)),
    };
    Some(Fault::new(FaultKind::Altered, message).at(begin))
}

fn unreadable(case: &Case<'_>, stop: &Stop, breakage: &Breakage) -> Fault {
    let Place { seq, segment, offset } = stop.place;
    let name = case.files[segment].name();
    if breakage.is_file {
        let message = format!("the compressed segment cannot be read to its end: {}", breakage.why);
        Fault::new(FaultKind::Damaged, message).at(seq).within(name, offset)
    } else {
        Fault::new(FaultKind::NotAFile, breakage.why.clone()).at(seq).in_segment(name)
    }
}

fn somewhere(case: &Case<'_>, place: Place) -> Fault {
    let message = format!("what stands in the place of line {} is not that line", place.seq);
    Fault::new(FaultKind::Altered, message)
        .at(place.seq)
        .within(case.files[place.segment].name(), place.offset)
}
