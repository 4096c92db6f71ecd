//! Lines of the trail: sequence numbers, leaves, erased lines and parsed entries.

use serde_json::{Map, Value};

use crate::amount::Amount;
use crate::clock::RFC3339_LEN;
use crate::error::{Error, Result};
use crate::tree::{Hash, hash_from_hex, leaf_hash, to_hex};
use crate::vocabulary::LogLevel;

/// The beginning of every line, before the sequence number.
pub(crate) const SEQ_PREFIX: &[u8] = b"{\"seq\":";

/// The largest length of a line's beginning up to the comma after its sequence number.
pub(crate) const LONGEST_SEQ: usize = SEQ_PREFIX.len() + 20 + 1;

/// Parses the exact prefix `{"seq":N,` and returns N. `None` if N is not in canonical form.
#[must_use]
pub fn parse_seq(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(SEQ_PREFIX)?;
    let end = rest.iter().position(|&byte| byte == b',')?;
    let digits = &rest[..end];
    let canonical =
        digits.iter().all(u8::is_ascii_digit) && (digits.len() == 1 || digits.first() != Some(&b'0'));
    if !canonical {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The leaf of a line in the Merkle tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leaf {
    /// The line's sequence number.
    pub seq: u64,
    /// The leaf hash: that of the line, or that of the erased line which it replaces.
    pub hash: Hash,
    /// Whether the line replaces an erased line.
    pub is_erased: bool,
}

/// Returns the leaf of a line without its newline, or `None` if the line does not begin with a sequence
/// number.
///
/// A line of exactly the form `{"seq":N,"erased":"<64 hex digits>"}` has that hash as its leaf hash. Any
/// other line costs one SHA-256.
#[must_use]
pub fn leaf_of(line: &[u8]) -> Option<Leaf> {
    let seq = parse_seq(line)?;
    Some(match erased_hash(line) {
        Some(hash) => Leaf { seq, hash, is_erased: true },
        None => Leaf { seq, hash: leaf_hash(line), is_erased: false },
    })
}

const ERASED_PREFIX: &[u8] = b"\"erased\":\"";
const ERASED_SUFFIX: &[u8] = b"\"}";

/// Returns the hash in the stub of an erased line, or `None` if the line is not a stub.
#[must_use]
pub fn erased_hash(line: &[u8]) -> Option<Hash> {
    // A stub is shorter than any entry, so the length alone excludes most lines.
    const LONGEST: usize = SEQ_PREFIX.len() + 20 + 1 + ERASED_PREFIX.len() + 64 + ERASED_SUFFIX.len();
    if line.len() > LONGEST {
        return None;
    }
    let rest = &line[memchr::memchr(b',', line)? + 1..];
    let digits = rest.strip_prefix(ERASED_PREFIX)?.strip_suffix(ERASED_SUFFIX)?;
    parse_seq(line)?;
    hash_from_hex(std::str::from_utf8(digits).ok()?)
}

/// Returns the stub that replaces an erased line.
pub(crate) fn erased_line(seq: u64, hash: &Hash) -> String {
    format!("{{\"seq\":{seq},\"erased\":\"{}\"}}", to_hex(hash))
}

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
        level_of(self.line.as_bytes())
    }

    /// Returns the leaf hash of the line. Costs one SHA-256 of the line.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        erased_hash(self.line.as_bytes()).unwrap_or_else(|| leaf_hash(self.line.as_bytes()))
    }
}

/// Returns the level of a line, read at its fixed offset.
pub(crate) fn level_of(line: &[u8]) -> Option<LogLevel> {
    // `{"seq":N,"id":"…36…","timestamp":"…27…","level":"X"`: only N and X vary in length.
    const BETWEEN: usize = r#""id":"","timestamp":"","#.len() + 36 + RFC3339_LEN;
    let comma = memchr::memchr(b',', line)?;
    let rest = line.get(comma + 1 + BETWEEN..)?.strip_prefix(br#""level":""#)?;
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()?.parse().ok()
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
    fn only_canonical_sequence_numbers_are_parsed() {
        assert_eq!(parse_seq(b"{\"seq\":0,\"id\""), Some(0));
        assert_eq!(parse_seq(b"{\"seq\":18446744073709551615,"), Some(u64::MAX));
        for line in [
            "{\"seq\":01,",
            "{\"seq\":,",
            "{\"seq\":-1,",
            "{\"seq\":1e3,",
            "{\"seq\":18446744073709551616,",
            "{ \"seq\":1,",
            "{\"seq\":1}",
            "",
        ] {
            assert_eq!(parse_seq(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_stub_has_the_leaf_hash_of_the_erased_line() {
        let hash = leaf_hash(b"{\"seq\":7,\"user\":\"admin\"}");
        let stub = erased_line(7, &hash);
        assert_eq!(leaf_of(stub.as_bytes()), Some(Leaf { seq: 7, hash, is_erased: true }));
        let entry = RecordedEntry::from_line(stub.as_bytes()).unwrap();
        assert_eq!((entry.leaf_hash(), entry.parse().unwrap().erased), (hash, to_hex(&hash)));
        let longest = erased_line(u64::MAX, &hash);
        assert!(leaf_of(longest.as_bytes()).unwrap().is_erased);
        for other in [
            stub.replace("\":\"", "\": \""),
            stub.replace('}', ",\"success\":true}"),
            stub.replace("erased", "erase"),
            format!("{stub} "),
            stub.to_uppercase().replace("SEQ", "seq").replace("ERASED", "erased"),
        ] {
            let leaf = leaf_of(other.as_bytes()).unwrap();
            assert_eq!((leaf.hash, leaf.is_erased), (leaf_hash(other.as_bytes()), false), "{other}");
        }
        assert_eq!(leaf_of(stub.replace("7", "07").as_bytes()), None);
    }

    #[test]
    fn an_amount_keeps_its_digits() {
        let line = br#"{"seq":3,"description":"d","amount":1250000.10,"metadata":{"a":1},"success":true}"#;
        let entry = RecordedEntry::from_line(line).unwrap().parse().unwrap();
        assert_eq!(entry.amount.unwrap().to_string(), "1250000.10");
        assert_eq!((entry.seq, entry.description.as_str(), entry.success), (3, "d", true));
        assert!(RecordedEntry::from_line(b"{\"seq\":3,nonsense").unwrap().parse().unwrap_err().is_corrupt());
    }
}
