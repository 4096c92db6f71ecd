//! What a look at the names, the lengths and the ends of a trail's files says about it, before it is opened for writing.
//!
//! It finds a segment that is missing, cut, emptied, replaced or under another name, and a trail that was rolled back to an
//! older checkpoint. It costs a few small reads for each segment, whatever its size: that no line was altered is for `auditx
//! verify` to say.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;

use super::{check_latest, disagreement};
use crate::checkpoint::SignedCheckpoint;
use crate::control::control_lines;
use crate::dir::{Access, Dir};
use crate::error::{Error, Result};
use crate::key::VerifierKey;
use crate::line::{SEQ_PREFIX, leaf_of, parse_seq};
use crate::notary::CHECKPOINTS;
use crate::own_record::retired_frontier;
use crate::segment::{Extent, Frame, SealedSegment, last_line};
use crate::tiles::Tiles;
use crate::tree::Hash;

/// The longest beginning of a line that contains its number.
const PREFIX: usize = SEQ_PREFIX.len() + 20 + 1;

/// Compares the sealed segments whose lines are signed with their names, with each other, and with the cache of tree nodes.
/// `active` is the number of the first line of the active segment.
///
/// # Errors
/// `is_corrupt`, naming the first segment that is wrong; `is_storage` if one cannot be opened.
pub(super) fn check_segments(
    directory: &Dir,
    sealed: &[SealedSegment],
    active: Option<u64>,
    signed: u64,
) -> Result<()> {
    // The others are segments whose lines the active one holds again.
    let kept = sealed.partition_point(|segment| active.is_none_or(|active| segment.first_seq < active));
    let sealed = &sealed[..kept];
    let Some(first) = sealed.first().map(|segment| segment.first_seq).or(active) else { return Ok(()) };
    check_beginning(directory, first)?;
    let tiles = Tiles::open(directory);
    for (place, segment) in sealed.iter().enumerate() {
        let next = sealed.get(place + 1).map(|next| next.first_seq).or(active);
        if next.unwrap_or(u64::MAX) > signed && !segment.compressed {
            // A crash may have left it as it is: the end of the trail is examined line by line.
            break;
        }
        let failed = |error| Error::storage("cannot examine a sealed segment", &segment.path, error);
        let file = directory.open(segment.name(), Access::READ).map_err(failed)?;
        let end = examine(directory, segment, &file, &tiles).map_err(failed)?;
        let end = end.map_err(|what| disagreement(what, segment.first_seq).at(&segment.path))?;
        if let (Some(end), Some(next)) = (end, next)
            && end != next
        {
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

/// Refuses a trail without its beginning, if no record says that it was retired.
fn check_beginning(directory: &Dir, first: u64) -> Result<()> {
    let Some(lines) = control_lines(directory)?.filter(|_| first > 0) else { return Ok(()) };
    let retired = lines.iter().filter_map(|line| retired_frontier(line)).map(|tree| tree.end()).max();
    if retired.unwrap_or(0) >= first {
        return Ok(());
    }
    let what = format!(
        "lines {} to {} are missing, and no record says that they were retired",
        retired.unwrap_or(0),
        first - 1
    );
    Err(disagreement(what, retired.unwrap_or(0)).at(directory.path()))
}

/// The number after the last line of a segment, as far as that is known without reading it; the error says what is wrong.
fn examine(
    directory: &Dir,
    segment: &SealedSegment,
    file: &File,
    tiles: &Tiles,
) -> io::Result<Result<Option<u64>, String>> {
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
        return Ok(check_last(tiles, end - 1, extent.last_leaf).map(|()| Some(end)));
    }
    // There is no index, it is of another text, or it is damaged, so the segment itself is asked.
    let damaged = |error| Ok(Err(format!("the compressed segment is damaged: {error}")));
    match first_seq_of(segment, file) {
        Ok(found) if found == Some(segment.first_seq) => {}
        Ok(_) => return Ok(Err(format!("the segment does not begin with line {}", segment.first_seq))),
        Err(error) if segment.compressed => return damaged(error),
        Err(error) => return Err(error),
    }
    if segment.compressed {
        return match count_lines(file) {
            Ok(lines) => Ok(Ok(Some(segment.first_seq + lines))),
            Err(error) => damaged(error),
        };
    }
    let Some(last) = leaf_of(&last_line(file)?) else {
        return Ok(Err("the end of the segment is not a line".to_owned()));
    };
    Ok(check_last(tiles, last.seq, last.hash).map(|()| Some(last.seq + 1)))
}

/// Compares the last line of a segment with the cache, if that has it.
fn check_last(tiles: &Tiles, seq: u64, hash: Hash) -> Result<(), String> {
    let mut recorded = [Hash::default()];
    if tiles.leaves(seq, &mut recorded) == 1 && recorded[0] != hash {
        return Err(format!("line {seq}, the last of the segment, is not the line that was signed"));
    }
    Ok(())
}

/// Where the first hole begins, on a file system that tells.
fn hole_in(file: &File, len: u64) -> Option<u64> {
    // Only the offset moves, and no other reader shares it.
    rustix::fs::seek(file, SeekFrom::Hole(0)).ok().filter(|hole| *hole < len)
}

fn first_seq_of(segment: &SealedSegment, file: &File) -> io::Result<Option<u64>> {
    let mut head = [0; PREFIX];
    let filled = if segment.compressed {
        Frame::new(At { file, offset: 0 })?.read_exact(&mut head)?;
        PREFIX
    } else {
        file.read_at(&mut head, 0)?
    };
    Ok(parse_seq(&head[..filled]))
}

fn count_lines(file: &File) -> io::Result<u64> {
    let mut text = Frame::new(At { file, offset: 0 })?;
    let (mut block, mut count) = (vec![0; 128 * 1024], 0);
    loop {
        match text.read(&mut block)? {
            0 => return Ok(count),
            read => count += memchr::memchr_iter(b'\n', &block[..read]).count() as u64,
        }
    }
}

/// A file read from an offset on, whatever others read of it.
struct At<'f> {
    file: &'f File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// The newest checkpoint that this key signed: `latest`, or one of those that are kept beside it. A process that died after
/// it kept a checkpoint and before it published that one left a newer one there; so does another program that puts an older
/// `checkpoint` back.
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
