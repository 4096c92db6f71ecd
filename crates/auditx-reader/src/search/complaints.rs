//! What could not be read, told in the order of the trail.

use crate::error::Error;

/// Beyond this, complaints are only counted.
const MOST_KEPT: usize = 20;

/// Lines and segments that could not be read.
#[derive(Debug, Default)]
pub struct Complaints {
    kept: Vec<Error>,
    lines: u64,
    segments: u64,
}

impl Complaints {
    pub(crate) fn add(&mut self, error: Error) {
        if error.is_unreadable() {
            self.lines += 1;
        } else {
            self.segments += 1;
        }
        if self.kept.len() < MOST_KEPT {
            self.kept.push(error);
        }
    }

    /// How many lines are no entries.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// How many segments could not be read to their end.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// The first of them, each with its file and its byte.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.kept.iter()
    }
}
