//! The first fault of a trail: its kind and where it is.

use std::fmt;

use serde::Serialize;

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultKind {
    /// A line differs from what was signed.
    Altered,
    /// A line is missing.
    Missing,
    /// A line, or a whole segment, was inserted.
    Inserted,
    /// Lines or segments are not in the order in which they were written.
    Reordered,
    /// The trail ends before the last line that a checkpoint names.
    Truncated,
    /// A checkpoint was signed for a different history than these lines.
    Forked,
    /// A signature of the checkpoint is invalid for its key.
    BadSignature,
    /// The checkpoint is signed with a key that may not sign it.
    WrongKey,
    /// The trail has no checkpoint, or the checkpoint has no signature.
    Unsigned,
    /// The checkpoint cannot be parsed.
    MalformedCheckpoint,
    /// The checkpoint, the identity or the first line belongs to another trail.
    ForeignLog,
    /// A checkpoint recorded in the trail is false.
    FalseRecord,
    /// A line was replaced by a stub without a signed record of its erasure, or by the stub of another line.
    BadErasure,
    /// A compressed segment cannot be decompressed, or has data after its end.
    Damaged,
    /// Something other than a regular file has the name of a file.
    NotAFile,
}

/// The first fault of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The first line concerned; `None` if the fault is not in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The name of the segment that holds the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The byte offset in that segment; in a compressed segment, in its decompressed text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The message to display.
    pub message: String,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, seq: None, segment: None, offset: None, message: message.into() }
    }

    /// Whether the fault is in the checkpoint itself, so that it cannot be trusted whatever the lines are.
    pub(crate) fn is_of_signature(&self) -> bool {
        matches!(
            self.kind,
            FaultKind::BadSignature
                | FaultKind::WrongKey
                | FaultKind::Unsigned
                | FaultKind::MalformedCheckpoint
                | FaultKind::ForeignLog
        )
    }

    pub(super) fn at(mut self, seq: u64) -> Self {
        self.seq = Some(seq);
        self
    }

    pub(super) fn within(mut self, segment: impl Into<String>, offset: u64) -> Self {
        (self.segment, self.offset) = (Some(segment.into()), Some(offset));
        self
    }

    pub(super) fn in_segment(mut self, segment: impl Into<String>) -> Self {
        self.segment = Some(segment.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (&self.segment, self.offset) {
            (Some(segment), Some(offset)) => write!(f, " ({segment}, byte {offset})"),
            (Some(segment), None) => write!(f, " ({segment})"),
            _ => Ok(()),
        }
    }
}
