//! The error of this crate.

use std::fmt;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a time stamp cannot be obtained, or is not accepted.
#[derive(Debug)]
pub struct Error {
    message: String,
    is_refusal: bool,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_refusal: false }
    }

    /// Bytes that are not what they must be, `what`.
    pub(crate) fn malformed(what: &str) -> Self {
        Self::new(format!("the time stamp cannot be read: {what} is missing or malformed (expected DER)"))
    }

    pub(crate) fn refusal(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_refusal: true }
    }

    /// Returns whether the authority refused the request.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.is_refusal
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
