//! Errors of a search that did not stop it, in the order of the trail.

use crate::error::Error;

/// Errors beyond this number are only counted.
const MAX_KEPT: usize = 20;

/// The lines and segments that a search could not read.
#[derive(Debug, Default)]
pub struct ReadErrors {
    kept: Vec<Error>,
    lines: u64,
    segments: u64,
}

impl ReadErrors {
    pub(crate) fn add(&mut self, error: Error) {
        if error.is_unreadable() {
            self.lines += 1;
        } else {
            self.segments += 1;
        }
        if self.kept.len() < MAX_KEPT {
            self.kept.push(error);
        }
    }

    /// The number of lines that are not entries.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The number of segments that could not be read to their end.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// The first 20 errors, each with its file and byte offset.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.kept.iter()
    }
}
