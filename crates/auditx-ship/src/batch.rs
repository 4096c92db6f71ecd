//! Batches of lines, and the checkpoints that cover them.

use auditx_tlog::{Hash, SignedCheckpoint};

use crate::position::{Position, TrailId};

/// A line to be shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShippedLine {
    /// The line's sequence number in the trail.
    pub seq: u64,
    /// The line's leaf hash in the trail's Merkle tree.
    pub leaf_hash: Hash,
    /// The exact text without the newline. For a line that the destination refused, this is the stub of an
    /// erased line, which has the same leaf hash.
    pub line: String,
}

impl ShippedLine {
    /// Returns the line's sequence number and leaf hash.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { seq: self.seq, leaf_hash: self.leaf_hash }
    }
}

/// A signed checkpoint that covers all lines shipped with it, and possibly later ones.
#[derive(Debug, Clone)]
pub struct CoveringCheckpoint {
    /// The signed tree head.
    pub signed: SignedCheckpoint,
    /// Whether it belongs to a boundary, whose checkpoints the trail keeps: a sealed segment, a closed
    /// session, or a replaced key.
    pub is_boundary: bool,
}

/// A trail's id and origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailName {
    /// The trail's id.
    pub id: TrailId,
    /// The log name in the trail's checkpoints: `<origin>/auditx/<id>`.
    pub origin: String,
}

/// One or more consecutive lines of a trail, and a checkpoint that covers them.
#[derive(Debug, Clone)]
pub struct Batch {
    trail: TrailName,
    checkpoint: Option<CoveringCheckpoint>,
    lines: Vec<ShippedLine>,
}

impl Batch {
    /// Creates a batch. `None` if there are no lines or if they are not consecutive.
    #[must_use]
    pub fn new(
        trail: TrailName,
        checkpoint: Option<CoveringCheckpoint>,
        lines: Vec<ShippedLine>,
    ) -> Option<Self> {
        let are_consecutive = lines.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq);
        (!lines.is_empty() && are_consecutive).then_some(Self { trail, checkpoint, lines })
    }

    /// Returns the id of the lines' trail.
    #[must_use]
    pub fn trail(&self) -> TrailId {
        self.trail.id
    }

    /// Returns the log name in the trail's checkpoints.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.trail.origin
    }

    /// Returns the checkpoint whose last line is the last line of this batch. Stored with the lines, it
    /// proves all lines stored so far. `None` if the next checkpoint covers more lines than this batch.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&CoveringCheckpoint> {
        self.checkpoint.as_ref().filter(|checkpoint| checkpoint.signed.size() == self.last().seq + 1)
    }

    /// Returns the lines in order.
    #[must_use]
    pub fn lines(&self) -> &[ShippedLine] {
        &self.lines
    }

    /// Returns the sequence number of the first line.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.lines[0].seq
    }

    /// Returns the last line.
    #[must_use]
    pub fn last(&self) -> Position {
        self.lines[self.lines.len() - 1].position()
    }
}
