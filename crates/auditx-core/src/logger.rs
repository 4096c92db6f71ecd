//! The logger: opens a trail, records into it, flushes and closes it.

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

use auditx_format::redact::Rules;
use auditx_format::{Error, Result};

use crate::checkpoint_signer::CheckpointSigner;
use crate::committer::Committer;
use crate::config::Config;
use crate::follow::Followers;
use crate::journal::{Drain, Journal, SharedAppender};
use crate::lock::Lock;
use crate::maintenance::{Housekeeping, Maintenance};
use crate::metrics::{Counters, JournalLoad, Metrics};
use crate::rate_limit::{RateLimitState, RateLimiter};
use crate::receipt::ReceiptSource;
use crate::storage::{Disk, Storage};
use crate::trail::Trail;

pub(crate) use accept::Within;
pub use builder::{Change, EntryBuilder, General, Inventory, Security, Service, Transaction};
pub use custody::KeyChange;
pub use global::{audit, configure, try_audit};

/// The timeout of closing a trail when the last handle is dropped or the process exits.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle to an open trail.
///
/// Clones share the trail. Dropping the last one closes it, with a timeout of 5 s; call
/// [`AuditLogger::close`] to choose the timeout and to see errors. At most one process can have a trail open.
///
/// ```
/// use auditx_core::{AuditLogger, Config};
/// # let directory = tempfile::tempdir()?;
/// # let log_dir = directory.path();
///
/// let acme = AuditLogger::open(Config::new(log_dir.join("tenant-acme")))?;
/// let receipt = acme.log("Period closed").user("admin").record()?;
/// let recorded = receipt.wait_durable()?;
/// assert_eq!(recorded.seq, 2, "a new trail begins with two control records");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AuditLogger(Arc<Handle>);

#[derive(Debug)]
enum Handle {
    Open(Arc<Core>),
    /// The process-wide logger if it could not be opened. Every call fails with this error.
    Unopened(Mutex<Error>),
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Self::Open(core) = self
            && let Err(error) = core.close(DROP_TIMEOUT)
        {
            core.trail.app_log.report(&format!("cannot close the trail: {error}"));
        }
    }
}

/// An open trail and its threads.
#[derive(Debug)]
struct Core {
    trail: Arc<Trail>,
    journal: Journal,
    appender: Arc<SharedAppender>,
    receipts: ReceiptSource,
    checkpoint_signer: Arc<CheckpointSigner>,
    rate_limiter: RateLimiter,
    followers: Followers,
    housekeeping: Arc<Housekeeping>,
    running: Mutex<Option<Running>>,
    /// The process that opened the trail; a forked child must not close it.
    process: u32,
}

/// The threads and the lock, which end when the trail is closed.
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
            Handle::Open(core) => {
                logger.field("trail_dir", &core.trail.directory.path()).finish_non_exhaustive()
            }
            Handle::Unopened(_) => logger.field("trail_dir", &format_args!("unopened")).finish(),
        }
    }
}

impl AuditLogger {
    /// Opens the trail, or creates it if it does not exist. Runs recovery if the trail was not closed.
    ///
    /// # Errors
    /// - `is_invalid` if the configuration is invalid.
    /// - `is_locked` if another writer has the trail open.
    /// - `is_storage` if a file system operation fails.
    /// - `is_corrupt` if the trail is not what its last checkpoint signed, or the directory contains
    ///   something else; see [`AuditLogger::replace_corrupt`].
    /// - `is_signing` if the key cannot be used, or is not the key of this trail.
    pub fn open(config: Config) -> Result<Self> {
        Self::open_on(config, Arc::new(Disk))
    }

    pub(crate) fn open_on(config: Config, storage: Arc<dyn Storage>) -> Result<Self> {
        let core = Arc::new(Core::open(&config, storage, None)?);
        exit::close_at_exit(&core);
        Ok(Self(Arc::new(Handle::Open(core))))
    }

