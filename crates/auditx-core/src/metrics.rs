//! Counters: one per way to succeed and one per way to fail, so that no loss is silent.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that only grows; read and written without ordering, since nothing is decided by it.
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

/// What a journal holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JournalLoad {
    /// Entries accepted since it began.
    pub(crate) accepted: u64,
    /// Those of them that are not written to the trail yet.
    pub(crate) waiting: u64,
    /// Bytes in use, and how many there are; none where it holds nothing.
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
    pub(crate) keeping_failures: Counter,
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
            keeping_failures: self.keeping_failures.read(),
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Entries whose `record()` returned a receipt.
    pub accepted: u64,
    /// Entries whose `record()` returned an error.
    pub rejected: u64,
    /// Entries dropped without an error to their caller.
    pub dropped: u64,
    /// Entries that are accepted and not yet written to the trail.
    pub waiting: u64,
    /// Bytes in use in the journal's ring: entries that are not written yet, or not durable.
    pub journal_fill: u64,
    /// Bytes of the journal's ring; 0 where entries are written directly.
    pub journal_bytes: u64,
    /// Lines in the trail, the library's own included: the next sequence number.
    pub written: u64,
    /// Lines that would survive a power loss: all below this sequence number.
    pub durable: u64,
    /// Lines that a signed checkpoint speaks of: all below this sequence number.
    pub signed: u64,
    /// Bytes appended to segments.
    pub bytes: u64,
    /// Successful fdatasync calls.
    pub fsyncs: u64,
    /// Failed fdatasync calls; the first closes the trail to further entries.
    pub fsync_failures: u64,
    /// Failed or short writes to the active segment.
    pub write_failures: u64,
    /// Segments sealed.
    pub seals: u64,
    /// Attempts to seal that failed; the segment goes on growing.
    pub seal_failures: u64,
    /// Skip indexes of sealed segments written.
    pub indexed: u64,
    /// Sealed segments compressed.
    pub compressed: u64,
    /// Sealed segments retired.
    pub retired: u64,
    /// Failures to index, compress or retire a segment; tried again at the next seal.
    pub keeping_failures: u64,
    /// Checkpoints signed and published.
    pub checkpoints: u64,
    /// Checkpoints that could not be signed or written; tried again, while lines are kept unsigned.
    pub checkpoint_failures: u64,
    /// Failed writes to the cache of tree nodes; what is missing there is made anew from the lines.
    pub tile_failures: u64,
    /// Lines that could not be written to app.log.
    pub app_log_failures: u64,
    /// Files of the trail that another program renamed, removed, replaced or cut, and that were restored.
    pub restored: u64,
    /// Files that another program changed so and that could not be restored. For most of them the trail takes no more entries;
    /// the errors of `record()` say which.
    pub restore_failures: u64,
    /// Lines of such files that could not be restored; a `recovered` record in the trail names them.
    pub lost: u64,
    /// Sealed segments that another program renamed or removed; only a backup can restore them.
    pub missing_segments: u64,
    /// What stands behind the trail, each with its lag.
    pub followers: Vec<FollowerMetrics>,
}

/// How far one follower is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowerMetrics {
    /// Its name.
    pub name: String,
    /// The next sequence number it will take.
    pub position: u64,
    /// Lines it has yet to take.
    pub lag: u64,
    /// Failed attempts.
    pub failures: u64,
}
