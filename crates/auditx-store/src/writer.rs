//! The handle of an open trail: its journal, and in the process that writes it the appender and the threads.
//!
//! One process of those that share a trail writes it. `peers` makes another one the writer when that ends.

mod close;
mod custody;
mod open;
mod peers;
mod positions;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use auditx_format::encode::Envelope;
use auditx_format::vocabulary::LogLevel;
use auditx_format::{Error, Result};
use auditx_tlog::VerifierKey;
use serde_json::{Map, Value};

use crate::checkpoint_signer::{CheckpointSigner, read_latest};
use crate::committer::Committer;
use crate::config::{Config, Durability, OnFull, RateLimit};
use crate::follow::Followers;
use crate::journal::{Drain, Journal, SharedAppender};
use crate::lock::Lock;
use crate::maintenance::{Housekeeping, Maintenance};
use crate::metrics::Metrics;
use crate::storage::{Disk, Storage};
use crate::trail::Trail;

pub use crate::journal::Refusal;
pub use custody::KeyChange;
use peers::Peers;
pub use positions::{Positions, Recorded};

/// An open trail. Any number of processes of one machine can have it open; one of them writes it.
///
/// Dropping it closes it with a timeout of 5 s; an error is written to app.log.
#[derive(Debug)]
pub struct Writer {
    journal: Journal,
    shared: Arc<Shared>,
    /// `None` if no other process can share the trail.
    peers: Mutex<Option<Peers>>,
    /// The process that opened the trail; a forked child must not close it.
    process: u32,
}

/// What the handle shares with the thread that may make this process the writer.
#[derive(Debug)]
struct Shared {
    trail: Arc<Trail>,
    /// Set once this process writes the trail.
    writing: OnceLock<Writing>,
    running: Mutex<Option<Running>>,
    /// The key that signed the trail when it was opened.
    key: VerifierKey,
    is_closed: AtomicBool,
}

/// What only the process has that writes the trail.
#[derive(Debug)]
struct Writing {
    appender: Arc<SharedAppender>,
    checkpoint_signer: Arc<CheckpointSigner>,
    followers: Followers,
    housekeeping: Arc<Housekeeping>,
}

/// The threads and the lock, which end when the trail is closed.
#[derive(Debug)]
struct Running {
    maintenance: Maintenance,
    committer: Committer,
    drain: Option<Drain>,
    lock: Arc<Mutex<Lock>>,
}

/// The timeout of closing a trail when it is dropped.
pub const DROP_TIMEOUT: Duration = Duration::from_secs(5);

impl Drop for Writer {
    fn drop(&mut self) {
        if let Err(error) = self.close(DROP_TIMEOUT) {
            self.report(&format!("cannot close the trail: {error}"));
        }
    }
}

impl Writer {
    /// Opens the trail, or creates it if it does not exist. Runs recovery if the trail was not closed. If other
    /// processes of this machine have it open, joins them.
    ///
    /// # Errors
    /// - `is_invalid` if the configuration is invalid.
    /// - `is_locked` if another process has the trail open and it cannot be joined.
    /// - `is_storage` if a file system operation fails.
    /// - `is_corrupt` if the trail is not what its last checkpoint signed, or the directory contains
    ///   something else; see [`Writer::replace_broken`].
    /// - `is_signing` if the key cannot be used, or is not the key of this trail.
    pub fn open(config: &Config) -> Result<Self> {
        Self::open_on(config, Arc::new(Disk))
    }

    /// Like [`Writer::open`], on another storage.
    ///
    /// # Errors
    /// The same as [`Writer::open`].
    pub fn open_on(config: &Config, storage: Arc<dyn Storage>) -> Result<Self> {
        Self::begin(config, storage, None)
    }

    /// Accepts the body of a line, which [`Envelope::encode`] made, and returns the position after it
    /// in the journal. Never waits for space. Once it has returned, the entry survives the death of the
    /// process.
    ///
    /// # Errors
    /// [`Refusal::Full`] if there is no space; otherwise `is_closed`, `is_storage` or `is_locked`.
    #[inline]
    pub fn try_push(&self, body: &[u8]) -> Result<u64, Refusal> {
        self.journal.try_push(body)
    }

    /// Accepts the body of a line, like [`Writer::try_push`], and waits for space if the journal is full.
    /// Returns `None` if the entry was dropped.
    ///
    /// # Errors
    /// `is_full` if there was no space in time; otherwise the same as [`Writer::try_push`].
    #[inline]
    pub fn push(&self, body: &[u8]) -> Result<Option<u64>> {
        match self.journal.try_push(body) {
            Ok(position) => Ok(Some(position)),
            Err(Refusal::Full) => self.push_when_full(body),
            Err(Refusal::Error(error)) => Err(error),
        }
    }

    /// Retries until the journal has space, for at most the time that `Config::on_full` allows; a journal
    /// without a ring does not wait. Returns `None` if the entry was dropped.
    ///
    /// # Errors
    /// `is_full` if there was no space in time; otherwise the same as [`Writer::try_push`].
    #[cold]
    fn push_when_full(&self, body: &[u8]) -> Result<Option<u64>> {
        let Some(ring) = self.journal.ring() else { return self.reject_or_drop() };
        match ring.room.wait(Instant::now() + self.max_wait(), || self.retry(body)) {
            Some(outcome) => outcome.map(Some),
            None => self.reject_or_drop(),
        }
    }

    /// Retries, after [`Refusal::Full`], until the journal has space, for at most the time that
    /// `Config::on_full` allows. Returns `None` if the entry was dropped.
    ///
    /// # Errors
    /// The same as [`Writer::push`].
    pub async fn push_when_full_async(&self, body: &[u8]) -> Result<Option<u64>> {
        let Some(ring) = self.journal.ring() else { return self.reject_or_drop() };
        match ring.room.wait_async(Instant::now() + self.max_wait(), || self.retry(body)).await {
            Some(outcome) => outcome.map(Some),
            None => self.reject_or_drop(),
        }
    }

