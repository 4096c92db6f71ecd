//! The logger: opening a trail, recording into it, flushing and closing it.

mod accept;
mod builder;
mod changes;
mod custody;
mod exit;
mod global;
mod messages;
mod open;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::app_log::AppLog;
use crate::checkpoint_signer::CheckpointSigner;
use crate::clock::Clock;
use crate::committer::Committer;
use crate::config::{Config, Durability, OnFull};
use crate::dir::Dir;
use crate::encode::Envelope;
use crate::error::{Error, Result};
use crate::follow::Followers;
use crate::journal::{Drain, Journal, SharedAppender};
use crate::lock::Lock;
use crate::maintenance::{Housekeeping, Maintenance};
use crate::metrics::{Counters, JournalLoad, Metrics};
use crate::rate_limit::{RateLimitState, RateLimiter};
use crate::receipt::ReceiptSource;
use crate::redact::Rules;
use crate::storage::{Disk, Storage};
use crate::watermark::Watermark;

pub(crate) use accept::Within;
pub use builder::{Change, EntryBuilder, General, Inventory, Security, Service, Transaction};
pub use custody::KeyChange;
pub use global::{audit, configure, try_audit};

/// How long dropping the last handle of a logger, or leaving the process, waits for followers.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle to one open trail; clones share it. Dropping the last one closes the trail.
///
/// ```
/// use auditx_core::{AuditLogger, Config};
/// # let directory = tempfile::tempdir()?;
/// # let log_dir = directory.path();
///
/// let acme = AuditLogger::open(Config::new(log_dir.join("tenant-acme")))?;
/// let receipt = acme.log("Period closed").user("admin").record()?;
/// let recorded = receipt.wait_durable()?;
/// assert_eq!(recorded.seq, 2, "after the trail's own first two lines");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AuditLogger(Arc<Handle>);

#[derive(Debug)]
enum Handle {
    Open(Arc<Core>),
    /// The process-wide logger while it could not be opened: every call says why.
    Unopened(Mutex<Error>),
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Self::Open(core) = self
            && let Err(error) = core.close(DROP_TIMEOUT)
        {
            core.app_log.trouble(&format!("closing the trail: {error}"));
        }
    }
}

/// An open trail and the threads that serve it.
#[derive(Debug)]
struct Core {
    envelope: Arc<Envelope>,
    clock: Arc<dyn Clock>,
    durability: Durability,
    on_full: OnFull,
    journal: Arc<dyn Journal>,
    appender: Arc<SharedAppender>,
    receipts: ReceiptSource,
    watermark: Arc<Watermark>,
    checkpoint_signer: Arc<CheckpointSigner>,
    counters: Arc<Counters>,
    app_log: Arc<AppLog>,
    rate_limiter: RateLimiter,
    followers: Followers,
    housekeeping: Arc<Housekeeping>,
    running: Mutex<Option<Running>>,
    directory: Dir,
    /// The process that opened it.
    process: u32,
}

/// What ends at close.
#[derive(Debug)]
struct Running {
    maintenance: Maintenance,
    committer: Committer,
    drain: Option<Drain>,
    lock: Arc<Mutex<Lock>>,
}

impl fmt::Debug for AuditLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut logger = f.debug_struct("AuditLogger");
        match &*self.0 {
            Handle::Open(core) => logger.field("trail_dir", &core.directory.path()).finish_non_exhaustive(),
            Handle::Unopened(_) => logger.field("trail_dir", &format_args!("unopened")).finish(),
        }
    }
}

impl AuditLogger {
    /// Opens the trail, or makes a new one.
    ///
    /// # Errors
    /// `is_invalid` for a configuration that cannot work, `is_locked` where another writer has the trail, `is_storage`
    /// where the directory cannot be used, `is_corrupt` where what is there is not a trail of ours.
    pub fn open(config: Config) -> Result<Self> {
        Self::open_on(config, Arc::new(Disk))
    }

    pub(crate) fn open_on(config: Config, storage: Arc<dyn Storage>) -> Result<Self> {
        let core = Arc::new(Core::open(&config, storage, None)?);
        exit::close_at_exit(&core);
        Ok(Self(Arc::new(Handle::Open(core))))
    }

