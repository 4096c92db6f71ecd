//! The crate's one error: levels that could not be set.

use std::fmt;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why levels could not be set; those there were stay in force.
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Directive(String),
    Gone,
}

impl Error {
    pub(crate) fn directive(message: String) -> Self {
        Self(Kind::Directive(message))
    }

    pub(crate) fn gone() -> Self {
        Self(Kind::Gone)
    }

    /// A directive cannot be read; the message quotes it and says what was expected.
    #[must_use]
    pub fn is_directive(&self) -> bool {
        matches!(self.0, Kind::Directive(_))
    }

    /// The subscriber that the layer was part of is no more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.0, Kind::Gone)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Directive(message) => f.write_str(message),
            Kind::Gone => f.write_str("the subscriber that these levels belong to is no more"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {}
