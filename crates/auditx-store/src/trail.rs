//! The parts of an open trail that its threads share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auditx_format::Result;
use auditx_format::encode::Envelope;

use crate::app_log::AppLog;
use crate::bell::Bell;
use crate::config::Config;
use crate::dir::Dir;
use crate::metrics::Counters;
use crate::segment::Registry;
use crate::sensitive::SensitiveLines;
use crate::storage::Storage;
use crate::watermark::Watermark;

/// One for each open trail.
#[derive(Debug)]
pub(crate) struct Trail {
    pub(crate) directory: Dir,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) config: Config,
    pub(crate) envelope: Envelope,
    pub(crate) counters: Arc<Counters>,
    pub(crate) app_log: AppLog,
    /// The sealed segments, so that a missing one is noticed. Filled after recovery, which may move some
    /// away.
    pub(crate) registry: Registry,
    /// Notified when a sealed segment is durable.
    pub(crate) sealed: Bell,
    /// Learns of every line and every failure.
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) projection: ProjectionLock,
    pub(crate) sensitive: SensitiveLines,
}

/// Held while security.jsonl is written, by the follower or by an erasure.
#[derive(Debug, Default)]
pub(crate) struct ProjectionLock(Mutex<bool>);

impl ProjectionLock {
    /// Locks the file. The value is true from when an erasure replaced the file until the watch has noticed
    /// it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trail {
    /// Collects the parts of a trail.
    ///
    /// # Errors
    /// `is_invalid` if the redaction rules are invalid.
    pub(crate) fn new(directory: Dir, storage: Arc<dyn Storage>, config: Config) -> Result<Self> {
        let hostname = match config.hostname.as_str() {
            "" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            name => name.to_owned(),
        };
        let counters = Arc::new(Counters::default());
        let envelope = Envelope {
            rules: config.redaction.compile()?,
            hostname,
            default_currency: config.default_currency.clone(),
        };
        let app_log = AppLog::open(&directory, config.max_file_bytes, config.clock.clone(), counters.clone());
        Ok(Self {
            directory,
            storage,
            config,
            envelope,
            counters,
            app_log,
            registry: Registry::default(),
            sealed: Bell::default(),
            watermark: Arc::default(),
            projection: ProjectionLock::default(),
            sensitive: SensitiveLines::default(),
        })
    }

    /// Returns the origin of a new trail.
    pub(crate) fn origin(&self) -> String {
        let config = &self.config;
        if config.origin.is_empty() { self.envelope.hostname.clone() } else { config.origin.clone() }
    }
}
