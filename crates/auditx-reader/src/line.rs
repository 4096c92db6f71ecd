//! One line of a trail as it stands on disk, and what it says.
//!
//! Reading is tolerant: a line that is no entry is an error of that line alone, with its file and its offset. Lines of
//! the origin, the Python package, have no sequence number and spaces after their colons; they are entries too.

use std::path::Path;
use std::sync::Arc;

use auditx_core::{Row, StoredEntry, parse_seq};

use crate::error::{Error, Result};
use crate::stored::stored;

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

    /// What it says. Costs one JSON parse.
    ///
    /// # Errors
    /// `is_unreadable`, with file and offset, where the line is no entry.
    pub fn parse(&self) -> Result<StoredEntry> {
        self.read().map_err(|why| Error::unreadable(why, &self.path, self.offset))
    }

    /// Its fields where they lie. Costs one walk over the line.
    ///
    /// # Errors
    /// As [`Line::parse`].
    pub fn row(&self) -> Result<Row<'_>> {
        let row = self.whole().and_then(Row::read);
        row.map_err(|why| Error::unreadable(why, &self.path, self.offset))
    }

    fn read(&self) -> Result<StoredEntry, String> {
        let bytes = self.whole()?;
        if bytes.is_empty() {
            return Err("an empty line".to_owned());
        }
        if bytes.starts_with(&[0]) {
            return Err("NUL bytes, as a file system leaves them after a power loss".to_owned());
        }
        let text = std::str::from_utf8(&self.bytes)
            .map_err(|error| format!("not UTF-8, {} bytes into the line", error.valid_up_to()))?;
        stored(text, self.seq().is_some())
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
mod tests {
    use super::*;

    fn line(bytes: &[u8]) -> Line {
        Line::new(Path::new("logs/audit.jsonl").into(), 40, bytes.to_vec(), None)
    }

    #[test]
    fn what_is_no_entry_is_named_with_its_place_and_its_reason() {
        for (bytes, reason) in [
            (&b""[..], "an empty line"),
            (b"\0\0\0", "NUL bytes"),
            (b"{\"seq\":7,\"user\":\"\xff\"}", "not UTF-8, 17 bytes into the line"),
            (b"{\"seq\":7,\"user\":\"half", "no entry: EOF while parsing"),
            (b"{\"seq\":7,\"user\":5}", "no entry: invalid type"),
            (b"{\"seq\":07,\"user\":\"x\"}", "no entry: "),
            (b"{\"other\": \"json\"}", "neither timestamp nor description"),
            (b"[1,2]", "no entry: invalid type"),
            (b"Traceback (most recent call last):", "no entry: expected value"),
        ] {
            let error = line(bytes).parse().unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.to_string().ends_with("(logs/audit.jsonl, byte 40)"), "{error}");
            assert!(error.is_unreadable() && error.offset() == Some(40));
            assert!(line(bytes).row().unwrap_err().is_unreadable());
        }
        let long =
            Line::new(Path::new("a").into(), 0, b"{\"seq\":1,".to_vec(), Some(Flaw::TooLong(9_999_999)));
        assert!(long.parse().unwrap_err().to_string().contains("9999999 bytes"));
        assert!(long.row().unwrap_err().to_string().contains("9999999 bytes"));
    }

    #[test]
    fn a_line_of_the_origin_reads_with_nulls_spaces_and_exact_digits() {
        let origin = br#"{"timestamp": "2026-11-24T09:00:00+00:00", "level": "AUDIT", "user": "admin", "amount": 1250000.10,
            "ip": null, "metadata": {"party": "Golden Trading Co."}, "description": "Sales \u1000 invoice"}"#;
        let origin = line(origin);
        let entry = origin.parse().unwrap();
        assert_eq!(origin.seq(), None);
        assert_eq!((entry.user.as_str(), entry.ip.as_str(), entry.success), ("admin", "", true));
        assert_eq!(entry.amount.unwrap().to_string(), "1250000.10");
        assert_eq!(entry.description, "Sales \u{1000} invoice");
        assert!(!line(br#"{"description": "d", "success": false}"#).parse().unwrap().success);
    }
}
