//! What goes wrong with a store, in words and as an archiver needs it.

use std::error::Error as StdError;
use std::fmt;

use auditx_ship::ShipError;

/// What this crate's calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store did not do what was asked.
#[derive(Debug)]
pub struct Error {
    message: String,
    is_of_the_way: bool,
}

impl Error {
    pub(crate) fn said(message: impl fmt::Display) -> Self {
        Self { message: format!("S3: {message}"), is_of_the_way: false }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
        let is_answer = matches!(error, NotFound { .. } | PermissionDenied { .. } | Unauthenticated { .. });
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Each says what it came from as well.
            if !message.contains(&text) {
                message.push_str(&format!(": {text}"));
            }
            source = error.source();
        }
        Self { is_of_the_way: !is_answer, ..Self::said(message) }
    }
}

impl From<Error> for ShipError {
    fn from(error: Error) -> Self {
        if error.is_of_the_way { Self::unreachable(error) } else { Self::retry(error) }
    }
}

impl From<Error> for auditx_ship::Error {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
