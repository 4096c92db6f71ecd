//! One line of a trail as it stands on disk, and what it says.
//!
//! Reading is tolerant: a line that is no entry is an error of that line alone, with its file and its offset. Lines of
//! the origin, the Python package, have no sequence number and spaces after their colons; they are entries too.

use std::path::Path;
use std::sync::Arc;

use auditx_core::{Row, StoredEntry, parse_seq};

use crate::error::{Error, Result};

/// What only the trail's own records hold: user data never has this name, and in a string it would have backslashes.
pub(crate) const OWN_RECORD: &[u8] = b"\"auditx\":{";

/// One line, without its newline, and where it stands.
#[derive(Debug, Clone)]
pub struct Line {
    path: Arc<Path>,
    offset: u64,
    bytes: Vec<u8>,
    flaw: Option<Flaw>,
}

/// Why a line cannot be an entry, whatever its bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// So many bytes up to its newline; only the beginning was kept.
    TooLong(u64),
    /// Its segment ends without a newline.
    Unfinished,
}

impl Line {
    pub(crate) fn new(path: Arc<Path>, offset: u64, bytes: Vec<u8>, flaw: Option<Flaw>) -> Self {
        Self { path, offset, bytes, flaw }
    }

    /// Its number in the trail, read from its fixed place; none where it has none.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        parse_seq(&self.bytes)
    }

    /// The bytes as stored, without the newline.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file it stands in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its first byte is in the file; in a compressed file, in its decompressed text.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What it says. Costs one walk over the line and an allocation for each field.
    ///
    /// # Errors
    /// As [`Line::row`].
    pub fn parse(&self) -> Result<StoredEntry> {
        self.row().map(|row| row.entry())
    }

    /// Its fields where they lie. Costs one walk over the line. This alone decides whether a line is an
    /// entry.
    ///
    /// # Errors
    /// `is_unreadable`, with file and offset, if the line is no entry.
    pub fn row(&self) -> Result<Row<'_>> {
        let row = self.whole().and_then(Row::read);
        row.map_err(|why| Error::unreadable(why, &self.path, self.offset))
    }

    /// The bytes, where they are all that the line has.
    fn whole(&self) -> Result<&[u8], String> {
        match self.flaw {
            Some(Flaw::TooLong(len)) => Err(format!("a line of {len} bytes is too long for an entry")),
            Some(Flaw::Unfinished) => Err("the file ends in the middle of a line".to_owned()),
            None => Ok(&self.bytes),
        }
    }
}

#[cfg(test)]
mod tests;
