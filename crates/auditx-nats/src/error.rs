//! What goes wrong with a server, in words and as a shipper needs it.

use std::fmt;

use auditx_ship::ShipError;

/// What this crate's calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a server did not do what was asked.
#[derive(Debug)]
pub struct Error {
    message: String,
    is_of_the_way: bool,
}

impl Error {
    /// The server says no.
    pub(crate) fn said(message: impl fmt::Display) -> Self {
        Self { message: format!("NATS: {message}"), is_of_the_way: false }
    }

    /// The server's API says no, or that nobody is there who could say anything.
    pub(crate) fn answered(error: &async_nats::jetstream::Error) -> Self {
        if error.code() == 503 { Self::unreachable(error) } else { Self::said(error) }
    }

    /// Whether the server itself said nothing.
    pub(crate) fn is_of_the_way(&self) -> bool {
        self.is_of_the_way
    }

    /// It cannot be reached, or the connection was cut.
    pub(crate) fn unreachable(message: impl fmt::Display) -> Self {
        Self { message: format!("NATS: {message}"), is_of_the_way: true }
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
        if error.is_of_the_way { Self::unreachable(error) } else { Self::retry(error) }
    }
}

impl From<Error> for auditx_ship::Error {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
