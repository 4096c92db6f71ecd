//! The error type of the crate: opaque, with one predicate for each case that a caller handles differently.

use std::error::Error as StdError;
use std::fmt;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error returned by a [`Signer`](crate::Signer).
pub type SignerError = Box<dyn StdError + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Corrupt,
    Invalid,
    Signing,
}

/// The error of all operations of this crate.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    seq: Option<u64>,
    source: Option<SignerError>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), seq: None, source: None }))
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

    pub(crate) fn with_seq(mut self, seq: u64) -> Self {
        self.0.seq = Some(seq);
        self
    }

    pub(crate) fn because(mut self, source: impl Into<SignerError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns `true` if the data is not what was signed, or is not in the form that is signed.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.0.kind == Kind::Corrupt
    }

    /// Returns `true` if a value given by the caller is invalid. The message has the value and the reason.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.0.kind == Kind::Invalid
    }

    /// Returns `true` if the key could not sign.
    #[must_use]
    pub fn is_signing(&self) -> bool {
        self.0.kind == Kind::Signing
    }

    /// Returns the sequence number of the line concerned, if any.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.0.seq
    }

    /// Returns the message without the cause, and the cause.
    #[must_use]
    pub fn into_parts(self) -> (String, Option<SignerError>) {
        (self.0.message, self.0.source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
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
