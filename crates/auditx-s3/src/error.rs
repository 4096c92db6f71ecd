//! The error type of this crate, and its conversion to an archiver's error.

use std::error::Error as StdError;
use std::fmt;

use auditx_ship::ShipError;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of an object store or of the connection to it.
#[derive(Debug)]
pub struct Error {
    message: String,
    is_unreachable: bool,
}

impl Error {
    /// Creates an error of a store that refused, or of an invalid setting.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self { message: format!("S3: {message}"), is_unreachable: false }
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
        let is_response = matches!(error, NotFound { .. } | PermissionDenied { .. } | Unauthenticated { .. });
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Most of these errors already include the message of their source.
            if !message.contains(&text) {
                message.push_str(&format!(": {text}"));
            }
            source = error.source();
        }
        Self { is_unreachable: !is_response, ..Self::refused(message) }
    }
}

impl From<Error> for ShipError {
    fn from(error: Error) -> Self {
        if error.is_unreachable { Self::unreachable(error) } else { Self::retry(error) }
    }
}

impl From<Error> for auditx_ship::Error {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
