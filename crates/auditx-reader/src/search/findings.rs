//! What a search finds in a unit, and where.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::Cursor;
use crate::error::Error;

/// What was found in a unit, or in a part of it.
#[derive(Default)]
pub(super) struct Findings {
    /// What the mapper wrote for the entries, one after the other.
    pub(super) text: Vec<u8>,
    /// The position of each entry, if positions are needed.
    pub(super) marks: Vec<Mark>,
    pub(super) found: u64,
    /// The number of entries that are not signed yet.
    pub(super) unsigned: u64,
    pub(super) errors: Vec<Error>,
    /// The seqs of the lines that were read or skipped, in search order.
    pub(super) seqs: Vec<Range<u64>>,
    /// Why the trail must be verified, if what was read differs from what was signed.
    pub(super) verify_reason: Option<String>,
    /// The number of bytes of the trail's files that are done.
    pub(super) read: u64,
}

/// The position of an entry among findings.
pub(super) struct Mark {
    /// The end of its text.
    pub(super) end: usize,
    pub(super) seq: Option<u64>,
    pub(super) path: Arc<Path>,
    pub(super) offset: u64,
    pub(super) is_unsigned: bool,
}

impl Mark {
    pub(super) fn cursor(&self) -> Cursor {
        Cursor::of(self.seq, &self.path, self.offset)
    }
}