    /// Waits until everything recorded before this call is durable and shown by security.jsonl and the console.
    ///
    /// # Errors
    /// `is_timed_out` where that takes longer, `is_storage` where the disk refused.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        self.core()?.flush(timeout)
    }

    /// The same as [`AuditLogger::flush`], and waits for every `on_audit` hook too.
    ///
    /// # Errors
    /// As [`AuditLogger::flush`].
    pub fn drain(&self, timeout: Duration) -> Result<()> {
        self.core()?.drain(timeout)
    }

    /// Records the end of the trail, makes everything durable, lets followers finish and gives the trail free. Later
    /// calls of `record` get `is_closed`; a second close does nothing.
    ///
    /// A hook that fails or hangs does not make this fail: it goes on from its cursor at the next open.
    ///
    /// # Errors
    /// `is_timed_out` where the entries are not durable in time, `is_storage` where the disk refused, `is_signing` where the
    /// last checkpoint could not be signed: the next open signs those lines.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        self.core()?.close(timeout)
    }

    /// The directory of the trail, as an absolute path.
    ///
    /// # Errors
    /// The error of opening, for a process-wide logger that could not be opened.
    pub fn trail_dir(&self) -> Result<&Path> {
        Ok(self.core()?.directory.path())
    }

    /// A snapshot of the counters; all zero for a process-wide logger that could not be opened.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.core().map_or_else(
            |_| Counters::default().snapshot(JournalLoad::default(), 0, 0, 0, Vec::new()),
            |core| core.metrics(),
        )
    }

    /// How an address stands in the window of failed security events.
    ///
    /// # Errors
    /// The error of opening, for a process-wide logger that could not be opened.
    pub fn check_rate_limit(&self, ip: IpAddr) -> Result<RateLimitState> {
        self.core().map(|core| core.rate_limiter.check(ip, core.clock.now()))
    }

    /// Forgets an address's failures: after a successful login, say.
    ///
    /// # Errors
    /// The error of opening, for a process-wide logger that could not be opened.
    pub fn reset_rate_limit(&self, ip: IpAddr) -> Result<()> {
        self.core().map(|core| core.rate_limiter.reset(ip))
    }

    /// The rules of redaction; the defaults where the logger could not be opened.
    pub(crate) fn with_rules<T>(&self, use_rules: impl FnOnce(&Rules) -> T) -> T {
        match self.core() {
            Ok(core) => use_rules(&core.envelope.rules),
            Err(_) => use_rules(&Rules::defaults()),
        }
    }

    /// A trouble of the library itself, for app.log; nowhere to go where the logger could not be opened.
    pub(crate) fn trouble(&self, message: &str) {
        if let Ok(core) = self.core() {
            core.app_log.trouble(message);
        }
    }

    /// Counts a failed security event; none where the logger could not be opened.
    fn count_failure(&self, ip: IpAddr) -> Option<RateLimitState> {
        self.core().ok().map(|core| core.rate_limiter.count(ip, core.clock.now()))
    }

    fn core(&self) -> Result<&Arc<Core>> {
        match &*self.0 {
            Handle::Open(core) => Ok(core),
            Handle::Unopened(error) => Err(error.lock().unwrap_or_else(PoisonError::into_inner).duplicate()),
        }
    }
}

impl Core {
    fn flush(&self, timeout: Duration) -> Result<()> {
        let (end, deadline) = self.settle(timeout)?;
        self.followers.wait_for_ours(end, deadline)
    }

    fn drain(&self, timeout: Duration) -> Result<()> {
        let (end, deadline) = self.settle(timeout)?;
        self.followers.wait_for_all(end, deadline)
    }

    /// Waits until everything accepted so far is durable. Gives the number of lines then, and until when there is time.
    fn settle(&self, timeout: Duration) -> Result<(u64, Instant)> {
        let deadline = Instant::now() + timeout;
        self.watermark.wait_durable(self.journal.reach(), Some(deadline))?;
        Ok((self.watermark.durable(), deadline))
    }

    fn close(&self, timeout: Duration) -> Result<()> {
        let Some(mut running) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        if std::process::id() != self.process {
            // Forked off: neither the threads nor the trail are this process's.
            std::mem::forget(running);
            return Ok(());
        }
        let deadline = Instant::now() + timeout;
        // The maintenance first: what it is about to retire is recorded before `close`, or kept.
        running.maintenance.stop();
        let closed = self.journal.close(deadline);
        let durable = self.watermark.wait_durable_lines(self.watermark.written(), Some(deadline));
        self.followers.close(deadline);
        let signed = running.committer.stop();
        if let Some(drain) = &mut running.drain {
            drain.stop();
        }
        running.lock.lock().unwrap_or_else(PoisonError::into_inner).release();
        closed.and(durable).and(signed)
    }

    fn metrics(&self) -> Metrics {
        let (written, durable) = (self.watermark.written(), self.watermark.durable());
        self.counters.snapshot(
            self.journal.load(),
            written,
            durable,
            self.checkpoint_signer.size(),
            self.followers.metrics(),
        )
    }
}

#[cfg(test)]
mod tests;
