//! The parts of an open trail that its threads share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::app_log::AppLog;
use crate::bell::Bell;
use crate::clock::Clock;
use crate::config::Config;
use crate::dir::Dir;
use crate::encode::Envelope;
use crate::error::Result;
use crate::metrics::Counters;
use crate::segment::{Registry, sealed_segments};
use crate::storage::Storage;
use crate::watermark::Watermark;

/// One for each open trail.
#[derive(Debug)]
pub(crate) struct Trail {
    pub(crate) directory: Dir,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) config: Config,
    pub(crate) envelope: Envelope,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) app_log: AppLog,
    /// The sealed segments, so that a missing one is noticed.
    pub(crate) registry: Registry,
    /// Notified when a sealed segment is durable.
    pub(crate) sealed: Bell,
    /// Learns of every line and every failure.
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) projection: ProjectionLock,
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
    /// Collects the parts of a trail whose directory this process has locked.
    ///
    /// # Errors
    /// `is_invalid` if the redaction rules are invalid; `is_storage` if the directory cannot be listed.
    pub(crate) fn new(
        directory: Dir,
        storage: Arc<dyn Storage>,
        config: Config,
        hostname: String,
    ) -> Result<Self> {
        let (clock, counters) = (config.clock.clone(), Arc::new(Counters::default()));
        let envelope = Envelope {
            rules: config.redaction.compile()?,
            hostname,
            default_currency: config.default_currency.clone(),
        };
        let app_log = AppLog::open(&directory, config.max_file_bytes, clock.clone(), counters.clone());
        let first_seqs = sealed_segments(&directory)?.into_iter().map(|segment| segment.first_seq);
        let registry = Registry::of(first_seqs);
        Ok(Self {
            directory,
            storage,
            config,
            envelope,
            clock,
            counters,
            app_log,
            registry,
            sealed: Bell::default(),
            watermark: Arc::default(),
            projection: ProjectionLock::default(),
        })
    }
}
