//! Where the last N lines of a trail begin, found from its end: the time it takes depends on N, not on the trail.
//!
//! Plain segments are read backwards block by block; of compressed ones only those that the N lines reach are read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use auditx_core::SealedSegment;

use crate::error::{Error, Result};
use crate::file;
use crate::listing::Listing;
use crate::segment::Segment;

const BLOCK: usize = 64 * 1024;

/// Cuts a listing down to its last `count` lines, the first segment of them opened at its first line.
///
/// A segment that cannot be read stays in the list: reading it forwards says what is wrong with it.
pub(crate) fn cut_to_last(listing: &mut Listing, count: u64) -> Result<Option<Segment>> {
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
        // All lines of the sealed segments are wanted, and older ones.
        return cut_legacy(listing, missing);
    }
    listing.legacy.clear();
    if first.is_some() {
        listing.sealed.pop_front();
    }
    Ok(first.map(|(segment, _)| segment))
}

/// Cuts the files that the Python package rotated down to their last `count` lines.
fn cut_legacy(listing: &mut Listing, count: u64) -> Result<Option<Segment>> {
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

/// A sealed segment opened at its last `count` lines, and how many it has of them.
fn open_at_last(sealed: &SealedSegment, count: u64) -> Result<Option<(Segment, u64)>> {
    let Some(mut segment) = Segment::open_sealed(sealed)? else { return Ok(None) };
    if segment.plain_file().is_some() {
        let found = move_to_last(&mut segment, count, true)?;
        return Ok(Some((segment, found)));
    }
    // Damage ends the count; reading forwards meets it at the same place.
    let lines = segment.count_lines();
    let Some(mut segment) = Segment::open_sealed(sealed)? else { return Ok(None) };
    segment.skip_lines(lines.saturating_sub(count))?;
    Ok(Some((segment, lines.min(count))))
}

/// Moves a plain segment to where its last `count` lines begin and says how many it has of them. Bytes after the last
/// newline are a line of a sealed segment, and none yet of an active one.
fn move_to_last(segment: &mut Segment, count: u64, is_sealed: bool) -> Result<u64> {
    let Some(file) = segment.plain_file() else { return Ok(0) };
    let (start, found) = find_last(file, count, is_sealed)
        .map_err(|error| Error::storage("cannot read the segment backwards", segment.path(), error))?;
    segment.seek(start)?;
    Ok(found)
}

/// Where the last `count` lines begin, and how many there are.
fn find_last(file: &File, count: u64, is_sealed: bool) -> io::Result<(u64, u64)> {
    let mut end = file.metadata()?.len();
    let mut block = vec![0; BLOCK];
    // Newlines end lines: the one before the wanted lines is the one that was met after `count` others.
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
