//! The error of this crate: opaque, with a predicate for each thing a caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an archive could not be written.
///
/// The message is for people, the predicates are for programs.
pub struct Error(Box<Kind>);

enum Kind {
    /// The trail could not be read or proved.
    Trail(auditx_reader::Error),
    Output(io::Error),
    Changed,
    /// The message says what there is too much of.
    TooLarge(String),
    Stopped,
}

impl Error {
    pub(crate) fn output(error: impl Into<io::Error>) -> Self {
        Self(Box::new(Kind::Output(error.into())))
    }

    pub(crate) fn changed() -> Self {
        Self(Box::new(Kind::Changed))
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self(Box::new(Kind::TooLarge(message.into())))
    }

    pub(crate) fn stopped() -> Self {
        Self(Box::new(Kind::Stopped))
    }

    fn trail(&self) -> Option<&auditx_reader::Error> {
        match &*self.0 {
            Kind::Trail(error) => Some(error),
            _ => None,
        }
    }

    /// `true` if the directory does not exist or has no trail, or nothing in it is signed yet.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.trail().is_some_and(auditx_reader::Error::is_missing)
    }

    /// `true` if a selected entry or the checkpoint is not what was signed, so that it cannot be proved.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.trail().is_some_and(auditx_reader::Error::is_corrupt)
    }

    /// `true` if lines were retired or erased while the archive was written. Writing it again succeeds.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        matches!(*self.0, Kind::Changed)
    }

    /// `true` if more was selected than [`max_entries`](crate::Bundle::max_entries) or
    /// [`max_bytes`](crate::Bundle::max_bytes) allows.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(*self.0, Kind::TooLarge(_))
    }

    /// `true` if [`stop_when`](crate::Bundle::stop_when) stopped it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(*self.0, Kind::Stopped)
    }

    /// `true` if the output failed. The `source()` is its [`io::Error`].
    #[must_use]
    pub fn is_output(&self) -> bool {
        matches!(*self.0, Kind::Output(_))
    }

    /// The file or directory of the trail concerned.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.trail()?.path()
    }

    /// The message and its cause, without path and offset.
    #[must_use]
    pub fn why(&self) -> String {
        self.trail().map_or_else(|| self.to_string(), auditx_reader::Error::why)
    }
}

impl From<auditx_reader::Error> for Error {
    fn from(error: auditx_reader::Error) -> Self {
        Self(Box::new(Kind::Trail(error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Trail(error) => error.fmt(f),
            Kind::Output(error) => write!(f, "cannot write the archive: {error}"),
            Kind::Changed => f.write_str("lines were retired or erased while the archive was written"),
            Kind::TooLarge(message) => f.write_str(message),
            Kind::Stopped => f.write_str("stopped before the archive was complete"),
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
            // Its message is this error's message.
            Kind::Trail(error) => error.source(),
            Kind::Output(error) => Some(error),
            _ => None,
        }
    }
}
