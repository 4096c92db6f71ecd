//! The position at which a search ended, with a text form that programs can store.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use auditx_store::ACTIVE;

use super::Order;
use super::pending::JOURNAL;
use crate::error::{Error, Result};
use crate::listing::legacy_number;

/// The position of a line after which a search continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// A line by its seq.
    Seq(u64),
    /// A legacy line, which has no seq, by file and byte offset.
    Byte {
        /// The file's name.
        file: String,
        /// The byte offset of the line.
        offset: u64,
    },
}

impl Cursor {
    /// The cursor of a line.
    pub(super) fn of(seq: Option<u64>, path: &Path, offset: u64) -> Self {
        match seq {
            Some(seq) => Self::Seq(seq),
            None => Self::Byte { file: plain_name(path), offset },
        }
    }

    /// Whether the entry is in the journal only: it has no number yet, and this cursor is of no use once it
    /// has one.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Byte { file, .. } if file == JOURNAL)
    }

    /// The cursor of the last of these lines in this order, unless it is not past `after`: what a search
    /// reads first contains the line of its cursor, and may end with it.
    pub(super) fn at_end(seqs: &Range<u64>, order: Order, after: Option<&Self>) -> Option<Self> {
        let mut seqs = seqs.clone();
        let last = if order == Order::OldestFirst { seqs.next_back() } else { seqs.next() }.map(Self::Seq)?;
        let is_past = after.is_none_or(|after| match order {
            Order::OldestFirst => last.rank() > after.rank(),
            Order::NewestFirst => last.rank() < after.rank(),
        });
        is_past.then_some(last)
    }

    /// Whether a line comes after this cursor in this order.
    pub(super) fn is_before(&self, seq: Option<u64>, path: &Path, offset: u64, order: Order) -> bool {
        let is_later = Self::of(seq, path, offset).rank().cmp(&self.rank());
        match order {
            Order::OldestFirst => is_later.is_gt(),
            Order::NewestFirst => is_later.is_lt(),
        }
    }

    /// The sort key in the order of the trail: legacy lines, lines with a seq, pending entries. Legacy lines
    /// in files that the Python package rotated come first, the file with the largest number first; then
    /// those in sealed segments, whose names sort by age, then those in the active segment.
    fn rank(&self) -> (u8, u64, &str, u64) {
        match self {
            Self::Byte { file, offset } if self.is_pending() => (2, 0, file, *offset),
            Self::Seq(seq) => (1, *seq, "", 0),
            Self::Byte { file, offset } => {
                let order = match legacy_number(file) {
                    Some(number) => (u64::MAX / 2).saturating_sub(number),
                    None if file == ACTIVE => u64::MAX,
                    None => u64::MAX / 2 + 1,
                };
                (0, order, file, *offset)
            }
        }
    }
}

/// The file's name without the suffix of a compressed file.
fn plain_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".zst").unwrap_or(&name).to_owned()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seq(seq) => write!(f, "seq:{seq}"),
            Self::Byte { file, offset } => write!(f, "byte:{offset}:{file}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = match text.split_once(':') {
            Some(("seq", seq)) => seq.parse().ok().map(Self::Seq),
            Some(("byte", rest)) => rest.split_once(':').and_then(|(offset, file)| {
                Some(Self::Byte { file: file.to_owned(), offset: offset.parse().ok()? })
            }),
            _ => None,
        };
        parsed.ok_or_else(|| {
            Error::unusable(format!("invalid cursor {text:?}: expected one returned by an earlier search"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_orders_all_kinds_of_lines() {
        let legacy = |file: &str, offset| (None, format!("logs/{file}"), offset);
        let lines = [
            legacy("audit.jsonl.10", 9),
            legacy("audit.jsonl.2", 1),
            legacy("audit-00000000000000000000.jsonl.zst", 7),
            legacy("audit-00000000000000000009.jsonl", 0),
            legacy("audit.jsonl", 3),
            legacy("audit.jsonl", 40),
            (Some(8), "logs/audit.jsonl".to_owned(), 90),
            (Some(9), "logs/audit.jsonl".to_owned(), 80),
            legacy(".auditx/ring", 0),
            legacy(".auditx/ring", 50),
        ];
        for (at, (seq, path, offset)) in lines.iter().enumerate() {
            let cursor = Cursor::of(*seq, Path::new(path), *offset);
            for (other, (seq, path, offset)) in lines.iter().enumerate() {
                let is_before = |order| cursor.is_before(*seq, Path::new(path), *offset, order);
                assert_eq!(is_before(Order::OldestFirst), other > at, "{other} after {at}");
                assert_eq!(is_before(Order::NewestFirst), other < at, "{other} before {at}");
            }
        }
    }

    #[test]
    fn the_text_of_a_cursor_parses_to_an_equal_cursor() {
        let byte = Cursor::Byte { file: "audit.jsonl".to_owned(), offset: 7 };
        for cursor in [Cursor::Seq(42), byte] {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for invalid in ["", "42", "seq:", "seq:-1", "byte:7", "byte:x:audit.jsonl"] {
            assert!(invalid.parse::<Cursor>().unwrap_err().is_invalid(), "{invalid}");
        }
    }
}
