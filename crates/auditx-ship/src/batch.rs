//! Lines on their way to a destination.

use auditx_core::{Hash, SignedCheckpoint};

use crate::destination::{Position, TrailId};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// Its number in the trail.
    pub seq: u64,
    /// Its hash in the trail's tree.
    pub leaf_hash: Hash,
    /// The exact text, without its newline; of one that the destination refused, the stub of an erased line, which has the same
    /// leaf.
    pub line: String,
}

/// Consecutive lines of one trail, at least one, and what was signed over them.
#[derive(Debug, Clone)]
pub struct Batch {
    trail: TrailId,
    checkpoint: SignedCheckpoint,
    lines: Vec<Shipped>,
}

impl Batch {
    /// None where there is no line, or they do not follow each other.
    #[must_use]
    pub fn new(trail: TrailId, checkpoint: SignedCheckpoint, lines: Vec<Shipped>) -> Option<Self> {
        let follow = lines.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq);
        (!lines.is_empty() && follow).then_some(Self { trail, checkpoint, lines })
    }

    /// The trail they are of.
    #[must_use]
    pub fn trail(&self) -> TrailId {
        self.trail
    }

    /// What was signed last when they were read; it covers all of them.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The lines in their order.
    #[must_use]
    pub fn lines(&self) -> &[Shipped] {
        &self.lines
    }

    /// The number of the first line.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.lines[0].seq
    }

    /// The last line.
    #[must_use]
    pub fn last(&self) -> Position {
        let last = &self.lines[self.lines.len() - 1];
        Position { seq: last.seq, leaf_hash: last.leaf_hash }
    }
}
