//! What became of events, counted. Whoever installs a layer keeps a handle, since the layer itself goes into the subscriber.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A handle to a layer's counters; clones share them. Each counts from 0 since the layer was made.
///
/// A line that was handed to app.log and could not be written there is counted by the logger's
/// [`Metrics::app_log_failures`](auditx_core::Metrics::app_log_failures).
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    lines: AtomicU64,
    entries: AtomicU64,
    invalid: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
}

impl Counts {
    /// Events handed to app.log.
    #[must_use]
    pub fn lines(&self) -> u64 {
        read(&self.0.lines)
    }

    /// Events recorded as entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        read(&self.0.entries)
    }

    /// Those of them with a fact that could not be read and stands in the metadata as it was given.
    #[must_use]
    pub fn invalid(&self) -> u64 {
        read(&self.0.invalid)
    }

    /// Events that should have become entries and did not: refused, as app.log then says, or said where nothing could be
    /// written (see [`Counts::skipped`]). Raise an alarm on any.
    #[must_use]
    pub fn failed(&self) -> u64 {
        read(&self.0.failed)
    }

    /// Other events that went nowhere: said while this very thread was writing another one, or while there was no
    /// process-wide logger, since it was first set up or could not be opened.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        read(&self.0.skipped)
    }

    pub(crate) fn add_line(&self) {
        add(&self.0.lines);
    }

    pub(crate) fn add_entry(&self, is_invalid: bool) {
        add(&self.0.entries);
        if is_invalid {
            add(&self.0.invalid);
        }
    }

    pub(crate) fn add_failed(&self) {
        add(&self.0.failed);
    }

    pub(crate) fn add_skipped(&self) {
        add(&self.0.skipped);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
