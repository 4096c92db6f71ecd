//! The hash of a line as a leaf of the trail's Merkle tree (RFC 6962, section 2.1).

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Domain separation of leaves from interior nodes.
const LEAF_PREFIX: [u8; 1] = [0];

/// SHA-256(0x00 ‖ line without its final newline). By hand: `(printf '\0'; printf %s "$line") | sha256sum`.
#[must_use]
pub fn leaf_hash(line: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(LEAF_PREFIX);
    hasher.update(line);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_leaf_has_the_published_hash() {
        let hex: String = leaf_hash(b"").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }
}
