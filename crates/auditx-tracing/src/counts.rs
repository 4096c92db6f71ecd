//! Counters of a layer's events. The layer itself moves into the subscriber, so the application reads them
//! through a separate handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A handle to a layer's counters, which start at 0; clones share them.
///
/// A line that could not be written to app.log is counted by the logger's
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
    /// Returns the number of events passed to app.log.
    #[must_use]
    pub fn lines(&self) -> u64 {
        read(&self.0.lines)
    }

    /// Returns the number of events recorded as entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        read(&self.0.entries)
    }

    /// Returns the number of recorded entries with an invalid field, which was stored in the metadata
    /// unchanged.
    #[must_use]
    pub fn invalid(&self) -> u64 {
        read(&self.0.invalid)
    }

    /// Returns the number of audit events that were not recorded: either the logger refused the entry, which
    /// app.log then reports, or nothing could be written (see [`Counts::skipped`]). Monitoring should raise
    /// an alarm if it is not 0.
    #[must_use]
    pub fn failed(&self) -> u64 {
        read(&self.0.failed)
    }

    /// Returns the number of other events that were discarded: either the same thread was writing another
    /// event, or there was no process-wide logger because it was being set up or could not be opened.
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
