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

impl Shipped {
    /// Its number and hash.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { seq: self.seq, leaf_hash: self.leaf_hash }
    }
}

/// What was signed over lines: all of those that are shipped with it, and perhaps more that follow.
#[derive(Debug, Clone)]
pub struct Note {
    /// The signed tree head.
    pub checkpoint: SignedCheckpoint,
    /// Whether it is one of those that the trail itself keeps: of a sealed segment, a closed session, a replaced key.
    pub is_boundary: bool,
}

/// A trail, and the name under which its tree heads are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailName {
    /// Its id.
    pub id: TrailId,
    /// `<origin>/auditx/<id>`
    pub origin: String,
}

/// Consecutive lines of one trail, at least one, and what was signed over them.
#[derive(Debug, Clone)]
pub struct Batch {
    trail: TrailName,
    note: Option<Note>,
    lines: Vec<Shipped>,
}

impl Batch {
    /// None where there is no line, or they do not follow each other.
    #[must_use]
    pub fn new(trail: TrailName, note: Option<Note>, lines: Vec<Shipped>) -> Option<Self> {
        let follow = lines.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq);
        (!lines.is_empty() && follow).then_some(Self { trail, note, lines })
    }

    /// The trail they are of.
    #[must_use]
    pub fn trail(&self) -> TrailId {
        self.trail.id
    }

    /// The name under which the trail's tree heads are signed.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.trail.origin
    }

    /// The note that ends with the last of these lines: who keeps it with them can prove all that is there by then. None while more
    /// lines follow before one does.
    #[must_use]
    pub fn note(&self) -> Option<&Note> {
        self.note.as_ref().filter(|note| note.checkpoint.size() == self.last().seq + 1)
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
        self.lines[self.lines.len() - 1].position()
    }
}
