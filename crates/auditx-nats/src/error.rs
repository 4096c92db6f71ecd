//! The error type of this crate, and its conversion to a shipper's error.

use std::fmt;

use auditx_ship::ShipError;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a NATS server or of the connection to it.
#[derive(Debug)]
pub struct Error {
    message: String,
    is_unreachable: bool,
}

impl Error {
    /// Creates an error of a server that refused, or of an invalid setting.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self { message: format!("NATS: {message}"), is_unreachable: false }
    }

    /// Creates an error from a response of the server's API; code 503 means that no server can respond.
    pub(crate) fn from_response(error: &async_nats::jetstream::Error) -> Self {
        if error.code() == 503 { Self::unreachable(error) } else { Self::refused(error) }
    }

    /// Returns whether there was no response from a server.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.is_unreachable
    }

    /// Creates an error of a server that cannot be reached or a connection that was lost.
    pub(crate) fn unreachable(message: impl fmt::Display) -> Self {
        Self { message: format!("NATS: {message}"), is_unreachable: true }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

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
