//! Leaves of the tree: what a line of a trail hashes to, and the stubs of erased lines.

use crate::tree::{Hash, hash_from_hex, leaf_hash, to_hex};

/// The largest length of a line with its newline.
pub const MAX_LINE: usize = 65_535;

/// The beginning of every line, before the sequence number.
pub const SEQ_PREFIX: &[u8] = b"{\"seq\":";

/// The largest length of a line's beginning up to the comma after its sequence number.
pub const LONGEST_SEQ: usize = SEQ_PREFIX.len() + 20 + 1;

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
    const LONGEST: usize = LONGEST_SEQ + ERASED_PREFIX.len() + 64 + ERASED_SUFFIX.len();
    if line.len() > LONGEST {
        return None;
    }
    let rest = &line[memchr::memchr(b',', line)? + 1..];
    let digits = rest.strip_prefix(ERASED_PREFIX)?.strip_suffix(ERASED_SUFFIX)?;
    parse_seq(line)?;
    hash_from_hex(std::str::from_utf8(digits).ok()?)
}

/// Returns the stub that replaces an erased line.
#[must_use]
pub fn erased_line(seq: u64, hash: &Hash) -> String {
    format!("{{\"seq\":{seq},\"erased\":\"{}\"}}", to_hex(hash))
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
}
