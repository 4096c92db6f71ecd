//! What goes wrong with a server, in words and as a shipper needs it.

use std::error::Error as StdError;
use std::fmt;

use auditx_ship::ShipError;

/// What this crate's calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a server did not do what was asked.
#[derive(Debug)]
pub struct Error {
    message: String,
    is_about_content: bool,
    /// No server said this.
    is_of_the_way: bool,
}

impl Error {
    pub(crate) fn said(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_about_content: false, is_of_the_way: false }
    }

    /// The server refuses a value for what it is: a data exception (class 22), a constraint (23), a limit (54).
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
                is_of_the_way: false,
                is_about_content: ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
            };
        }
        let mut message = format!("PostgreSQL: {error}");
        let mut source = error.source();
        while let Some(error) = source {
            message.push_str(&format!(": {error}"));
            source = error.source();
        }
        Self { is_of_the_way: true, ..Self::said(message) }
    }
}

impl From<Error> for ShipError {
    fn from(error: Error) -> Self {
        if error.is_of_the_way { Self::unreachable(error) } else { Self::retry(error) }
    }
}
