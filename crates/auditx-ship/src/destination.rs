//! Where lines go: one connection, one task, one cursor, one backoff each, so that a slow one slows nobody.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use auditx_core::Hash;

use crate::batch::Batch;
use crate::error::{Error, Result, ShipError};

/// The 128 random bits that name a trail.
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
        let wrong = || Error::new(format!("{text:?} is no trail's id: 32 hex digits"));
        number.map(|number| Self(number.to_be_bytes())).ok_or_else(wrong)
    }
}

/// Names a destination in cursors, metrics and folders: 1 to 100 of `a`–`z`, `0`–`9`, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DestinationId(String);

impl DestinationId {
    /// Any text, with everything else in it turned to `-`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' }
        };
        Self(text.chars().take(100).map(|letter| plain(letter.to_ascii_lowercase())).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The last line that a destination holds of a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its number.
    pub seq: u64,
    /// Its hash in the trail's tree (RFC 9162, 2.1.1).
    pub leaf_hash: Hash,
}

/// An engine that keeps copies of lines.
///
/// A call may be given up at any moment by dropping its future: what it was doing then may have happened or not, and the next call
/// must begin with a connection that is whole.
pub trait Destination: Send + 'static {
    /// Names it.
    fn id(&self) -> &DestinationId;

    /// The last line it holds of this trail; none where it holds none.
    fn last(&mut self, trail: TrailId) -> impl Future<Output = Result<Option<Position>, ShipError>>;

    /// Keeps the lines durably, all or a first part of them, and says which one it holds last then. Lines that it holds already are
    /// compared, not kept twice.
    fn send(&mut self, batch: &Batch) -> impl Future<Output = Result<Position, ShipError>>;

    /// So many lines it takes at once; a larger batch it keeps the first part of.
    fn most_lines(&self) -> usize {
        usize::MAX
    }

    /// Ends the connection, where there is one.
    fn close(&mut self) -> impl Future<Output = ()>;
}
