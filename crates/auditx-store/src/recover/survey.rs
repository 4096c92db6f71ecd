//! Checks the names, lengths and ends of a trail's files before the trail is opened for writing.
//!
//! This finds a segment that is missing, truncated, emptied, replaced or renamed, and a trail that was rolled
//! back to an older checkpoint. It costs a few small reads per segment, regardless of its size. It does not
//! find altered lines; `auditx verify` does.

use std::fs::File;
use std::io::{self, BufRead, Read};

use auditx_format::control_record::StoredRecord;
use auditx_format::{Error, Result};
use auditx_tlog::{Hash, LONGEST_SEQ, SignedCheckpoint, VerifierKey, leaf_of, parse_seq};
use rustix::fs::SeekFrom;

use super::{check_latest, disagreement};
use crate::checkpoint_signer::CHECKPOINTS;
use crate::control::control_lines;
use crate::dir::{Access, Dir};
use crate::segment::{Extent, SealedSegment, last_line, open_segment};
use crate::tiles::Tiles;

/// Compares the sealed segments whose lines are signed with their names, with each other, and with the tile
/// cache. `active` is the first sequence number of the active segment.
///
/// # Errors
/// `is_corrupt`, with the first segment that is wrong; `is_storage` if one cannot be opened.
pub(super) fn check_segments(
    directory: &Dir,
    sealed: &[SealedSegment],
    active: Option<u64>,
    signed: u64,
    tiles: &Tiles,
) -> Result<()> {
    // The others are segments whose lines the active segment contains again.
    let count = sealed.partition_point(|segment| active.is_none_or(|active| segment.first_seq < active));
    let sealed = &sealed[..count];
    for (index, segment) in sealed.iter().enumerate() {
        let next = sealed.get(index + 1).map(|next| next.first_seq).or(active);
        if next.unwrap_or(u64::MAX) > signed && !segment.compressed {
            // A crash may have left it unfinished. The end of the trail is examined line by line instead.
            break;
        }
        let failed = |error| Error::storage("cannot examine a sealed segment", &segment.path, error);
        let file = directory.open(segment.name(), Access::READ).map_err(failed)?;
        let end = examine(directory, segment, &file, tiles).map_err(failed)?;
        let end = end.map_err(|what| disagreement(what, segment.first_seq).at(&segment.path))?;
        if let Some(next) = next.filter(|next| *next != end) {
            let what = if end < next {
                format!("lines {end} to {} are missing: the segment before them ends there", next - 1)
            } else {
                format!("the segment ends with line {}, and the next one begins with line {next}", end - 1)
            };
            return Err(disagreement(what, end.min(next)).at(&segment.path));
        }
    }
    Ok(())
}

/// Returns whether a control record in the tree states that the lines before this one were retired.
pub(super) fn is_retired(directory: &Dir, first: u64, tiles: &Tiles) -> bool {
    let lines = control_lines(directory).ok().flatten().unwrap_or_default();
    let is_retirement = |line: &Vec<u8>| {
        matches!(StoredRecord::read(line), Some(StoredRecord::Retired { frontier }) if frontier.end() >= first)
            && leaf_of(line).is_some_and(|leaf| tiles.holds(leaf))
    };
    lines.iter().any(is_retirement)
}

/// Returns the sequence number after the last line of a segment; the inner error describes what is wrong with
/// it.
fn examine(
    directory: &Dir,
    segment: &SealedSegment,
    file: &File,
    tiles: &Tiles,
) -> io::Result<Result<u64, String>> {
    let len = file.metadata()?.len();
    if len == 0 {
        return Ok(Err("the segment is empty".to_owned()));
    }
    if let Some(hole) = hole_in(file, len) {
        return Ok(Err(format!("the segment has a hole from byte {hole} on: part of it was never written")));
    }
    let extent = Extent::read(directory, segment);
    if let Some(extent) = extent
        && extent.is_of(file, segment.compressed)?
    {
        let end = segment.first_seq + extent.lines;
        return Ok(check_last(tiles, end - 1, extent.last_leaf).map(|()| end));
    }
    // There is no index, or it is damaged or belongs to other contents, so the segment itself is read.
    let damaged = |error| Ok(Err(format!("the compressed segment is damaged: {error}")));
    let mut text = open_segment(directory, &segment.name(), segment.compressed)?;
    let mut head = Vec::new();
    match text.by_ref().take(LONGEST_SEQ as u64).read_to_end(&mut head) {
        Ok(_) if parse_seq(&head) == Some(segment.first_seq) => {}
        Ok(_) => return Ok(Err(format!("the segment does not begin with line {}", segment.first_seq))),
        Err(error) if segment.compressed => return damaged(error),
        Err(error) => return Err(error),
    }
    if segment.compressed {
        return match lines_in(text) {
            Ok(lines) => Ok(Ok(segment.first_seq + lines)),
            Err(error) => damaged(error),
        };
    }
    let Some(last) = leaf_of(&last_line(file)?) else {
        return Ok(Err("the end of the segment is not a line".to_owned()));
    };
    Ok(check_last(tiles, last.seq, last.hash).map(|()| last.seq + 1))
}

/// Compares the last line of a segment with the tile cache, if the cache contains it.
fn check_last(tiles: &Tiles, seq: u64, hash: Hash) -> Result<(), String> {
    let mut recorded = [Hash::default()];
    if tiles.leaves(seq, &mut recorded) == 1 && recorded[0] != hash {
        return Err(format!("line {seq}, the last of the segment, is not the line that was signed"));
    }
    Ok(())
}

/// Returns the offset of the first hole, if the file system reports holes.
fn hole_in(file: &File, len: u64) -> Option<u64> {
    // This only moves the file offset, which no other reader shares.
    rustix::fs::seek(file, SeekFrom::Hole(0)).ok().filter(|hole| *hole < len)
}

fn lines_in(mut text: impl BufRead) -> io::Result<u64> {
    let mut count = 0;
    loop {
        let block = text.fill_buf()?;
        if block.is_empty() {
            return Ok(count);
        }
        count += memchr::memchr_iter(b'\n', block).count() as u64;
        let len = block.len();
        text.consume(len);
    }
}

/// Returns the newest checkpoint that this key signed: `latest`, or one of those kept in
/// `.auditx/checkpoints`. A newer one is there if a process died after it kept a checkpoint and before it
/// published it, or if another program restored an older `checkpoint`.
///
/// # Errors
/// `is_storage` if the directory cannot be listed.
pub(super) fn newest(
    directory: &Dir,
    latest: SignedCheckpoint,
    key: &VerifierKey,
) -> Result<SignedCheckpoint> {
    let names = match directory.list(CHECKPOINTS) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(latest),
        Err(error) => {
            return Err(Error::storage("cannot list the checkpoints", directory.join(CHECKPOINTS), error));
        }
    };
    let size = latest.size();
    let mut newer: Vec<u64> =
        names.iter().filter_map(|name| name.to_str()?.parse().ok()).filter(|kept| *kept > size).collect();
    newer.sort_unstable();
    let is_of_key = |kept: &u64| {
        let bytes = directory.read(format!("{CHECKPOINTS}/{kept}")).ok()?;
        let note = SignedCheckpoint::parse(&bytes).ok()?;
        (note.size() == *kept && check_latest(&note, key).is_ok()).then_some(note)
    };
    Ok(newer.iter().rev().find_map(is_of_key).unwrap_or(latest))
}
