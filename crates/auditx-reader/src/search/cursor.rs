//! Where a search ended, as text that a program may keep.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use auditx_core::ACTIVE;

use super::Order;
use super::waiting::JOURNAL;
use crate::error::{Error, Result};
use crate::listing::legacy_number;

/// The line after which a search goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// By its number.
    Seq(u64),
    /// One of the origin's, which have no numbers: by file and byte.
    Place {
        /// The file's name.
        file: String,
        /// Where the line begins.
        offset: u64,
    },
}

impl Cursor {
    /// Of a line.
    pub(super) fn of(seq: Option<u64>, path: &Path, offset: u64) -> Self {
        match seq {
            Some(seq) => Self::Seq(seq),
            None => Self::Place { file: plain_name(path), offset },
        }
    }

    /// Whether a line comes later in this order.
    pub(super) fn is_before(&self, seq: Option<u64>, path: &Path, offset: u64, order: Order) -> bool {
        let is_later = Self::of(seq, path, offset).rank().cmp(&self.rank());
        match order {
            Order::OldestFirst => is_later.is_gt(),
            Order::NewestFirst => is_later.is_lt(),
        }
    }

    /// Legacy lines precede those with a number, and what waits in the journal follows them. Among legacy lines, those in files
    /// that the Python package rotated come first, the file with the largest number first; then those in sealed segments, whose
    /// names are in order, then those in the active one.
    fn rank(&self) -> (u8, u64, &str, u64) {
        match self {
            Self::Place { file, offset } if file == JOURNAL => (2, 0, file, *offset),
            Self::Seq(seq) => (1, *seq, "", 0),
            Self::Place { file, offset } => {
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

/// The file's name before it was compressed.
fn plain_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".zst").unwrap_or(&name).to_owned()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seq(seq) => write!(f, "seq:{seq}"),
            Self::Place { file, offset } => write!(f, "byte:{offset}:{file}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = match text.split_once(':') {
            Some(("seq", seq)) => seq.parse().ok().map(Self::Seq),
            Some(("byte", place)) => place.split_once(':').and_then(|(offset, file)| {
                Some(Self::Place { file: file.to_owned(), offset: offset.parse().ok()? })
            }),
            _ => None,
        };
        parsed.ok_or_else(|| {
            Error::unusable(format!("{text:?} is no cursor: give the one that an earlier search ended with"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_ahead_or_behind_whatever_their_kind() {
        let origin = |file: &str, offset| (None, format!("logs/{file}"), offset);
        let lines = [
            origin("audit.jsonl.10", 9),
            origin("audit.jsonl.2", 1),
            origin("audit-00000000000000000000.jsonl.zst", 7),
            origin("audit-00000000000000000009.jsonl", 0),
            origin("audit.jsonl", 3),
            origin("audit.jsonl", 40),
            (Some(8), "logs/audit.jsonl".to_owned(), 90),
            (Some(9), "logs/audit.jsonl".to_owned(), 80),
            origin(".auditx/ring", 0),
            origin(".auditx/ring", 50),
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
    fn a_cursor_reads_back() {
        let place = Cursor::Place { file: "audit.jsonl".to_owned(), offset: 7 };
        for cursor in [Cursor::Seq(42), place] {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for nonsense in ["", "42", "seq:", "seq:-1", "byte:7", "byte:x:audit.jsonl"] {
            assert!(nonsense.parse::<Cursor>().unwrap_err().is_invalid(), "{nonsense}");
        }
    }
}
