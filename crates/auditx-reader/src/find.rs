//! One line by its number.

use std::path::Path;

use crate::error::Result;
use crate::line::Line;
use crate::listing::Listing;
use crate::segment::Segment;

/// The line with this number; none where the trail does not hold it: not yet, or not any more. Costs reading its segment
/// up to it.
///
/// # Errors
/// `is_missing` where there is no such directory; `is_storage`, `is_refused` or `is_corrupt` where the segment that must
/// hold the line cannot be read.
pub fn find_line(directory: &Path, seq: u64) -> Result<Option<Line>> {
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
