//! The error type of this crate, and its conversion to a shipper's error.

use std::error::Error as StdError;
use std::fmt;

use auditx_ship::ShipError;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a PostgreSQL server or of the connection to it.
#[derive(Debug)]
pub struct Error {
    message: String,
    is_about_content: bool,
    /// Whether there was no response from a server.
    is_unreachable: bool,
    is_out_of_time: bool,
}

/// The SQLSTATE of a statement that was canceled, by its time limit or by an administrator.
const CANCELED: &str = "57014";

impl Error {
    /// Creates an error of a server that refused, or of an invalid setting.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_about_content: false,
            is_unreachable: false,
            is_out_of_time: false,
        }
    }

    /// `true` if the server canceled a statement that was not done within its time limit.
    #[must_use]
    pub fn is_out_of_time(&self) -> bool {
        self.is_out_of_time
    }

    /// Returns whether the server refused a value because of its content: a data exception (SQLSTATE class
    /// 22), a constraint (23) or a limit (54).
    pub(crate) fn is_about_content(&self) -> bool {
        self.is_about_content
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(database) = error.as_db_error() {
            let code = database.code().code();
            return Self {
                message: format!("PostgreSQL: {} (SQLSTATE {code})", database.message()),
                is_unreachable: false,
                is_out_of_time: code == CANCELED,
                is_about_content: ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
            };
        }
        let mut message = format!("PostgreSQL: {error}");
        let mut source = error.source();
        while let Some(error) = source {
            message.push_str(&format!(": {error}"));
            source = error.source();
        }
        Self { is_unreachable: true, ..Self::refused(message) }
    }
}

impl From<Error> for ShipError {
    fn from(error: Error) -> Self {
        if error.is_unreachable { Self::unreachable(error) } else { Self::retry(error) }
    }
}
