//! The error type of this crate, returned if levels cannot be set or read.

use std::fmt;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of setting or reading levels. The previous levels stay in force.
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Directive(String),
    SubscriberDropped,
}

impl Error {
    pub(crate) fn directive(message: String) -> Self {
        Self(Kind::Directive(message))
    }

    pub(crate) fn subscriber_dropped() -> Self {
        Self(Kind::SubscriberDropped)
    }

    /// Returns whether a directive is invalid. The message quotes it and names what was expected.
    #[must_use]
    pub fn is_directive(&self) -> bool {
        matches!(self.0, Kind::Directive(_))
    }

    /// Returns whether the subscriber that the layer belonged to has been dropped.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.0, Kind::SubscriberDropped)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Directive(message) => f.write_str(message),
            Kind::SubscriberDropped => f.write_str("the subscriber of these levels has been dropped"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {}
