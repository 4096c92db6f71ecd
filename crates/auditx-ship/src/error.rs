//! What goes wrong while shipping: what a destination says of an attempt, and what ends a shipper.

use std::fmt;
use std::time::Duration;

/// Why a destination did not take what it was given.
#[derive(Debug)]
#[non_exhaustive]
pub enum ShipError {
    /// It may work later: unreachable, refused, no such table, an expired password. Tried again for ever.
    Retry {
        /// For those who count.
        kind: RetryKind,
        /// In words.
        why: String,
        /// How long the destination asks to be left alone, if it says so.
        after: Option<Duration>,
    },
    /// Fewer lines at once may be taken: too many bytes, or one of the lines is refused and it is unknown which.
    Split,
    /// This line is refused for what it says, and will always be.
    Poison {
        /// The line.
        seq: u64,
        /// In words.
        why: String,
    },
    /// Somebody else ships the same trail and was faster: ask again how far it is.
    Fenced,
    /// The destination holds another line in this place: one of the two was altered, or the trail is another copy.
    Diverged {
        /// The line.
        at: u64,
    },
}

/// What kind of trouble is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryKind {
    /// Nobody answers, or a connection was cut.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The destination says no: a password, a grant, a table or a stream that is not there.
    Refused,
    /// What is to be shipped cannot be read, or the refused line not be kept.
    Source,
}

impl ShipError {
    /// The destination says no, and may say yes later.
    pub fn retry(why: impl fmt::Display) -> Self {
        Self::Retry { kind: RetryKind::Refused, why: why.to_string(), after: None }
    }

    /// The destination cannot be reached.
    pub fn unreachable(why: impl fmt::Display) -> Self {
        Self::Retry { kind: RetryKind::Unreachable, why: why.to_string(), after: None }
    }

    /// The destination did not answer in time.
    pub fn timed_out(why: impl fmt::Display) -> Self {
        Self::Retry { kind: RetryKind::TimedOut, why: why.to_string(), after: None }
    }
}

/// What this crate's calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What ended a shipper, or kept it from beginning.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Diverged,
    Other,
}

impl Error {
    pub(crate) fn diverged(at: u64, destination: &str) -> Self {
        Self {
            kind: Kind::Diverged,
            message: format!(
                "line {at} is another one in {destination} than in the trail: one of them was altered, or this directory is an older or a second copy of the trail; nothing more is shipped until somebody looks at both"
            ),
        }
    }

    pub(crate) fn gap(from: u64, to: u64, destination: &str) -> Self {
        let message = format!(
            "lines {from} to {} are neither in {destination} nor in the trail any more: nothing more is shipped",
            to - 1
        );
        Self { kind: Kind::Diverged, message }
    }

    /// Anything else, in words: a trail or a copy that cannot be read.
    pub fn new(error: impl fmt::Display) -> Self {
        Self { kind: Kind::Other, message: error.to_string() }
    }

    /// The destination and the trail do not hold the same lines.
    #[must_use]
    pub fn is_diverged(&self) -> bool {
        self.kind == Kind::Diverged
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
