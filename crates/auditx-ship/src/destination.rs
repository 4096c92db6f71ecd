//! The trait for destinations of lines. Each destination has its own connection, thread, cursor and backoff,
//! so a slow one does not delay the others.

use std::future::Future;

use crate::batch::Batch;
use crate::error::ShipError;
use crate::position::{Position, TrailId};

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
