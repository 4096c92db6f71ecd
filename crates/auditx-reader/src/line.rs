//! A line of a trail, as stored, and its parsed entry.
//!
//! A line that is not an entry is an error of that line only, with its file and byte offset. Legacy lines (of
//! the Python package) have no sequence number and have spaces after their colons; they are entries too.

use std::path::Path;
use std::sync::Arc;

use auditx_format::line::StoredEntry;
use auditx_format::row::Row;
use auditx_tlog::parse_seq;

use crate::error::{Error, Result};

/// A line without its newline, and its position.
#[derive(Debug, Clone)]
pub struct Line {
    path: Arc<Path>,
    offset: u64,
    bytes: Vec<u8>,
    flaw: Option<Flaw>,
}

/// Why a line cannot be an entry, regardless of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The line has this many bytes; only its beginning was kept.
    TooLong(u64),
    /// The segment ends without a newline.
    Unfinished,
}

impl Line {
    pub(crate) fn new(path: Arc<Path>, offset: u64, bytes: Vec<u8>, flaw: Option<Flaw>) -> Self {
        Self { path, offset, bytes, flaw }
    }

    /// The line's number in the trail, read from its fixed position; `None` if it has none.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        parse_seq(&self.bytes)
    }

    /// The line as stored, without its newline.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file that contains the line.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The byte offset of the line; for a compressed file, the offset in the decompressed text.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Parses the line into an entry. Costs one pass over the line and an allocation for each field.
    ///
    /// # Errors
    /// The same as those of [`Line::row`].
    pub fn parse(&self) -> Result<StoredEntry> {
        self.row().map(|row| row.entry())
    }

    /// Parses the line into a row, whose fields borrow from it. Costs one pass over the line. Only this
    /// decides whether a line is an entry.
    ///
    /// # Errors
    /// `is_unreadable`, with file and offset, if the line is not an entry.
    pub fn row(&self) -> Result<Row<'_>> {
        let unreadable = |why: String| Error::unreadable(why, &self.path, self.offset);
        match self.flaw {
            Some(Flaw::TooLong(len)) => {
                Err(unreadable(format!("a line of {len} bytes is too long for an entry")))
            }
            Some(Flaw::Unfinished) => Err(unreadable("the file ends in the middle of a line".to_owned())),
            None => Row::read(&self.bytes).map_err(|why| unreadable(why.to_string())),
        }
    }
}

#[cfg(test)]
mod tests;
