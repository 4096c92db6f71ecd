//! The error of this crate.

use std::fmt;
use std::path::Path;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a witness or the submission to witnesses cannot start.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub(crate) fn storage(what: &str, path: &Path, error: impl fmt::Display) -> Self {
        Self(format!("{what}, {}: {error}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
