//! The manifest of an archived segment: its lines, its digests, and a checkpoint that covers it.

use auditx_ship::{PackedSegment, Position};
use auditx_tlog::{Hash, SignedCheckpoint, hash_from_hex, to_hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The log name in the trail's checkpoints, `<origin>/auditx/<id>`.
    pub(crate) origin: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The size of the lines in bytes, newlines included.
    pub(crate) bytes: u64,
    /// The digest of the lines.
    pub(crate) sha256: String,
    /// The digest of the compressed object.
    pub(crate) packed_sha256: String,
    /// The leaf hash of the last line.
    pub(crate) leaf_hash: String,
    /// The checkpoint, as a C2SP signed note.
    pub(crate) note: String,
}

impl Manifest {
    pub(crate) fn of(segment: &PackedSegment) -> Self {
        Self {
            origin: segment.trail.origin.clone(),
            first: segment.first,
            last: segment.last.seq,
            bytes: segment.bytes,
            sha256: to_hex(&segment.sha256),
            packed_sha256: digest(&segment.packed),
            leaf_hash: to_hex(&segment.last.leaf_hash),
            note: segment.checkpoint.signed.as_str().to_owned(),
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::refused(format!("invalid manifest: {error}")))
    }

    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(Error::refused)
    }

    pub(crate) fn last(&self) -> Result<Position> {
        let leaf_hash: Option<Hash> = hash_from_hex(&self.leaf_hash);
        let leaf_hash = leaf_hash.ok_or_else(|| Error::refused("invalid leaf hash in a manifest"))?;
        Ok(Position { seq: self.last, leaf_hash })
    }

    pub(crate) fn checkpoint(&self) -> Option<SignedCheckpoint> {
        SignedCheckpoint::parse(self.note.as_bytes()).ok()
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    to_hex(Sha256::digest(bytes).as_slice())
}

/// Returns the name of a segment without its suffix, `<trail>/<first>-<last>-<sha256>`. The order of names is
/// the order of lines.
pub(crate) fn stem(segment: &PackedSegment) -> String {
    let PackedSegment { trail, first, last, sha256, .. } = segment;
    format!("{}/{first:020}-{:020}-{}", trail.id, last.seq, to_hex(sha256))
}

/// The suffix of a segment's name.
pub(crate) const LINES: &str = ".jsonl.zst";
/// The suffix of a manifest's name.
pub(crate) const MANIFEST: &str = ".json";
