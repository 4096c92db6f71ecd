//! The error of this crate.

use std::error::Error as StdError;
use std::fmt;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an outbox could not be read, or its entries not be recorded.
///
/// The message is for people, the predicates are for programs.
pub struct Error(Box<Kind>);

enum Kind {
    /// The trail could not be read or written.
    Trail(Box<dyn StdError + Send + Sync>),
    /// The database failed.
    Database(Box<dyn StdError + Send + Sync>),
    /// Another collector reads the same outbox. The message says which, if that is known.
    Taken(String),
}

impl Error {
    /// The database failed or could not be reached.
    pub fn database(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Box::new(Kind::Database(error.into())))
    }

    /// Another collector reads the outbox.
    pub fn taken(message: impl Into<String>) -> Self {
        Self(Box::new(Kind::Taken(message.into())))
    }

    pub(crate) fn trail(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Box::new(Kind::Trail(error.into())))
    }

    /// `true` if the database failed or could not be reached. The next attempt may succeed.
    #[must_use]
    pub fn is_database(&self) -> bool {
        matches!(*self.0, Kind::Database(_))
    }

    /// `true` if another collector reads the outbox: two would record everything twice.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(*self.0, Kind::Taken(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Trail(error) => write!(f, "the trail: {error}"),
            Kind::Database(error) => write!(f, "the database: {error}"),
            Kind::Taken(message) => f.write_str(message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &*self.0 {
            Kind::Trail(error) | Kind::Database(error) => Some(&**error),
            Kind::Taken(_) => None,
        }
    }
}