    /// Waits until all entries recorded before this call are durable, and are written to security.jsonl and
    /// the console.
    ///
    /// # Errors
    /// `is_timed_out` if that takes longer than `timeout`; `is_storage` if a write or an fdatasync failed.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        self.core()?.flush(timeout)
    }

    /// Like [`AuditLogger::flush`], and also waits until every `on_audit` hook has processed these entries.
    ///
    /// # Errors
    /// The same as [`AuditLogger::flush`].
    pub fn flush_hooks(&self, timeout: Duration) -> Result<()> {
        self.core()?.flush_hooks(timeout)
    }

    /// Closes the trail: writes the `close` record, makes all lines durable, signs them, waits for the
    /// followers, and releases the lock. Later calls of `record` fail with `is_closed`. Closing a closed
    /// trail does nothing.
    ///
    /// A hook that fails or hangs is not an error; it continues from its cursor after the next open.
    ///
    /// # Errors
    /// - `is_timed_out` if the entries are not durable within `timeout`.
    /// - `is_storage` if a write or an fdatasync failed.
    /// - `is_signing` if the last checkpoint could not be signed. The next open signs the remaining lines.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        self.core()?.close(timeout)
    }

    /// Returns the directory of the trail as an absolute path.
    ///
    /// # Errors
    /// The error of opening, if this is the process-wide logger and it could not be opened.
    pub fn trail_dir(&self) -> Result<&Path> {
        Ok(self.core()?.trail.directory.path())
    }

    /// Returns a snapshot of the counters. All are zero if this is the process-wide logger and it could not
    /// be opened.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.core().map_or_else(
            |_| Counters::default().snapshot(JournalLoad::default(), 0, 0, 0, Vec::new()),
            |core| core.metrics(),
        )
    }

    /// Returns the failed security events of an address within the window of the rate limit, without counting
    /// one.
    ///
    /// # Errors
    /// The error of opening, if this is the process-wide logger and it could not be opened.
    pub fn check_rate_limit(&self, ip: IpAddr) -> Result<RateLimitState> {
        self.core().map(|core| core.rate_limiter.check(ip, core.trail.config.clock.now()))
    }

    /// Resets the count of failures of an address, for example after a successful login.
    ///
    /// # Errors
    /// The error of opening, if this is the process-wide logger and it could not be opened.
    pub fn reset_rate_limit(&self, ip: IpAddr) -> Result<()> {
        self.core().map(|core| core.rate_limiter.reset(ip))
    }

    /// Calls `use_rules` with the redaction rules; with the defaults if the logger could not be opened.
    pub(crate) fn with_rules<T>(&self, use_rules: impl FnOnce(&Rules) -> T) -> T {
        match self.core() {
            Ok(core) => use_rules(&core.trail.envelope.rules),
            Err(_) => use_rules(&Rules::defaults()),
        }
    }

    /// Writes an error of the library itself to app.log. Does nothing if the logger could not be opened.
    pub(crate) fn report(&self, message: &str) {
        if let Ok(core) = self.core() {
            core.trail.app_log.report(message);
        }
    }

    /// Counts a failed security event. `None` if the logger could not be opened.
    fn count_failure(&self, ip: IpAddr) -> Option<RateLimitState> {
        self.core().ok().map(|core| core.rate_limiter.count(ip, core.trail.config.clock.now()))
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
        let (end, deadline) = self.wait_durable(timeout)?;
        self.followers.wait_for_builtin(end, deadline)
    }

    fn flush_hooks(&self, timeout: Duration) -> Result<()> {
        let (end, deadline) = self.wait_durable(timeout)?;
        self.followers.wait_for_all(end, deadline)
    }

    /// Waits until all entries accepted so far are durable. Returns the number of durable lines and the
    /// deadline.
    fn wait_durable(&self, timeout: Duration) -> Result<(u64, Instant)> {
        let deadline = Instant::now() + timeout;
        self.trail.watermark.wait_durable(self.journal.reach(), Some(deadline))?;
        Ok((self.trail.watermark.durable(), deadline))
    }

    fn close(&self, timeout: Duration) -> Result<()> {
        let Some(mut running) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        if std::process::id() != self.process {
            // A forked child has neither the threads nor the lock, and must not release them.
            std::mem::forget(running);
            return Ok(());
        }
        let deadline = Instant::now() + timeout;
        // Maintenance stops first, so that a segment is either retired before the `close` record or kept.
        running.maintenance.stop();
        let closed = self.journal.close(deadline);
        let durable = self.trail.watermark.wait_durable_lines(self.trail.watermark.written(), Some(deadline));
        self.followers.close(deadline);
        let signed = running.committer.stop();
        if let Some(drain) = &mut running.drain {
            drain.stop();
        }
        running.lock.lock().unwrap_or_else(PoisonError::into_inner).release();
        closed.and(durable).and(signed)
    }

    fn metrics(&self) -> Metrics {
        let (written, durable) = (self.trail.watermark.written(), self.trail.watermark.durable());
        self.trail.counters.snapshot(
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
