//! Lines of the trail: recorded and parsed entries.

use auditx_tlog::{Hash, erased_hash, leaf_hash, parse_seq};
use serde_json::{Map, Value};

use crate::amount::Amount;
use crate::error::{Error, Result};
use crate::line_head::LineHead;
use crate::vocabulary::LogLevel;

/// One recorded entry, as followers and hooks receive it.
#[derive(Debug, Clone, Copy)]
pub struct RecordedEntry<'a> {
    seq: u64,
    line: &'a str,
}

impl<'a> RecordedEntry<'a> {
    /// Creates an entry from a line without its newline.
    ///
    /// # Errors
    /// `is_corrupt` if the line is not UTF-8 or does not begin with a sequence number.
    pub fn from_line(line: &'a [u8]) -> Result<Self> {
        let seq = parse_seq(line)
            .ok_or_else(|| Error::corrupt("a line does not begin with its sequence number"))?;
        let line = std::str::from_utf8(line).map_err(|error| {
            Error::corrupt(format!("line {seq} is not UTF-8")).with_seq(seq).because(error)
        })?;
        Ok(Self { seq, line })
    }

    /// Returns the index of the line in the trail, from 0.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns the exact line without its newline.
    #[must_use]
    pub fn line(&self) -> &'a str {
        self.line
    }

    /// Returns the level, read at its fixed offset in the line without parsing.
    #[must_use]
    pub fn level(&self) -> Option<LogLevel> {
        LineHead::of(self.line.as_bytes())?.level()
    }

    /// Returns the leaf hash of the line. Costs one SHA-256 of the line.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        erased_hash(self.line.as_bytes()).unwrap_or_else(|| leaf_hash(self.line.as_bytes()))
    }
}

/// The parsed fields of a line. Absent values are empty.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields of a line, described in docs/FORMAT.md")]
pub struct StoredEntry {
    pub seq: u64,
    pub id: String,
    pub timestamp: String,
    pub level: String,
    pub module: String,
    pub action: String,
    pub description: String,
    pub user: String,
    pub user_role: String,
    pub on_behalf_of: String,
    pub company_id: String,
    pub branch_id: String,
    pub entity_type: String,
    pub entity_id: String,
    pub reference_no: String,
    pub amount: Option<Amount>,
    pub currency: String,
    pub old_values: Value,
    pub new_values: Value,
    pub metadata: Map<String, Value>,
    pub request_id: String,
    pub session_id: String,
    pub ip: String,
    pub hostname: String,
    pub method: String,
    pub endpoint: String,
    pub status: Option<u16>,
    pub success: bool,
    /// The leaf hash of the erased line, if the line was erased.
    pub erased: String,
    /// The fields of the control record, if the line is one.
    pub control_record: Option<Map<String, Value>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_keeps_its_digits() {
        let line = br#"{"seq":3,"description":"d","amount":1250000.10,"metadata":{"a":1},"success":true}"#;
        let entry = RecordedEntry::from_line(line).unwrap().parse().unwrap();
        assert_eq!(entry.amount.unwrap().to_string(), "1250000.10");
        assert_eq!((entry.seq, entry.description.as_str(), entry.success), (3, "d", true));
        assert!(RecordedEntry::from_line(b"{\"seq\":3,nonsense").unwrap().parse().unwrap_err().is_corrupt());
    }
}
