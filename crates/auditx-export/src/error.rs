//! The crate's one error: a word that names no format, column or framing.

use std::fmt;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was not understood, and what would be.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<str>);

impl Error {
    /// `what` is the kind of word, `known` all there are.
    pub(crate) fn unknown<'k>(what: &str, word: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        const SHOWN: usize = 64;
        let shown: String = word.chars().take(SHOWN).collect();
        let known: Vec<_> = known.into_iter().collect();
        Self(format!("{shown:?} is no {what}; one of {}", known.join(" ")).into())
    }

    /// The caller's words were wrong: give one of those the message lists.
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
