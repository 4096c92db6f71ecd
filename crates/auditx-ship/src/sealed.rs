//! Finds and compresses the sealed segments of a trail that a signed checkpoint covers.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use auditx_store::{ACTIVE, TrailReader, sealed_segments};
use auditx_tlog::{Policy, SignedCheckpoint, leaf_of, parse_seq};
use sha2::{Digest, Sha256};

use crate::archive::PackedSegment;
use crate::batch::{CoveringCheckpoint, TrailName};
use crate::covering::Checkpoints;
use crate::error::{Error, Result};
use crate::feed::name_of;
use crate::position::Position;

/// The Zstandard level; high, because archived segments are stored for years.
const LEVEL: i32 = 9;

/// The lines of a segment: `first` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

#[derive(Debug)]
pub(crate) struct SealedFeed {
    directory: PathBuf,
    checkpoints: Checkpoints,
    /// The checkpoint that covers the segments that were found last.
    signed: Option<SignedCheckpoint>,
}

impl SealedFeed {
    /// With a policy, only segments that its witnesses cosigned are found.
    pub(crate) fn new(directory: PathBuf, policy: Option<Policy>) -> Self {
        Self { checkpoints: Checkpoints::new(&directory, policy), directory, signed: None }
    }

    /// Returns the trail, its latest checkpoint, and its sealed segments that the checkpoint covers. `None`
    /// if nothing is signed yet.
    pub(crate) fn refresh(&mut self) -> Result<Option<(TrailName, SignedCheckpoint, Vec<Extent>)>> {
        let Some(checkpoint) = self.checkpoints.latest(self.signed.as_ref())? else { return Ok(None) };
        self.signed = Some(checkpoint.clone());
        let mut extents = self.extents()?;
        extents.retain(|extent| extent.end <= checkpoint.size());
        Ok(Some((name_of(&checkpoint)?, checkpoint, extents)))
    }

    /// Returns the extents of the sealed segments. The last one ends at the first line of the active segment;
    /// if the active segment is sealed during this call, the last one is left to the next call.
    fn extents(&self) -> Result<Vec<Extent>> {
        let first_seqs = || -> Result<Vec<u64>> {
            let sealed = sealed_segments(&self.directory).map_err(Error::new)?;
            Ok(sealed.iter().map(|segment| segment.first_seq).collect())
        };
        let before = first_seqs()?;
        let active = self.first_of_active()?;
        let mut starts = before.clone();
        starts.extend(active.filter(|_| first_seqs().is_ok_and(|after| after == before)));
        Ok(starts.windows(2).map(|pair| Extent { first: pair[0], end: pair[1] }).collect())
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

    /// Compresses the lines of a segment, which may be plain or compressed and may include erased lines.
    /// Holds the compressed segment in memory.
    pub(crate) fn pack(&mut self, trail: &TrailName, extent: Extent) -> Result<PackedSegment> {
        let Extent { first, end } = extent;
        if let Some(signed) = &self.signed {
            self.checkpoints.compare(first, signed)?;
        }
        let mut reader = TrailReader::new(&self.directory, first);
        let mut packer = zstd::Encoder::new(Vec::new(), LEVEL).map_err(Error::new)?;
        packer.include_checksum(true).map_err(Error::new)?;
        let (mut hasher, mut bytes, mut last) = (Sha256::new(), 0, None);
        while reader.next_seq() < end {
            let Some((seq, line)) = reader.next_line().map_err(Error::new)? else { break };
            let Some(leaf) = leaf_of(line) else {
                return Err(Error::new(format!("line {seq} is damaged; run `auditx verify` for details")));
            };
            last = Some(Position { seq, leaf_hash: leaf.hash });
            for part in [line, b"\n"] {
                hasher.update(part);
                packer.write_all(part).map_err(Error::new)?;
                bytes += part.len() as u64;
            }
        }
        let last = last.filter(|last| last.seq + 1 == end);
        let last = last.ok_or_else(|| {
            Error::new(format!("lines {first} to {} cannot be read at the moment", end - 1))
        })?;
        let packed = packer.finish().map_err(Error::new)?;
        let checkpoint = self.checkpoint_for(end)?;
        Ok(PackedSegment {
            trail: trail.clone(),
            first,
            last,
            sha256: hasher.finalize().into(),
            bytes,
            checkpoint,
            packed,
        })
    }

    /// Returns the checkpoint of the boundary of this size, otherwise the one up to which lines may be
    /// shipped.
    fn checkpoint_for(&self, end: u64) -> Result<CoveringCheckpoint> {
        if let Some(signed) = self.checkpoints.boundary(end)? {
            return Ok(CoveringCheckpoint { signed, is_boundary: true });
        }
        let newest = self.checkpoints.latest(self.signed.as_ref())?;
        let signed = newest.ok_or_else(|| Error::new("the trail's checkpoint file was removed"))?;
        Ok(CoveringCheckpoint { signed, is_boundary: false })
    }
}

/// Returns the trail's directory.
impl AsRef<Path> for SealedFeed {
    fn as_ref(&self) -> &Path {
        &self.directory
    }
}
