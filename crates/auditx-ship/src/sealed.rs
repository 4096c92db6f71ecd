//! Sealed segments out of a trail, as far as they are signed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use auditx_core::{
    ACTIVE, SignedCheckpoint, TrailReader, checkpoint_history, checkpoint_path, leaf_of, parse_seq,
    sealed_segments,
};
use sha2::{Digest, Sha256};

use crate::archive::PackedSegment;
use crate::batch::{Note, TrailName};
use crate::destination::Position;
use crate::error::{Error, Result};
use crate::feed::{name_of, read_note};

/// What is worth its time for something that is kept for years.
const LEVEL: i32 = 9;

/// Which lines a segment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

#[derive(Debug)]
pub(crate) struct SealedFeed {
    directory: PathBuf,
}

impl SealedFeed {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Which trail it is, what was signed last, and the segments that are sealed and signed; none before anything is signed.
    pub(crate) fn look(&self) -> Result<Option<(TrailName, SignedCheckpoint, Vec<Extent>)>> {
        let Some(checkpoint) = read_note(&checkpoint_path(&self.directory))? else { return Ok(None) };
        let mut extents = self.extents()?;
        extents.retain(|extent| extent.end <= checkpoint.size());
        Ok(Some((name_of(&checkpoint)?, checkpoint, extents)))
    }

    /// The last one ends where the active one begins; where that is sealed just now, it is for the next look.
    fn extents(&self) -> Result<Vec<Extent>> {
        let firsts = || -> Result<Vec<u64>> {
            let sealed = sealed_segments(&self.directory).map_err(Error::new)?;
            Ok(sealed.iter().map(|segment| segment.first_seq).collect())
        };
        let before = firsts()?;
        let active = self.first_of_active()?;
        let mut begins = before.clone();
        begins.extend(active.filter(|_| firsts().is_ok_and(|after| after == before)));
        Ok(begins.windows(2).map(|pair| Extent { first: pair[0], end: pair[1] }).collect())
    }

    fn first_of_active(&self) -> Result<Option<u64>> {
        let path = self.directory.join(ACTIVE);
        let failed = |error| Error::new(format!("cannot read {}: {error}", path.display()));
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed)?,
        };
        let mut line = Vec::new();
        BufReader::new(file).read_until(b'\n', &mut line).map_err(failed)?;
        Ok(line.strip_suffix(b"\n").and_then(parse_seq))
    }

    /// Its lines, wherever they are by now: plain, compressed, some of them erased. Holds the packed text in memory.
    pub(crate) fn pack(&self, trail: &TrailName, extent: Extent) -> Result<PackedSegment> {
        let Extent { first, end } = extent;
        let mut reader = TrailReader::new(&self.directory, first);
        let mut packer = zstd::Encoder::new(Vec::new(), LEVEL).map_err(Error::new)?;
        packer.include_checksum(true).map_err(Error::new)?;
        let (mut hasher, mut bytes, mut last) = (Sha256::new(), 0, None);
        while reader.position() < end {
            let Some((seq, line)) = reader.next_line().map_err(Error::new)? else { break };
            let Some(leaf) = leaf_of(line) else {
                return Err(Error::new(format!("line {seq} is damaged: see `auditx verify`")));
            };
            last = Some(Position { seq, leaf_hash: leaf.hash });
            for part in [line, b"\n"] {
                hasher.update(part);
                packer.write_all(part).map_err(Error::new)?;
                bytes += part.len() as u64;
            }
        }
        let last = last.filter(|last| last.seq + 1 == end);
        let last =
            last.ok_or_else(|| Error::new(format!("lines {first} to {} are not there just now", end - 1)))?;
        let packed = packer.finish().map_err(Error::new)?;
        let note = self.note_at(end)?;
        Ok(PackedSegment {
            trail: trail.clone(),
            first,
            last,
            sha256: hasher.finalize().into(),
            bytes,
            note,
            packed,
        })
    }

    /// The note that ends there, else the newest.
    fn note_at(&self, end: u64) -> Result<Note> {
        if let Some(checkpoint) = read_note(&checkpoint_history(&self.directory).join(end.to_string()))? {
            return Ok(Note { checkpoint, is_boundary: true });
        }
        let newest = read_note(&checkpoint_path(&self.directory))?;
        let checkpoint = newest.ok_or_else(|| Error::new("the trail's checkpoint is gone"))?;
        Ok(Note { checkpoint, is_boundary: false })
    }
}

/// The directory, for those who keep something beside it.
impl AsRef<Path> for SealedFeed {
    fn as_ref(&self) -> &Path {
        &self.directory
    }
}
