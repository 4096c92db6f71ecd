//! The logger: opens a trail, records into it, flushes and closes it.

mod accept;
mod builder;
mod changes;
mod custody;
mod exit;
mod global;
mod messages;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auditx_format::redact::Rules;
use auditx_format::{Error, Result};
use auditx_store::config::Config;
use auditx_store::metrics::Metrics;
use auditx_store::writer::Writer;

use crate::rate_limit::{RateLimitState, RateLimiter};
use crate::receipt::ReceiptSource;

pub(crate) use accept::Within;
pub use builder::{Change, EntryBuilder, General, Inventory, Security, Service, Transaction};
pub use global::{audit, configure, try_audit};

/// A handle to an open trail.
///
/// Clones share the trail. Dropping the last one closes it, with a timeout of 5 s; call
/// [`AuditLogger::close`] to choose the timeout and to see errors. Several processes of one machine can have a
/// trail open; see [`Config::exclusive`].
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

/// An open trail, with the logger's receipts and rate limiter.
#[derive(Debug)]
struct Core {
    writer: Writer,
    receipts: ReceiptSource,
    rate_limiter: RateLimiter,
}

impl fmt::Debug for AuditLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut logger = f.debug_struct("AuditLogger");
        match &*self.0 {
            Handle::Open(core) => logger.field("trail_dir", &core.writer.trail_dir()).finish_non_exhaustive(),
            Handle::Unopened(_) => logger.field("trail_dir", &format_args!("unopened")).finish(),
        }
    }
}

impl AuditLogger {
    /// Opens the trail, or creates it if it does not exist. Runs recovery if the trail was not closed. If other
    /// processes of this machine have it open, joins them.
    ///
    /// # Errors
    /// - `is_invalid` if the configuration is invalid.
    /// - `is_locked` if another process has the trail open and it cannot be joined: see [`Config::exclusive`];
    ///   without a ring ([`JournalKind`](crate::JournalKind)) it never can.
    /// - `is_storage` if a file system operation fails.
    /// - `is_corrupt` if the trail is not what its last checkpoint signed, or the directory contains
    ///   something else; see [`AuditLogger::replace_corrupt`].
    /// - `is_signing` if the key cannot be used, or is not the key of this trail.
    pub fn open(config: Config) -> Result<Self> {
        Ok(Self::of(Writer::open(&config)?))
    }

    /// Like [`AuditLogger::open`], on another storage.
    #[cfg(test)]
    pub(crate) fn open_on(config: Config, storage: Arc<dyn auditx_store::storage::Storage>) -> Result<Self> {
        Ok(Self::of(Writer::open_on(&config, storage)?))
    }

    fn of(writer: Writer) -> Self {
        let receipts = ReceiptSource::new(writer.positions());
        let rate_limiter = RateLimiter::new(writer.rate_limit());
        let core = Arc::new(Core { writer, receipts, rate_limiter });
        exit::close_at_exit(&core);
        Self(Arc::new(Handle::Open(core)))
    }

    /// Waits until all entries recorded before this call are durable, and are written to security.jsonl and
    /// the console.
    ///
    /// # Errors
    /// `is_timed_out` if that takes longer than `timeout`; `is_storage` if a write or an fdatasync failed.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        self.core()?.writer.flush(timeout)
    }

    /// Like [`AuditLogger::flush`], and also waits until every `on_audit` hook has processed these entries.
    ///
    /// # Errors
    /// The same as [`AuditLogger::flush`].
    pub fn flush_hooks(&self, timeout: Duration) -> Result<()> {
        self.core()?.writer.flush_hooks(timeout)
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
        self.core()?.writer.close(timeout)
    }

    /// Returns the directory of the trail as an absolute path.
    ///
    /// # Errors
    /// The error of opening, if this is the process-wide logger and it could not be opened.
    pub fn trail_dir(&self) -> Result<&Path> {
        Ok(self.core()?.writer.trail_dir())
    }

    /// Returns a snapshot of the counters. All are zero if this is the process-wide logger and it could not
    /// be opened.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.core().map_or_else(|_| Metrics::default(), |core| core.writer.metrics())
    }

    /// Returns the failed security events of an address within the window of the rate limit, without counting
    /// one.
    ///
    /// # Errors
    /// The error of opening, if this is the process-wide logger and it could not be opened.
    pub fn check_rate_limit(&self, ip: IpAddr) -> Result<RateLimitState> {
        self.core().map(|core| core.rate_limiter.check(ip, core.writer.now()))
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
            Ok(core) => use_rules(&core.writer.envelope().rules),
            Err(_) => use_rules(&Rules::defaults()),
        }
    }

    /// Writes an error of the library itself to app.log. Does nothing if the logger could not be opened.
    pub(crate) fn report(&self, message: &str) {
        if let Ok(core) = self.core() {
            core.writer.report(message);
        }
    }

    /// Counts a failed security event. `None` if the logger could not be opened.
    fn count_failure(&self, ip: IpAddr) -> Option<RateLimitState> {
        self.core().ok().map(|core| core.rate_limiter.count(ip, core.writer.now()))
    }

    fn core(&self) -> Result<&Arc<Core>> {
        match &*self.0 {
            Handle::Open(core) => Ok(core),
            Handle::Unopened(error) => Err(error.lock().unwrap_or_else(PoisonError::into_inner).duplicate()),
        }
    }
}

#[cfg(test)]
mod tests;
