//! The entries that a search finds in a unit, and where each is.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::Cursor;
use super::check::Checked;
use crate::error::Error;

/// What was found in a unit, or in a part of it.
#[derive(Default)]
pub(super) struct Findings {
    /// What the mapper wrote for the entries, one after the other.
    pub(super) text: Vec<u8>,
    /// Where each entry is, if cursors are needed.
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

impl Findings {
    /// How many of the first `taken` entries are not signed yet.
    pub(super) fn unsigned_of(&self, taken: u64) -> u64 {
        if taken == self.found {
            return self.unsigned;
        }
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        self.marks.iter().take(taken).filter(|mark| mark.is_unsigned).count() as u64
    }

    pub(super) fn check(&mut self, checked: Checked) {
        match checked {
            Ok(seqs) => self.seqs.extend(seqs),
            Err(why) => drop(self.verify_reason.get_or_insert(why)),
        }
    }
}

/// Where an entry is.
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
