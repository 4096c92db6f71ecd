//! The sealed segments that a logger knows, so that it notices when another program removes one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use auditx_format::{Error, Result};

use super::sealed_segments;
use crate::dir::Dir;

/// The resolution of file system timestamps is finer than this. A directory that changed longer ago has no
/// unnoticed change.
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// The sealed segments, by the sequence numbers of their first lines.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By first seq; the fingerprint of the text if this process wrote all of it.
    segments: BTreeMap<u64, Option<u64>>,
    /// The modification time of the directory at the last listing, if no later change can have the same time.
    listed: Option<SystemTime>,
}

impl Registry {
    /// Adds a segment, with the fingerprint of its text if that is known. Call it after the segment was
    /// renamed to its sealed name.
    pub(crate) fn add(&self, first_seq: u64, fingerprint: Option<u64>) {
        self.lock().segments.insert(first_seq, fingerprint);
    }

    /// Returns the fingerprint of the text that was written to a segment, if this process wrote all of it.
    pub(crate) fn fingerprint(&self, first_seq: u64) -> Option<u64> {
        self.lock().segments.get(&first_seq).copied().flatten()
    }

    /// Removes a segment. Call it before the file is removed.
    pub(crate) fn remove(&self, first_seq: u64) {
        self.lock().segments.remove(&first_seq);
    }

    /// Returns the segments that were removed by another program, each of them once. Costs an fstat(2) if the
    /// directory has not changed since the last call, otherwise a listing.
    pub(crate) fn missing(&self, directory: &Dir) -> Result<Vec<u64>> {
        // The lock is held during the listing, so that a segment sealed meanwhile is added afterwards.
        let mut known = self.lock();
        let changed = directory.modified().map_err(|error| {
            Error::storage("cannot examine the trail's directory", directory.path(), error)
        })?;
        if known.listed == Some(changed) {
            return Ok(Vec::new());
        }
        let is_stable = changed.elapsed().is_ok_and(|since| since > CLOCK_STEP);
        let listed: BTreeSet<u64> =
            sealed_segments(directory)?.iter().map(|segment| segment.first_seq).collect();
        let is_missing = |first_seq: &&u64| !listed.contains(first_seq);
        let missing: Vec<u64> = known.segments.keys().filter(is_missing).copied().collect();
        known.segments.retain(|first_seq, _| listed.contains(first_seq));
        known.listed = is_stable.then_some(changed);
        Ok(missing)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
