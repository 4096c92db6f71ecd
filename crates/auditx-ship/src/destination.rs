//! The trait for destinations of lines. Each destination has its own connection, thread, cursor and backoff,
//! so a slow one does not delay the others.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use auditx_tlog::Hash;

use crate::batch::Batch;
use crate::error::{Error, Result, ShipError};

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

/// The name of a destination in cursors, metrics and directories: 1 to 100 of the characters `a`–`z`,
/// `0`–`9`, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DestinationId(String);

impl DestinationId {
    /// Creates an id from any text. Letters are lower-cased, other characters are replaced by `-`, and the
    /// text is cut to 100 characters.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let sanitize = |letter: char| {
            if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' }
        };
        Self(text.chars().take(100).map(|letter| sanitize(letter.to_ascii_lowercase())).collect())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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

/// A system that stores copies of lines.
///
/// A call may be cancelled at any time by dropping its future. Its effect is then unknown, and the next call
/// must use a connection in a defined state.
pub trait Destination: Send + 'static {
    /// Returns the destination's id.
    fn id(&self) -> &DestinationId;

    /// Returns the last line of this trail that the destination holds, or `None` if it holds none.
    fn last(&mut self, trail: TrailId) -> impl Future<Output = Result<Option<Position>, ShipError>>;

    /// Stores the lines durably, all of them or a prefix, and returns the last line that the destination then
    /// holds. Lines that it holds already are compared and not stored twice.
    fn send(&mut self, batch: &Batch) -> impl Future<Output = Result<Position, ShipError>>;

    /// Returns the maximum number of lines in a batch. Of a larger batch, only a prefix is stored.
    fn max_lines(&self) -> usize {
        usize::MAX
    }

    /// Closes the connection, if there is one.
    fn close(&mut self) -> impl Future<Output = ()>;
}
