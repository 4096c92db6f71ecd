//! The process-wide logger: `audit()` and `configure`.
//!
//! Loggers that were process-wide are never freed, only closed: `audit()` hands out plain references, which cost a
//! recording thread nothing to share. A process configures a handful of times at most.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use super::{AuditLogger, DROP_TIMEOUT, Handle};
use crate::config::Config;
use crate::error::{Error, Result};

/// How soon a logger that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(1);

struct Global {
    logger: Option<&'static AuditLogger>,
    config: Option<Config>,
    /// Stands in for the logger while it cannot be opened; made once.
    unopened: Option<&'static AuditLogger>,
    retry_at: Option<Instant>,
    /// Those before it; entries may still be on their way to them.
    retired: Vec<&'static AuditLogger>,
}

static GLOBAL: Mutex<Global> =
    Mutex::new(Global { logger: None, config: None, unopened: None, retry_at: None, retired: Vec::new() });

/// Changes whenever the logger does, so that a thread knows whether the one it remembers is still the one.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// The logger, for those who must not wait until `configure` is done; locked for no longer than it takes to look.
static CURRENT: RwLock<Option<&'static AuditLogger>> = RwLock::new(None);

/// Calls of `configure` that are at work, or wait for their turn.
static CONFIGURING: AtomicUsize = AtomicUsize::new(0);

/// How soon [`try_audit`] looks again while another thread opens the logger.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

thread_local! {
    static REMEMBERED: Cell<(u64, Option<&'static AuditLogger>)> = const { Cell::new((0, None)) };
}

/// The process-wide logger. Opened on first use from the environment's settings (`./logs` by default) unless
/// [`configure`] came before.
///
/// Where it cannot be opened, every `record()` says why, and opening is tried again once a second.
#[must_use]
pub fn audit() -> &'static AuditLogger {
    let generation = GENERATION.load(Ordering::Acquire);
    if let Ok((known, Some(logger))) = REMEMBERED.try_with(Cell::get)
        && known == generation
    {
        return logger;
    }
    let mut global = lock();
    let logger = global.logger_or_open();
    if global.logger.is_some() {
        // A thread being torn down remembers nothing and asks again.
        REMEMBERED
            .try_with(|cell| cell.set((GENERATION.load(Ordering::Acquire), Some(logger))))
            .unwrap_or(());
    }
    logger
}

/// The process-wide logger as it is, for code that may run while [`configure`] does: the same as [`audit`], but never waits
/// for `configure`, which may itself be waiting for a [`Signer`](crate::Signer) that this very code serves.
///
/// While `configure` replaces a logger this is still the old one; while it sets the first one up there is none.
#[must_use]
pub fn try_audit() -> Option<&'static AuditLogger> {
    loop {
        if let Some(logger) = *CURRENT.read().unwrap_or_else(PoisonError::into_inner) {
            return Some(logger);
        }
        match GLOBAL.try_lock() {
            Ok(mut global) => return Some(global.logger_or_open()),
            Err(TryLockError::Poisoned(global)) => return Some(global.into_inner().logger_or_open()),
            Err(TryLockError::WouldBlock) if CONFIGURING.load(Ordering::SeqCst) > 0 => return None,
            // Another thread opens it from the environment, which calls none of the application's code.
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_AGAIN),
        }
    }
}

/// A call of `configure`, from before it locks until after it unlocks.
struct Configuring;

impl Configuring {
    fn begin() -> Self {
        CONFIGURING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Configuring {
    fn drop(&mut self) {
        CONFIGURING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sets the process-wide logger up. May be called again: the old trail is flushed and closed, and entries recorded
/// meanwhile land in the one or the other.
///
/// # Errors
/// As [`AuditLogger::open`]; the logger there was then goes on.
pub fn configure(config: Config) -> Result<()> {
    let _configuring = Configuring::begin();
    let mut global = lock();
    let old = global.logger;
    let is_same_place =
        old.is_some_and(|old| old.trail_dir().is_ok_and(|dir| is_same_directory(dir, &config.trail_dir())));
    if is_same_place && let Some(old) = old {
        old.close(DROP_TIMEOUT)?;
    }
    match AuditLogger::open(config.clone()) {
        Ok(logger) => {
            global.install(logger, config);
            match old {
                Some(old) if !is_same_place => old.close(DROP_TIMEOUT),
                _ => Ok(()),
            }
        }
        Err(error) => {
            if is_same_place && let Some(before) = global.config.clone() {
                // The old trail had to be closed first, since it has the same directory: it goes on as it was.
                let logger = AuditLogger::open(before.clone())?;
                global.install(logger, before);
            }
            Err(error)
        }
    }
}

/// Where entries go that were on their way to a process-wide logger when it was replaced.
pub(super) fn successor_of(logger: &AuditLogger) -> Option<&'static AuditLogger> {
    let global = lock();
    let was_global = global.retired.iter().any(|retired| Arc::ptr_eq(&retired.0, &logger.0));
    global.logger.filter(|_| was_global)
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
                self.retry_at = Some(Instant::now() + RETRY);
                self.stand_in(error)
            }
        }
    }

    fn install(&mut self, logger: AuditLogger, config: Config) -> &'static AuditLogger {
        let logger: &'static AuditLogger = Box::leak(Box::new(logger));
        self.retired.extend(self.logger.replace(logger));
        self.config = Some(config);
        *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(logger);
        GENERATION.fetch_add(1, Ordering::AcqRel);
        logger
    }

    fn stand_in(&mut self, error: Error) -> &'static AuditLogger {
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
