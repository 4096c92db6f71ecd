//! A point of the trail, in the two measures in which it is counted.

/// A point of the trail, in both measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Covers every line with a lower seq.
    pub(crate) lines: u64,
    /// Covers every entry before this position.
    pub(crate) position: u64,
}
