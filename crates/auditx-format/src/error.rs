//! The error type shared by `auditx-format`, `auditx-store` and `auditx-core`: opaque, with one predicate for
//! each case that callers handle differently.
//!
//! An error has the path and the sequence number it concerns, if any, and the underlying cause as `source()`.
//! No dependency's error type appears in the API.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// The result type of these crates.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error returned by application code that the library calls: a hook or a signer.
pub type HookError = Box<dyn StdError + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    TooLarge,
    Locked,
    Storage,
    Closed,
    Corrupt,
    Invalid,
    TimedOut,
    Signing,
}

/// The error of all operations of `auditx-format`, `auditx-store` and `auditx-core`.
///
/// `Display` writes a message for people: what failed, on which file, and why. Programs use the predicates,
/// such as [`Error::is_full`].
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    path: Option<PathBuf>,
    seq: Option<u64>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[doc(hidden)] // Constructors, for the crates of this project.
impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), path: None, seq: None, source: None }))
    }

    /// Returns an error for which [`Error::is_full`] is true.
    pub fn full(message: impl Into<String>) -> Self {
        Self::new(Kind::Full, message)
    }

    /// Returns an error for which [`Error::is_too_large`] is true.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// Returns an error for which [`Error::is_locked`] is true.
    pub fn locked(message: impl Into<String>) -> Self {
        Self::new(Kind::Locked, message)
    }

    /// Returns an error for which [`Error::is_invalid`] is true.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// Returns an error for which [`Error::is_corrupt`] is true.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    /// Returns an error for which [`Error::is_signing`] is true.
    pub fn signing(message: impl Into<String>) -> Self {
        Self::new(Kind::Signing, message)
    }

    /// Returns an error for which [`Error::is_timed_out`] is true.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(Kind::TimedOut, message)
    }

    /// Returns an error for which [`Error::is_closed`] is true.
    #[must_use]
    pub fn closed() -> Self {
        Self::new(Kind::Closed, "the trail is closed")
    }

    /// Returns an error for which [`Error::is_storage`] is true; without a path and a cause.
    pub fn of_storage(message: impl Into<String>) -> Self {
        Self::new(Kind::Storage, message)
    }

    /// Returns the error of an I/O operation on `path`; `what` says which operation failed.
    pub fn storage(
        what: &str,
        path: impl AsRef<Path>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::of_storage(what).at(path.as_ref()).because(source)
    }

    /// Sets the file or directory concerned.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_path_buf());
        self
    }

    /// Sets the sequence number of the line concerned.
    #[must_use]
    pub fn with_seq(mut self, seq: u64) -> Self {
        self.0.seq = Some(seq);
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns a copy, for an error that is returned to several callers. The source is kept as text only.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let mut copy = Self::new(self.0.kind, self.0.message.clone());
        copy.0.path = self.0.path.clone();
        copy.0.seq = self.0.seq;
        copy.0.source = self.0.source.as_ref().map(|source| source.to_string().into());
        copy
    }
}

impl Error {
    /// Returns `true` if the journal was full for longer than the configuration allows to wait, or if
    /// the entry of a receipt was dropped for that reason.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.kind == Kind::Full
    }

    /// Returns `true` if the entry does not fit into one line. The message has its size and its largest
    /// field.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.0.kind == Kind::TooLarge
    }

    /// Returns `true` if another writer has the trail open. The message names it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.0.kind == Kind::Locked
    }

    /// Returns `true` if a file system operation failed: no space, no permission, an I/O error, or an
    /// unrelated file at the path.
    #[must_use]
    pub fn is_storage(&self) -> bool {
        self.0.kind == Kind::Storage
    }

    /// Returns `true` if the logger was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.kind == Kind::Closed
    }

    /// Returns `true` if the data on disk is not what was written.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.0.kind == Kind::Corrupt
    }

    /// Returns `true` if a value given by the caller is invalid. The message has the value and the reason.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.0.kind == Kind::Invalid
    }

    /// Returns `true` if an operation did not finish within its timeout.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.0.kind == Kind::TimedOut
    }

    /// Returns `true` if the key could not sign, or is not the key that signs this trail. Lines are kept, but
    /// are not signed.
    #[must_use]
    pub fn is_signing(&self) -> bool {
        self.0.kind == Kind::Signing
    }

    /// Returns the file or directory concerned, if any.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Returns the sequence number of the line concerned, if any.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.0.seq
    }
}

impl From<auditx_tlog::Error> for Error {
    fn from(error: auditx_tlog::Error) -> Self {
        let kind = match &error {
            error if error.is_invalid() => Kind::Invalid,
            error if error.is_signing() => Kind::Signing,
            _ => Kind::Corrupt,
        };
        let seq = error.seq();
        let (message, source) = error.into_parts();
        Self(Box::new(Inner { kind, message, path: None, seq, source }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(path) = &self.0.path {
            write!(f, " ({})", path.display())?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_operation_path_and_cause() {
        let error = Error::storage("cannot open the segment", "/logs/audit.jsonl", "no space").with_seq(7);
        assert_eq!(error.to_string(), "cannot open the segment (/logs/audit.jsonl): no space");
        assert!(error.is_storage() && !error.is_closed());
        assert_eq!(error.seq(), Some(7));
        assert_eq!(error.path(), Some(Path::new("/logs/audit.jsonl")));
        assert_eq!(error.duplicate().to_string(), error.to_string());
    }
}
