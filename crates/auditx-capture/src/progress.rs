//! How far a collector is.

use std::time::SystemTime;

/// How far a collector is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Entries that were recorded and removed from the outbox since the collector started.
    pub collected: u64,
    /// Rows that could not become entries, and were moved to a table of their own.
    pub refused: u64,
    /// How often the outbox was found empty.
    pub emptied: u64,
    /// The time of the oldest entry that waits, as of the last look; `None` if none waited.
    pub oldest: Option<SystemTime>,
    /// Why the last attempt failed; empty if it did not.
    pub error: String,
    /// How many attempts failed since the collector started.
    pub failures: u64,
    /// When an attempt last failed; `None` if none has.
    pub failed_at: Option<SystemTime>,
}
