//! Finds one line by its number.

use std::path::Path;

use auditx_tlog::leaf_of;

use crate::error::{Error, Result};
use crate::head::Head;
use crate::line::Line;
use crate::listing::Listing;
use crate::segment::Segment;
use crate::verify::{VerifyOptions, verify};

/// Returns the line with this number; `None` if the trail does not hold it yet or no longer.
///
/// Costs reading its segment up to the line, and a few small files; if the tile cache does not lead to the
/// checkpoint, every line is read.
///
/// # Errors
/// `is_missing` if the directory does not exist; `is_corrupt` if the line differs from what was signed;
/// `is_storage`, `is_refused` or `is_corrupt` if the segment that must hold the line cannot be read.
pub fn find_line(directory: &Path, seq: u64) -> Result<Option<Line>> {
    let found = find_unchecked(directory, seq)?;
    if let Some(line) = &found {
        compare(directory, seq, line)?;
    }
    Ok(found)
}

/// Fails if the line is signed and differs from what was signed.
fn compare(directory: &Path, seq: u64, line: &Line) -> Result<()> {
    let head = Head::of(directory);
    if head.signed().is_none_or(|signed| seq >= signed) {
        return Ok(());
    }
    let refusal = |message: String| Err(Error::corrupt(message, line.path()).at_byte(line.offset()));
    match head.signed_leaves.as_ref().and_then(|signed_leaves| signed_leaves.leaf(seq)) {
        Some(hash) if leaf_of(line.bytes()).is_some_and(|leaf| leaf.hash == hash) => Ok(()),
        Some(_) => refusal(format!("line {seq} differs from what was signed: run `auditx verify`")),
        None => match verify(directory, &VerifyOptions::new(), &mut |_, _| ())?.fault {
            Some(fault) => refusal(format!("the trail differs from what was signed: {fault}")),
            None => Ok(()),
        },
    }
}

/// Finds the line without comparing it with what was signed.
pub(crate) fn find_unchecked(directory: &Path, seq: u64) -> Result<Option<Line>> {
    let listing = Listing::of(directory)?;
    let begins_before = |segment: &Segment| segment.first_seq().is_some_and(|first_seq| first_seq <= seq);
    let in_sealed = || match listing.sealed.iter().rfind(|sealed| sealed.first_seq <= seq) {
        Some(sealed) => Segment::open_sealed(sealed),
        None => Ok(None),
    };
    let found = match listing.active {
        Some(Ok(mut active)) if begins_before(&active) => line_in(&mut active, seq)?,
        Some(Err(error)) => match in_segment(in_sealed()?, seq)? {
            None => return Err(error),
            found => found,
        },
        _ => in_segment(in_sealed()?, seq)?,
    };
    Ok(found)
}

fn in_segment(segment: Option<Segment>, seq: u64) -> Result<Option<Line>> {
    segment.map_or(Ok(None), |mut segment| line_in(&mut segment, seq))
}

fn line_in(segment: &mut Segment, seq: u64) -> Result<Option<Line>> {
    while let Some(line) = segment.next_line()? {
        if line.seq() == Some(seq) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}
