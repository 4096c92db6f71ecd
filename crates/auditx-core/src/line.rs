//! A line as it stands in the trail, and what it says.

use serde_json::{Map, Value};

use crate::amount::Amount;
use crate::clock::RFC3339_LEN;
use crate::error::{Error, Result};
use crate::tree::{Hash, hash_from_hex, leaf_hash, to_hex};
use crate::vocabulary::LogLevel;

/// How every line begins; the sequence number follows.
pub(crate) const SEQ_PREFIX: &[u8] = b"{\"seq\":";

/// The longest beginning of a line that contains its number and the comma.
pub(crate) const LONGEST_SEQ: usize = SEQ_PREFIX.len() + 20 + 1;

/// Reads the exact prefix `{"seq":N,` with a canonical N.
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

/// What a line is in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leaf {
    /// The line's sequence number.
    pub seq: u64,
    /// The hash in the tree: of the line, or of the line that was erased.
    pub hash: Hash,
    /// Whether the line stands in the place of one that was erased.
    pub is_erased: bool,
}

/// What a line without its newline is in the tree; none where it does not begin with its sequence number.
///
/// A line of exactly the form `{"seq":N,"erased":"<64 hex digits>"}` stands for the line with that hash. Costs one SHA-256 of
/// any other.
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

/// The hash in the place of an erased line; none where the line is no such stub.
#[must_use]
pub fn erased_hash(line: &[u8]) -> Option<Hash> {
    // Shorter than any entry: most lines are told apart by their length alone.
    const LONGEST: usize = SEQ_PREFIX.len() + 20 + 1 + ERASED_PREFIX.len() + 64 + ERASED_SUFFIX.len();
    if line.len() > LONGEST {
        return None;
    }
    let rest = &line[memchr::memchr(b',', line)? + 1..];
    let digits = rest.strip_prefix(ERASED_PREFIX)?.strip_suffix(ERASED_SUFFIX)?;
    parse_seq(line)?;
    hash_from_hex(std::str::from_utf8(digits).ok()?)
}

/// What is left of an erased line.
pub(crate) fn erased_line(seq: u64, hash: &Hash) -> String {
    format!("{{\"seq\":{seq},\"erased\":\"{}\"}}", to_hex(hash))
}

/// One recorded entry, as followers and hooks get it.
#[derive(Debug, Clone, Copy)]
pub struct RecordedEntry<'a> {
    seq: u64,
    line: &'a str,
}

impl<'a> RecordedEntry<'a> {
    /// Reads a line without its newline.
    ///
    /// # Errors
    /// `is_corrupt` where the line is no UTF-8 or does not begin with its sequence number.
    pub fn from_line(line: &'a [u8]) -> Result<Self> {
        let seq = parse_seq(line)
            .ok_or_else(|| Error::corrupt("a line does not begin with its sequence number"))?;
        let line = std::str::from_utf8(line).map_err(|error| {
            Error::corrupt(format!("line {seq} is not UTF-8")).with_seq(seq).because(error)
        })?;
        Ok(Self { seq, line })
    }

    /// Its index in the trail, from 0.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The exact line, without its newline.
    #[must_use]
    pub fn line(&self) -> &'a str {
        self.line
    }

    /// The level, read from its fixed place in the line. Costs no parse.
    #[must_use]
    pub fn level(&self) -> Option<LogLevel> {
        level_of(self.line.as_bytes())
    }

    /// The line's hash in the trail's tree. Costs one SHA-256 of the line.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        erased_hash(self.line.as_bytes()).unwrap_or_else(|| leaf_hash(self.line.as_bytes()))
    }
}

/// The level of a line, read from its fixed place.
pub(crate) fn level_of(line: &[u8]) -> Option<LogLevel> {
    // `{"seq":N,"id":"…36…","timestamp":"…27…","level":"X"`: only N and X vary in length.
    const BETWEEN: usize = r#""id":"","timestamp":"","#.len() + 36 + RFC3339_LEN;
    let comma = memchr::memchr(b',', line)?;
    let rest = line.get(comma + 1 + BETWEEN..)?.strip_prefix(br#""level":""#)?;
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()?.parse().ok()
}

/// What a line says. Absent values are empty.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are the line's, described in docs/FORMAT.md")]
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
    /// The hash of the line that stood here before it was erased.
    pub erased: String,
    /// The library's own record, where the line is one.
    pub control_record: Option<Map<String, Value>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_canonical_sequence_number_is_one() {
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
    fn a_stub_stands_for_the_line_it_replaced_and_nothing_else_does() {
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
    fn an_amount_reads_back_with_its_digits() {
        let line = br#"{"seq":3,"description":"d","amount":1250000.10,"metadata":{"a":1},"success":true}"#;
        let entry = RecordedEntry::from_line(line).unwrap().parse().unwrap();
        assert_eq!(entry.amount.unwrap().to_string(), "1250000.10");
        assert_eq!((entry.seq, entry.description.as_str(), entry.success), (3, "d", true));
        assert!(RecordedEntry::from_line(b"{\"seq\":3,nonsense").unwrap().parse().unwrap_err().is_corrupt());
    }
}
