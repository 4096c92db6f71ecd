//! The entries at the head of the ring that its last writer wrote to the trail and did not release.

use std::collections::HashSet;

use crate::entry_id::{Id, id_of};

#[derive(Debug, Default)]
pub(crate) struct Unreleased {
    written: HashSet<Id>,
    /// Entries after this position were not written.
    end: u64,
}

impl Unreleased {
    pub(crate) fn new(written: HashSet<Id>, end: u64) -> Self {
        Self { written, end }
    }

    /// Returns the position after the last of them.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn is_written(&self, body: &[u8]) -> bool {
        !self.written.is_empty() && id_of(body).is_some_and(|id| self.written.contains(&id))
    }

    /// Frees the memory once the drain has passed them.
    pub(super) fn forget_before(&mut self, position: u64) {
        if position >= self.end {
            self.written = HashSet::new();
        }
    }
}
