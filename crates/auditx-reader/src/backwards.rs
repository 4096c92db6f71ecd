//! Finds the beginning of the last N lines of a trail from its end. The time depends on N, not on the trail.
//!
//! Plain segments are read backwards in blocks; of the compressed ones only those that contain the N lines
//! are read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use auditx_store::SealedSegment;

use crate::error::{Error, Result};
use crate::file;
use crate::listing::Listing;
use crate::segment::Segment;

const BLOCK: usize = 64 * 1024;

/// Truncates a listing to its last `count` lines. Returns the first segment of them, positioned at its first
/// line.
///
/// A segment that cannot be read stays in the list: reading it forwards reports what is wrong with it.
pub(crate) fn truncate_to_last(listing: &mut Listing, count: u64) -> Result<Option<Segment>> {
    let mut missing = count;
    if let Some(Ok(active)) = &mut listing.active {
        missing -= move_to_last(active, missing, false)?;
    }
    let mut kept = 0;
    let mut first = None;
    for sealed in listing.sealed.iter().rev() {
        if missing == 0 {
            break;
        }
        kept += 1;
        first = open_at_last(sealed, missing).unwrap_or(None);
        missing -= first.as_ref().map_or(0, |(_, found)| *found);
    }
    listing.sealed.drain(..listing.sealed.len() - kept);
    if missing > 0 && !listing.legacy.is_empty() {
        // All lines of the sealed segments are needed, and older ones.
        return truncate_legacy(listing, missing);
    }
    listing.legacy.clear();
    if first.is_some() {
        listing.sealed.pop_front();
    }
    Ok(first.map(|(segment, _)| segment))
}

/// Truncates the files that the Python package rotated to their last `count` lines.
fn truncate_legacy(listing: &mut Listing, count: u64) -> Result<Option<Segment>> {
    let (mut missing, mut kept, mut first) = (count, 0, None);
    for path in listing.legacy.iter().rev() {
        if missing == 0 {
            break;
        }
        kept += 1;
        let Some(file) = file::open(path)? else { continue };
        let mut segment = Segment::plain(path, file);
        missing -= move_to_last(&mut segment, missing, true)?;
        first = Some(segment);
    }
    listing.legacy.drain(..listing.legacy.len() - kept);
    if first.is_some() {
        listing.legacy.pop_front();
    }
    Ok(first)
}

/// Opens a sealed segment at its last `count` lines. Also returns how many of them it has.
fn open_at_last(sealed: &SealedSegment, count: u64) -> Result<Option<(Segment, u64)>> {
    let Some(mut segment) = Segment::open_sealed(sealed)? else { return Ok(None) };
    if segment.plain_file().is_some() {
        let found = move_to_last(&mut segment, count, true)?;
        return Ok(Some((segment, found)));
    }
    // Damage ends the count; reading forwards stops at the same position.
    let lines = segment.count_lines();
    let Some(mut segment) = Segment::open_sealed(sealed)? else { return Ok(None) };
    segment.skip_lines(lines.saturating_sub(count))?;
    Ok(Some((segment, lines.min(count))))
}

/// Moves a plain segment to the beginning of its last `count` lines, and returns how many of them it has.
/// Bytes after the last newline count as a line in a sealed segment, but not in an active one.
fn move_to_last(segment: &mut Segment, count: u64, is_sealed: bool) -> Result<u64> {
    let Some(file) = segment.plain_file() else { return Ok(0) };
    let (start, found) = find_last(file, count, is_sealed)
        .map_err(|error| Error::storage("cannot read the segment backwards", segment.path(), error))?;
    segment.seek(start)?;
    Ok(found)
}

/// The offset of the last `count` lines, and how many there are.
fn find_last(file: &File, count: u64, is_sealed: bool) -> io::Result<(u64, u64)> {
    let mut end = file.metadata()?.len();
    let mut block = vec![0; BLOCK];
    // A newline ends a line, so the lines wanted begin after the newline that is found after `count` others.
    let mut newlines = 0;
    let mut is_last_byte = true;
    while end > 0 {
        let len = usize::try_from(end).unwrap_or(BLOCK).min(BLOCK);
        let start = end - len as u64;
        file.read_exact_at(&mut block[..len], start)?;
        if std::mem::take(&mut is_last_byte) && is_sealed && block[len - 1] != b'\n' {
            newlines += 1;
        }
        for at in memchr::memrchr_iter(b'\n', &block[..len]) {
            if newlines == count {
                return Ok((start + at as u64 + 1, count));
            }
            newlines += 1;
        }
        end = start;
    }
    Ok((0, newlines))
}