    /// Counts an entry that was not accepted.
    pub fn count_rejected(&self) {
        self.shared.trail.counters.rejected.add(1);
    }

    /// Checks whether an entry would be accepted now.
    ///
    /// # Errors
    /// The error that pushing would return.
    pub fn ready(&self) -> Result<()> {
        self.journal.ready()
    }

    /// Under `Durability::Interval`, requests an fdatasync at once for an entry of a sensitive level.
    #[inline]
    pub fn hasten(&self, position: u64, level: LogLevel) {
        if matches!(self.shared.trail.config.durability, Durability::Interval(_)) && level.is_sensitive() {
            self.shared.trail.watermark.want_durable(position);
        }
    }

    /// Returns whether each entry must be durable before its caller continues.
    #[inline]
    #[must_use]
    pub fn waits_for_each(&self) -> bool {
        self.shared.trail.config.durability == Durability::EveryEntry
    }

    /// Returns a handle that waits until positions are durable.
    #[must_use]
    pub fn positions(&self) -> Positions {
        Positions::new(self.shared.trail.watermark.clone(), self.shared.trail.directory.clone())
    }

    /// Returns the settings that apply to every line.
    #[inline]
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.shared.trail.envelope
    }

    /// Returns the time of the configured clock.
    #[inline]
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.shared.trail.config.clock.now()
    }

    /// Returns the configured rate limit, which the caller applies.
    #[must_use]
    pub fn rate_limit(&self) -> RateLimit {
        self.shared.trail.config.rate_limit
    }

    /// Returns the directory of the trail as an absolute path.
    #[must_use]
    pub fn trail_dir(&self) -> &Path {
        self.shared.trail.directory.path()
    }

    /// Writes an error of the library itself to app.log.
    pub fn report(&self, message: &str) {
        self.shared.trail.app_log.report(message);
    }

    /// Writes a message of the application to app.log, redacted like metadata.
    pub fn write_message(&self, level: LogLevel, message: &str, fields: &Map<String, Value>) {
        self.shared.trail.app_log.write(level, message, fields, Some(&self.shared.trail.envelope.rules));
    }

    /// Waits until all entries accepted so far are durable, and are written to security.jsonl and the
    /// console. If another process writes the trail, it does not wait for the latter.
    ///
    /// # Errors
    /// `is_timed_out` if that takes longer than `timeout`; `is_storage` if a write or an fdatasync failed.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        let (end, deadline) = self.wait_durable(timeout)?;
        self.shared.writing.get().map_or(Ok(()), |writing| writing.followers.wait_for_builtin(end, deadline))
    }

    /// Like [`Writer::flush`], and also waits until every `on_audit` hook has processed these entries.
    ///
    /// # Errors
    /// The same as [`Writer::flush`].
    pub fn flush_hooks(&self, timeout: Duration) -> Result<()> {
        let (end, deadline) = self.wait_durable(timeout)?;
        self.shared.writing.get().map_or(Ok(()), |writing| writing.followers.wait_for_all(end, deadline))
    }

    /// Returns a snapshot of the counters.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let watermark = &self.shared.trail.watermark;
        if let (Some(ring), None) = (self.journal.ring(), self.shared.writing.get()) {
            ring.mirror();
        }
        let (written, durable) = (watermark.written(), watermark.durable());
        let (signed, followers) = match self.shared.writing.get() {
            Some(writing) => (writing.checkpoint_signer.size(), writing.followers.metrics()),
            None => {
                let latest = read_latest(&self.shared.trail.directory).ok().flatten();
                (latest.map_or(0, |latest| latest.size()), Vec::new())
            }
        };
        self.shared.trail.counters.snapshot(self.journal.load(), written, durable, signed, followers)
    }

    /// Reserves space in the ring like a thread that then stalls. The returned function finishes the entry.
    ///
    /// # Panics
    /// If the journal is not the ring, or is full.
    #[cfg(any(test, feature = "testing"))]
    pub fn stall(&self, body: &'static [u8]) -> impl FnOnce() + use<> {
        let ring = self.journal.ring().expect("the ring").clone();
        let finish = ring.queue().stall(body);
        move || finish(ring.queue())
    }

    /// Waits until all entries accepted so far are durable. Returns the number of durable lines and the
    /// deadline.
    fn wait_durable(&self, timeout: Duration) -> Result<(u64, Instant)> {
        let deadline = Instant::now() + timeout;
        self.shared.trail.watermark.wait_durable(self.journal.reach(), Some(deadline))?;
        Ok((self.shared.trail.watermark.durable(), deadline))
    }

    /// The longest time to wait while the journal is full.
    fn max_wait(&self) -> Duration {
        match self.shared.trail.config.on_full {
            OnFull::Wait { max } => max,
            OnFull::Reject | OnFull::Drop => Duration::ZERO,
        }
    }

    fn retry(&self, body: &[u8]) -> Option<Result<u64>> {
        match self.journal.try_push(body) {
            Ok(position) => Some(Ok(position)),
            Err(Refusal::Error(error)) => Some(Err(error)),
            Err(Refusal::Full) => None,
        }
    }

    /// Notes the loss for a `gap` record. Returns an error, or `None` if entries are to be dropped.
    fn reject_or_drop(&self) -> Result<Option<u64>> {
        let error: Error = self.journal.count_refused();
        if self.shared.trail.config.on_full == OnFull::Drop {
            self.shared.trail.counters.dropped.add(1);
            return Ok(None);
        }
        Err(error)
    }
}
