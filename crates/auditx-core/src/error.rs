//! The crate's one error: opaque, with a predicate for each thing a caller can do about it.
//!
//! It keeps the path and the sequence number where they exist and the underlying cause as `source()`.
//! No dependency's error type appears in the API.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the application's own code, of a hook or a signer; anything goes.
pub type HookError = Box<dyn StdError + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
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

/// What went wrong, where, and what to do about it.
///
/// The message says it for people; the predicates say it for programs.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    path: Option<PathBuf>,
    seq: Option<u64>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), path: None, seq: None, source: None }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    pub(crate) fn signing(message: impl Into<String>) -> Self {
        Self::new(Kind::Signing, message)
    }

    pub(crate) fn closed() -> Self {
        Self::new(Kind::Closed, "the trail is closed")
    }

    /// An I/O failure while doing `what` to `path`.
    pub(crate) fn storage(
        what: &str,
        path: impl AsRef<Path>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(Kind::Storage, what).at(path.as_ref()).because(source)
    }

    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_path_buf());
        self
    }

    pub(crate) fn with_seq(mut self, seq: u64) -> Self {
        self.0.seq = Some(seq);
        self
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The journal had no room within the time the caller was willing to wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.kind == Kind::Full
    }

    /// The entry does not fit into one line; the message names its size and its largest field.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.0.kind == Kind::TooLarge
    }

    /// Another writer holds the trail; the message names it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.0.kind == Kind::Locked
    }

    /// The file system refused: no space, no permission, an I/O error, a foreign file in the way.
    #[must_use]
    pub fn is_storage(&self) -> bool {
        self.0.kind == Kind::Storage
    }

    /// The logger was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.kind == Kind::Closed
    }

    /// What is on disk is not what was written.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.0.kind == Kind::Corrupt
    }

    /// A value given by the caller cannot be accepted; the message says which and why.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.0.kind == Kind::Invalid
    }

    /// A wait ended before what it waited for.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.0.kind == Kind::TimedOut
    }

    /// The key could not sign, or is not the one that signs this trail. Lines are kept, unsigned.
    #[must_use]
    pub fn is_signing(&self) -> bool {
        self.0.kind == Kind::Signing
    }

    /// The file or directory concerned.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The sequence number of the line concerned.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.0.seq
    }

    /// A second error that says the same, for an error that several callers must get.
    pub(crate) fn duplicate(&self) -> Self {
        let mut copy = Self::new(self.0.kind, self.0.message.clone());
        copy.0.path = self.0.path.clone();
        copy.0.seq = self.0.seq;
        copy.0.source = self.0.source.as_ref().map(|source| source.to_string().into());
        copy
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
    fn an_error_says_what_where_and_why() {
        let error = Error::storage("cannot open the segment", "/logs/audit.jsonl", "no space").with_seq(7);
        assert_eq!(error.to_string(), "cannot open the segment (/logs/audit.jsonl): no space");
        assert!(error.is_storage() && !error.is_closed());
        assert_eq!(error.seq(), Some(7));
        assert_eq!(error.path(), Some(Path::new("/logs/audit.jsonl")));
        assert_eq!(error.duplicate().to_string(), error.to_string());
    }
}
