//! The first thing that is not as it was signed: what kind of thing, and where.

use std::fmt;

use serde::Serialize;

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultKind {
    /// A line is not the one that was signed.
    Altered,
    /// A line is gone.
    Missing,
    /// A line, or a whole segment, was put in between.
    Inserted,
    /// Lines or segments do not stand where they were written.
    Reordered,
    /// The trail ends before what a checkpoint names.
    Truncated,
    /// Two histories were signed, and this one is not the one that somebody knows.
    Forked,
    /// A signature of the checkpoint is not that of its key.
    BadSignature,
    /// Another key signed the checkpoint than the ones that may.
    WrongKey,
    /// There is no checkpoint, or no signature under it.
    Unsigned,
    /// The checkpoint cannot be read as one.
    MalformedCheckpoint,
    /// The checkpoint, the identity or the first line is of another trail.
    ForeignLog,
    /// A checkpoint recorded in the trail says what was not so.
    FalseRecord,
    /// A stub stands in the place of a line without a signed record of its erasure, or is not of that line.
    BadErasure,
    /// A compressed segment cannot be decompressed, or has something after its end.
    Damaged,
    /// Something else stands in the place of a file.
    NotAFile,
}

/// The first fault of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// What kind of thing.
    pub kind: FaultKind,
    /// The first line concerned, by its number in the trail; none where no single line is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The name of the file it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Where in it, in bytes; in a compressed segment, of its decompressed text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What, in words.
    pub message: String,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, seq: None, segment: None, offset: None, message: message.into() }
    }

    /// Whether the checkpoint itself is not to be believed, whatever the lines are.
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
