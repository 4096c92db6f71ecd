//! The error of this crate: an unknown name of a format, column or framing.

use std::fmt;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An unknown name. The message lists the known ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<str>);

impl Error {
    /// `what` is the kind of name, `known` lists all names.
    pub(crate) fn unknown<'k>(what: &str, word: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        const SHOWN: usize = 64;
        let shown: String = word.chars().take(SHOWN).collect();
        let known: Vec<_> = known.into_iter().collect();
        Self(format!("unknown {what} {shown:?}: expected one of {}", known.join(", ")).into())
    }

    /// `true`: the caller gave an unknown name. The message lists the known ones.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        true
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({})", self.0)
    }
}

impl std::error::Error for Error {}
