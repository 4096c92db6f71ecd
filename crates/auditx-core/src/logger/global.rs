//! The process-wide logger: `audit()` and `configure`.
//!
//! A replaced logger is closed but never freed, because `audit()` returns `&'static` references, which need
//! no reference count. The leak is bounded by the number of calls of `configure`, a handful per process.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use auditx_format::{Error, Result};
use auditx_store::config::Config;
use auditx_store::writer::DROP_TIMEOUT;

use super::{AuditLogger, Handle};

/// The time after which a failed open is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

struct Global {
    logger: Option<&'static AuditLogger>,
    config: Option<Config>,
    /// Returned by `audit()` while the logger cannot be opened; created once.
    unopened: Option<&'static AuditLogger>,
    retry_at: Option<Instant>,
    /// The replaced loggers. Threads may still try to record into them; see [`successor_of`].
    replaced: Vec<&'static AuditLogger>,
}

static GLOBAL: Mutex<Global> =
    Mutex::new(Global { logger: None, config: None, unopened: None, retry_at: None, replaced: Vec::new() });

/// Incremented when the logger is replaced, so that a thread can tell whether its cached logger is current.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// The logger, for callers that must not wait for `configure`. Locked only for the time of a read or a store.
static CURRENT: RwLock<Option<&'static AuditLogger>> = RwLock::new(None);

/// The number of calls of `configure` that run or wait for the lock.
static CONFIGURING: AtomicUsize = AtomicUsize::new(0);

/// The interval at which [`try_audit`] polls while another thread opens the logger.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

thread_local! {
    /// The logger of a generation.
    static CACHED: Cell<(u64, Option<&'static AuditLogger>)> = const { Cell::new((0, None)) };
}

/// Returns the process-wide logger. If [`configure`] was not called, the first call opens it with
/// [`Config::from_env`], by default in `./logs`.
///
/// If the logger cannot be opened, every `record()` fails with the error of opening, and opening is tried
/// again at most once a second.
#[must_use]
pub fn audit() -> &'static AuditLogger {
    // ORDERING: pairs with the increment in `install`.
    let generation = GENERATION.load(Ordering::Acquire);
    if let Ok((cached, Some(logger))) = CACHED.try_with(Cell::get)
        && cached == generation
    {
        return logger;
    }
    let mut global = lock();
    let logger = global.logger_or_open();
    if global.logger.is_some() {
        // During thread teardown there is no cache, and each call takes the lock. The generation does not
        // change while `global` is locked. ORDERING: the lock orders it after the increment; Relaxed would
        // do.
        CACHED.try_with(|cell| cell.set((GENERATION.load(Ordering::Acquire), Some(logger)))).unwrap_or(());
    }
    logger
}

/// Returns the process-wide logger like [`audit`], but never waits for [`configure`].
///
/// For code that `configure` itself may be waiting for, such as code that a [`Signer`](crate::Signer) depends
/// on. While `configure` replaces a logger, this returns the old one; while it opens the first one, this
/// returns `None`.
#[must_use]
pub fn try_audit() -> Option<&'static AuditLogger> {
    loop {
        if let Some(logger) = *CURRENT.read().unwrap_or_else(PoisonError::into_inner) {
            return Some(logger);
        }
        match GLOBAL.try_lock() {
            Ok(mut global) => return Some(global.logger_or_open()),
            Err(TryLockError::Poisoned(global)) => return Some(global.into_inner().logger_or_open()),
            // ORDERING: `configure` increments before it locks. A failed `try_lock` does not order that
            // increment before this load; if it is missed, the loop comes here once more. Relaxed would do.
            Err(TryLockError::WouldBlock) if CONFIGURING.load(Ordering::SeqCst) > 0 => return None,
            // Another thread opens the logger from the environment. That calls no application code, so
            // waiting cannot deadlock.
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

/// Counts a call of `configure`, from before it locks until after it unlocks.
struct Configuring;

impl Configuring {
    fn begin() -> Self {
        // ORDERING: see `try_audit`.
        CONFIGURING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Configuring {
    fn drop(&mut self) {
        // ORDERING: after the unlock: `try_audit` that still sees the old number returns `None` once more.
        CONFIGURING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Opens the process-wide logger with this configuration.
///
/// If there already is one, it is replaced: its trail is flushed and closed. Entries recorded during the
/// replacement are recorded in the old trail or in the new one.
///
/// # Errors
/// The same as [`AuditLogger::open`]. The previous logger, if any, then remains in use. An error of closing
/// the replaced trail is returned after the new logger is in place.
pub fn configure(config: Config) -> Result<()> {
    let _configuring = Configuring::begin();
    let mut global = lock();
    let old = global.logger;
    let is_same_trail =
        old.is_some_and(|old| old.trail_dir().is_ok_and(|dir| is_same_directory(dir, &config.trail_dir())));
    if is_same_trail && let Some(old) = old {
        old.close(DROP_TIMEOUT)?;
    }
    match AuditLogger::open(config.clone()) {
        Ok(logger) => {
            global.install(logger, config);
            match old {
                Some(old) if !is_same_trail => old.close(DROP_TIMEOUT),
                _ => Ok(()),
            }
        }
        Err(error) => {
            if is_same_trail && let Some(before) = global.config.clone() {
                // The old trail has the same directory and had to be closed first. It is opened again.
                let logger = AuditLogger::open(before.clone())?;
                global.install(logger, before);
            }
            Err(error)
        }
    }
}

/// Returns the current process-wide logger if `logger` is one that it replaced.
pub(super) fn successor_of(logger: &AuditLogger) -> Option<&'static AuditLogger> {
    let global = lock();
    let was_replaced = global.replaced.iter().any(|replaced| Arc::ptr_eq(&replaced.0, &logger.0));
    global.logger.filter(|_| was_replaced)
}

impl Global {
    fn logger_or_open(&mut self) -> &'static AuditLogger {
        if let Some(logger) = self.logger {
            return logger;
        }
        if let Some(unopened) = self.unopened
            && self.retry_at.is_some_and(|retry_at| Instant::now() < retry_at)
        {
            return unopened;
        }
        let opened = Config::from_env().and_then(|config| Ok((AuditLogger::open(config.clone())?, config)));
        match opened {
            Ok((logger, config)) => self.install(logger, config),
            Err(error) => {
                self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
                self.unopened(error)
            }
        }
    }

    fn install(&mut self, logger: AuditLogger, config: Config) -> &'static AuditLogger {
        let logger: &'static AuditLogger = Box::leak(Box::new(logger));
        self.replaced.extend(self.logger.replace(logger));
        self.config = Some(config);
        *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(logger);
        // ORDERING: pairs with the load in `audit`, which must not use its cached logger after this.
        GENERATION.fetch_add(1, Ordering::AcqRel);
        logger
    }

    /// Returns the logger whose calls fail with `error`.
    fn unopened(&mut self, error: Error) -> &'static AuditLogger {
        if let Some(unopened) = self.unopened
            && let Handle::Unopened(latest) = &*unopened.0
        {
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = error;
            return unopened;
        }
        let unopened: &'static AuditLogger =
            Box::leak(Box::new(AuditLogger(Arc::new(Handle::Unopened(Mutex::new(error))))));
        self.unopened = Some(unopened);
        unopened
    }
}

fn is_same_directory(left: &std::path::Path, right: &std::path::Path) -> bool {
    match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

fn lock() -> MutexGuard<'static, Global> {
    GLOBAL.lock().unwrap_or_else(PoisonError::into_inner)
}
