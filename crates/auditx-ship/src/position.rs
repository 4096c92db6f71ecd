//! Trail ids and the positions of lines in a trail, which a shipper and a destination compare.

use std::fmt;
use std::str::FromStr;

use auditx_tlog::Hash;

use crate::error::{Error, Result};

/// The id of a trail: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrailId(pub [u8; 16]);

impl fmt::Display for TrailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for TrailId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex);
        let invalid = || Error::new(format!("invalid trail id {text:?}: expected 32 hexadecimal digits"));
        number.map(|number| Self(number.to_be_bytes())).ok_or_else(invalid)
    }
}

/// Identifies a line of a trail, such as the last one that a destination holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line's sequence number.
    pub seq: u64,
    /// The line's leaf hash in the trail's Merkle tree (RFC 9162, 2.1.1).
    pub leaf_hash: Hash,
}
