//! The error of this crate: opaque, with a predicate for each thing a caller can do about it.
//!
//! It keeps the path and the byte offset if they exist, and the underlying cause as `source()`.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Missing,
    Storage,
    Refused,
    Corrupt,
    Unreadable,
    Invalid,
}

/// An error of reading a trail: what could not be read, where, and why.
///
/// The message is for people, the predicates are for programs.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    path: Option<PathBuf>,
    offset: Option<u64>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>, path: &Path) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            path: Some(path.to_path_buf()),
            offset: None,
            source: None,
        }))
    }

    pub(crate) fn missing(message: impl Into<String>, path: &Path) -> Self {
        Self::new(Kind::Missing, message, path)
    }

    pub(crate) fn storage(
        what: impl Into<String>,
        path: &Path,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(Kind::Storage, what, path).because(source)
    }

    /// Wraps an error of `auditx-store`, whose message names the path itself.
    pub(crate) fn from_store(error: auditx_format::Error) -> Self {
        let mut own = Self::unusable(error.to_string());
        own.0.kind = Kind::Storage;
        own.0.path = error.path().map(Path::to_path_buf);
        own
    }

    pub(crate) fn refused(message: impl Into<String>, path: &Path) -> Self {
        Self::new(Kind::Refused, message, path)
    }

    pub(crate) fn corrupt(message: impl Into<String>, path: &Path) -> Self {
        Self::new(Kind::Corrupt, message, path)
    }

    pub(crate) fn invalid(message: impl Into<String>, path: &Path) -> Self {
        Self::new(Kind::Invalid, message, path)
    }

    /// An invalid value of the caller, independent of any trail.
    pub(crate) fn unusable(message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner { kind: Kind::Invalid, message, path: None, offset: None, source: None }))
    }

    pub(crate) fn unreadable(why: impl Into<String>, path: &Path, offset: u64) -> Self {
        Self::new(Kind::Unreadable, why, path).at_byte(offset)
    }

    pub(crate) fn at_byte(mut self, offset: u64) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// Adds the reason why the trail had to be verified, which failed.
    pub(crate) fn while_verifying(mut self, doubt: &str) -> Self {
        self.0.message = format!("{doubt}, but the trail cannot be verified: {}", self.0.message);
        self
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// `true` if the directory does not exist or does not hold what was asked for.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.0.kind == Kind::Missing
    }

    /// `true` if the file system failed: no permission, an I/O error.
    #[must_use]
    pub fn is_storage(&self) -> bool {
        self.0.kind == Kind::Storage
    }

    /// `true` if something other than a regular file has the name of a file: a symbolic link, a FIFO, a
    /// device.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.0.kind == Kind::Refused
    }

    /// `true` if a file is not what was written: a damaged compressed segment, a file truncated while it was
    /// read, or lines that differ from what was signed.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.0.kind == Kind::Corrupt
    }

    /// `true` if one line is not an entry. The lines around it can be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.0.kind == Kind::Unreadable
    }

    /// `true` if a value given by the caller cannot be used; the message says which and why.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.0.kind == Kind::Invalid
    }

    /// The file or directory concerned.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The byte offset in the file; in a compressed file, in its decompressed text.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The message and its cause, without path and offset.
    #[must_use]
    pub fn why(&self) -> String {
        match &self.0.source {
            Some(source) => format!("{}: {source}", self.0.message),
            None => self.0.message.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match (&self.0.path, self.0.offset) {
            (Some(path), Some(offset)) => write!(f, " ({}, byte {offset})", path.display())?,
            // A message of `auditx-store` already names the path.
            (Some(path), None) if !self.0.message.contains(&*path.to_string_lossy()) => {
                write!(f, " ({})", path.display())?;
            }
            _ => {}
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
        let path = Path::new("logs/audit.jsonl");
        let error = Error::unreadable("not UTF-8", path, 17);
        assert_eq!(error.to_string(), "not UTF-8 (logs/audit.jsonl, byte 17)");
        assert!(error.is_unreadable() && !error.is_storage());
        assert_eq!((error.path(), error.offset()), (Some(path), Some(17)));

        let error = Error::storage("cannot open the segment", path, "no permission");
        assert_eq!(error.to_string(), "cannot open the segment (logs/audit.jsonl): no permission");
        assert_eq!(error.why(), "cannot open the segment: no permission");
    }
}
