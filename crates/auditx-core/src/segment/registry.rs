//! The sealed segments that a logger knows of, so that it notices when another program takes one away.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::sealed_segments;
use crate::dir::Dir;
use crate::error::{Error, Result};

/// File systems note times in steps shorter than this: a directory that was changed longer ago has no change left to be
/// noticed.
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// Sealed segments, by the sequence numbers of their first lines.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    first_seqs: BTreeSet<u64>,
    /// When the directory had last changed when it was last listed, if no later change can have the same time.
    listed: Option<SystemTime>,
}

impl Registry {
    pub(crate) fn of(first_seqs: impl Iterator<Item = u64>) -> Self {
        Self(Mutex::new(Known { first_seqs: first_seqs.collect(), listed: None }))
    }

    /// Called after a segment got its name.
    pub(crate) fn add(&self, first_seq: u64) {
        self.lock().first_seqs.insert(first_seq);
    }

    /// Called before a segment is removed.
    pub(crate) fn remove(&self, first_seq: u64) {
        self.lock().first_seqs.remove(&first_seq);
    }

    /// The segments that are gone though nobody removed them here; each is told once. Costs an fstat(2) where the directory
    /// has not changed since the last call, else a listing.
    pub(crate) fn missing(&self, directory: &Dir) -> Result<Vec<u64>> {
        // Held while the directory is listed: what is sealed meanwhile is added after that.
        let mut known = self.lock();
        let changed = directory.modified().map_err(|error| {
            Error::storage("cannot examine the trail's directory", directory.path(), error)
        })?;
        if known.listed == Some(changed) {
            return Ok(Vec::new());
        }
        let is_settled = changed.elapsed().is_ok_and(|since| since > CLOCK_STEP);
        let there: BTreeSet<u64> =
            sealed_segments(directory)?.iter().map(|segment| segment.first_seq).collect();
        let gone: Vec<u64> = known.first_seqs.difference(&there).copied().collect();
        known.first_seqs.retain(|first_seq| there.contains(first_seq));
        known.listed = is_settled.then_some(changed);
        Ok(gone)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
