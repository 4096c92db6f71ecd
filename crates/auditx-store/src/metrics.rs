//! Counters of a logger: one for each kind of success and of failure, so that every loss is counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// A monotonic counter. All accesses are relaxed, since no other memory is published through it.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How full a journal is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JournalLoad {
    /// Entries accepted since the logger was opened.
    pub(crate) accepted: u64,
    /// Accepted entries that are not written to the trail yet.
    pub(crate) waiting: u64,
    /// Bytes in use and bytes in total; both 0 for the direct journal.
    pub(crate) fill: u64,
    pub(crate) capacity: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) rejected: Counter,
    pub(crate) dropped: Counter,
    pub(crate) bytes: Counter,
    pub(crate) fsyncs: Counter,
    pub(crate) fsync_failures: Counter,
    pub(crate) write_failures: Counter,
    pub(crate) seals: Counter,
    pub(crate) seal_failures: Counter,
    pub(crate) indexed: Counter,
    pub(crate) compressed: Counter,
    pub(crate) retired: Counter,
    pub(crate) maintenance_failures: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) checkpoint_failures: Counter,
    pub(crate) tile_failures: Counter,
    pub(crate) app_log_failures: Counter,
    pub(crate) restored: Counter,
    pub(crate) restore_failures: Counter,
    pub(crate) lost: Counter,
    pub(crate) missing_segments: Counter,
}

impl Counters {
    pub(crate) fn snapshot(
        &self,
        journal: JournalLoad,
        written: u64,
        durable: u64,
        signed: u64,
        followers: Vec<FollowerMetrics>,
    ) -> Metrics {
        Metrics {
            accepted: journal.accepted,
            waiting: journal.waiting,
            journal_fill: journal.fill,
            journal_bytes: journal.capacity,
            rejected: self.rejected.read(),
            dropped: self.dropped.read(),
            written,
            durable,
            signed,
            bytes: self.bytes.read(),
            fsyncs: self.fsyncs.read(),
            fsync_failures: self.fsync_failures.read(),
            write_failures: self.write_failures.read(),
            seals: self.seals.read(),
            seal_failures: self.seal_failures.read(),
            indexed: self.indexed.read(),
            compressed: self.compressed.read(),
            retired: self.retired.read(),
            maintenance_failures: self.maintenance_failures.read(),
            checkpoints: self.checkpoints.read(),
            checkpoint_failures: self.checkpoint_failures.read(),
            tile_failures: self.tile_failures.read(),
            app_log_failures: self.app_log_failures.read(),
            restored: self.restored.read(),
            restore_failures: self.restore_failures.read(),
            lost: self.lost.read(),
            missing_segments: self.missing_segments.read(),
            followers,
        }
    }
}

/// A snapshot of a logger's counters since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Entries whose `record()` returned a receipt.
    pub accepted: u64,
    /// Entries whose `record()` returned an error.
    pub rejected: u64,
    /// Entries dropped without an error to their caller.
    pub dropped: u64,
    /// Entries accepted but not yet written to the trail.
    pub waiting: u64,
    /// Bytes in use in the journal's ring: entries that are not written yet, or not durable yet.
    pub journal_fill: u64,
    /// Size of the journal's ring in bytes; 0 for the direct journal.
    pub journal_bytes: u64,
    /// Lines in the trail, control records included. Equal to the next sequence number.
    pub written: u64,
    /// Lines that would survive a power loss: all with a sequence number below this one.
    pub durable: u64,
    /// Lines covered by a signed checkpoint: all with a sequence number below this one.
    pub signed: u64,
    /// Bytes appended to segments.
    pub bytes: u64,
    /// Successful fdatasync calls.
    pub fsyncs: u64,
    /// Failed fdatasync calls. After the first one the trail accepts no more entries.
    pub fsync_failures: u64,
    /// Failed or short writes to the active segment.
    pub write_failures: u64,
    /// Segments sealed.
    pub seals: u64,
    /// Failed attempts to seal a segment. The segment then grows beyond its limit.
    pub seal_failures: u64,
    /// Skip indexes of sealed segments written.
    pub indexed: u64,
    /// Sealed segments compressed.
    pub compressed: u64,
    /// Sealed segments retired.
    pub retired: u64,
    /// Failed attempts to index, compress or retire a segment; they are repeated at the next seal.
    pub maintenance_failures: u64,
    /// Checkpoints signed and published.
    pub checkpoints: u64,
    /// Failed attempts to sign or write a checkpoint. They are repeated; until then lines are kept unsigned.
    pub checkpoint_failures: u64,
    /// Failed writes to the tile cache. Missing tree nodes are computed again from the lines.
    pub tile_failures: u64,
    /// Lines that could not be written to app.log.
    pub app_log_failures: u64,
    /// Files of the trail that another program renamed, removed, replaced or truncated, and that were
    /// restored.
    pub restored: u64,
    /// Files that another program changed in this way and that could not be restored. In most cases the trail
    /// then accepts no more entries, and the error of `record()` names the file.
    pub restore_failures: u64,
    /// Lines of such files that could not be restored; a `recovered` record in the trail lists them.
    pub lost: u64,
    /// Sealed segments that another program renamed or removed; only a backup can restore them.
    pub missing_segments: u64,
    /// The followers of the trail: security.jsonl, the console and the `on_audit` hooks.
    pub followers: Vec<FollowerMetrics>,
}

/// The progress of one follower.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowerMetrics {
    /// The follower's name.
    pub name: String,
    /// The sequence number of the next line to process.
    pub position: u64,
    /// Lines not yet processed.
    pub lag: u64,
    /// Failed attempts.
    pub failures: u64,
}
