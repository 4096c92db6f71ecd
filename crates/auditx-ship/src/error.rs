//! Errors of shipping: why an attempt failed, and why a shipper ended.

use std::fmt;
use std::time::Duration;

/// Why a destination did not store a batch or a segment.
#[derive(Debug)]
#[non_exhaustive]
pub enum ShipError {
    /// The attempt may succeed later: the destination is unreachable or refuses, a table is missing, a
    /// password has expired. Retried without limit.
    Retry {
        /// The kind of error, for counters.
        kind: RetryKind,
        /// The error message.
        why: String,
        /// How long to wait before the next attempt, if the destination says so.
        after: Option<Duration>,
    },
    /// A smaller batch may succeed: the batch is too large, or the destination refuses one of its lines
    /// without saying which.
    Split,
    /// The destination refuses this line because of its content, so a retry cannot succeed.
    Poison {
        /// The line's sequence number.
        seq: u64,
        /// The error message.
        why: String,
    },
    /// Another shipper of the same trail stored lines first. The last line must be requested again.
    Fenced,
    /// The destination holds a different line with this sequence number: one of the two was altered, or this
    /// is another copy of the trail.
    Diverged {
        /// The line's sequence number.
        at: u64,
    },
}

/// The kind of an error that is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryKind {
    /// No connection can be established, or it was lost.
    Unreachable,
    /// The destination did not respond in time.
    TimedOut,
    /// The destination refused: a wrong password, a missing grant, table or stream.
    Refused,
    /// The lines to be shipped cannot be read, or a refused line cannot be stored.
    Source,
}

impl ShipError {
    /// Creates a retryable error of a destination that refused.
    pub fn retry(why: impl fmt::Display) -> Self {
        Self::Retry { kind: RetryKind::Refused, why: why.to_string(), after: None }
    }

    /// Creates a retryable error of a destination that cannot be reached.
    pub fn unreachable(why: impl fmt::Display) -> Self {
        Self::Retry { kind: RetryKind::Unreachable, why: why.to_string(), after: None }
    }

    /// Creates a retryable error of a destination that did not respond in time.
    pub fn timed_out(why: impl fmt::Display) -> Self {
        Self::Retry { kind: RetryKind::TimedOut, why: why.to_string(), after: None }
    }
}

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a shipper ended or could not start, or why a trail or a copy cannot be read.
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
                "line {at} of {destination} differs from line {at} of the trail: one of them was altered, or \
                 this directory is an older or a second copy of the trail; shipping stopped, compare both \
                 before starting it again"
            ),
        }
    }

    pub(crate) fn gap(from: u64, to: u64, destination: &str) -> Self {
        let message = format!(
            "lines {from} to {} are missing from both {destination} and the trail; shipping stopped",
            to - 1
        );
        Self { kind: Kind::Diverged, message }
    }

    /// Creates an error from any message, such as that of a trail or a copy that cannot be read.
    pub fn new(error: impl fmt::Display) -> Self {
        Self { kind: Kind::Other, message: error.to_string() }
    }

    /// Returns whether the destination and the trail hold different lines.
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
