//! Opens a trail: recovers it, then starts its threads.
//!
//! [`RecoveredTrail`] is the state after recovery and before the threads start.

use std::sync::{Arc, Mutex, Weak};

use super::{Core, Running};
use crate::app_log::AppLog;
use crate::appender::{Appender, RecentEntries, Resources};
use crate::bell::Bell;
use crate::checkpoint_signer::CheckpointSigner;
use crate::committer::{self, Committer};
use crate::config::Config;
use crate::control;
use crate::control_record::{ControlRecord, PreviousTrail};
use crate::dir::Dir;
use crate::encode::Envelope;
use crate::error::Result;
use crate::follow::projection::ProjectionLock;
use crate::follow::{FollowerResources, Followers};
use crate::journal::{Direct, Drain, Journal, Ring, RingResources, SharedAppender};
use crate::key::KeySource;
use crate::lock::{self, Lock};
use crate::maintenance::{Housekeeping, Maintenance};
use crate::metrics::Counters;
use crate::rate_limit::RateLimiter;
use crate::receipt::ReceiptSource;
use crate::recover::{self, NewTrail, Recovered, Replay};
use crate::segment::{Registry, sealed_segments};
use crate::storage::Storage;
use crate::watch::{Watch, WatchResources};
use crate::watermark::Watermark;

/// The trail that a new trail replaces.
#[derive(Debug)]
pub(super) struct Predecessor {
    pub(super) trail: PreviousTrail,
    /// Its pending entries, which become lines of the new trail.
    pub(super) entries: Vec<Vec<u8>>,
}

/// A trail after recovery: it matches its checkpoint and contains all pending entries.
struct RecoveredTrail {
    lock: Arc<Mutex<Lock>>,
    directory: Dir,
    envelope: Arc<Envelope>,
    counters: Arc<Counters>,
    app_log: Arc<AppLog>,
    registry: Arc<Registry>,
    sealed: Arc<Bell>,
    watermark: Arc<Watermark>,
    checkpoint_signer: Arc<CheckpointSigner>,
    appender: Arc<SharedAppender>,
    replay: Replay,
    /// The number of lines before this process wrote any.
    opened_at: u64,
}

impl RecoveredTrail {
    fn open(config: &Config, storage: Arc<dyn Storage>, previous: Option<Predecessor>) -> Result<Self> {
        config.check()?;
        let directory = config.hold_dir()?;
        let lock = Arc::new(Mutex::new(lock::lock(&directory, &config.instance)?));
        let hostname = hostname(config);
        let origin = if config.origin.is_empty() { hostname.clone() } else { config.origin.clone() };
        let envelope = Arc::new(Envelope {
            rules: config.redaction.compile()?,
            hostname,
            default_currency: config.default_currency.clone(),
        });
        let (counters, sealed) = (Arc::new(Counters::default()), Arc::new(Bell::default()));
        let watermark = Arc::new(Watermark::default());
        let clock = config.clock.clone();
        let app_log =
            Arc::new(AppLog::open(&directory, config.max_file_bytes, clock.clone(), counters.clone()));
        let first_seqs = sealed_segments(&directory)?.into_iter().map(|segment| segment.first_seq);
        let registry = Arc::new(Registry::of(first_seqs));
        let resources = Resources {
            directory: directory.clone(),
            storage: storage.clone(),
            envelope: envelope.clone(),
            clock,
            counters: counters.clone(),
            max_file_bytes: config.max_file_bytes,
            max_age: config.max_age,
            registry: registry.clone(),
            sealed: sealed.clone(),
            watermark: watermark.clone(),
        };
        let (previous, inherited) = match previous {
            Some(Predecessor { trail, entries }) => (Some(trail), entries),
            None => (None, Vec::new()),
        };
        let new_trail = NewTrail { origin, previous };
        let mut recovered = recover::recover(&resources, &config.signing_key, &new_trail)?;
        let mut replay = Replay::prepare(&directory, &mut recovered, inherited)?;
        let Recovered { start, tree, checkpoint_signer, records, remark, .. } = recovered;
        if let Some(remark) = remark {
            app_log.report(&remark);
        }
        let opened_at = start.next_seq;
        let appender = Appender::new(resources, start, tree, checkpoint_signer.clone());
        let appender = Arc::new(SharedAppender::new(appender, watermark.clone()));
        for record in &records {
            let seq = appender.push_control_record(record)?;
            if matches!(record, ControlRecord::Genesis { .. }) {
                control::store(&directory, &*storage, seq)?;
            }
        }
        replay.run(&mut appender.lock())?;
        Ok(Self {
            lock,
            directory,
            envelope,
            counters,
            app_log,
            registry,
            sealed,
            watermark,
            checkpoint_signer,
            appender,
            replay,
            opened_at,
        })
    }

    /// Writes the `open` record and the latest checkpoint to the trail.
    fn begin_session(&self, config: &Config) -> Result<()> {
        self.appender.push_control_record(&ControlRecord::Open {
            instance: config.instance.clone(),
            key: self.checkpoint_signer.key().to_string(),
            heartbeat: config.checkpoints.heartbeat,
        })?;
        if let Some(latest) = self.checkpoint_signer.latest() {
            let record = ControlRecord::Checkpoint { size: latest.size(), note: latest.to_string() };
            self.appender.push_control_record(&record)?;
        }
        Ok(())
    }

    fn ring(&self, config: &Config) -> Result<Option<Arc<Ring>>> {
        let (file, remark) =
            self.replay.begin_ring(&self.directory, config.journal, config.journal_bytes, self.lines())?;
        if let Some(remark) = remark {
            self.app_log.report(&remark);
        }
        let resources = RingResources {
            appender: self.appender.clone(),
            clock: config.clock.clone(),
            app_log: self.app_log.clone(),
            durability: config.durability,
        };
        let ring = file.map(|file| Arc::new(Ring::new(file, resources)));
        if let Some(ring) = &ring {
            self.appender.set_position(ring.queue().head());
            let recent: Weak<dyn RecentEntries> = Arc::<Ring>::downgrade(ring);
            self.appender.lock().set_recent_entries(recent);
        }
        Ok(ring)
    }

    fn lines(&self) -> u64 {
        self.appender.lock().reach().lines
    }

    fn committer(
        &self,
        config: &Config,
        journal: Arc<dyn Journal>,
        ring: Option<Arc<Ring>>,
        projection: Arc<ProjectionLock>,
    ) -> Result<Committer> {
        let watch = Watch::new(WatchResources {
            directory: self.directory.clone(),
            lock: self.lock.clone(),
            checkpoint_signer: self.checkpoint_signer.clone(),
            ring,
            registry: self.registry.clone(),
            projection,
            counters: self.counters.clone(),
            app_log: self.app_log.clone(),
            keeps_key: matches!(config.signing_key, KeySource::Trail),
        })?;
        let resources = committer::CommitterResources {
            journal,
            appender: self.appender.clone(),
            watermark: self.watermark.clone(),
            checkpoint_signer: self.checkpoint_signer.clone(),
            durability: config.durability,
            cadence: config.checkpoints,
            counters: self.counters.clone(),
            app_log: self.app_log.clone(),
        };
        Committer::start(resources, watch)
    }

    fn follower_resources(&self, config: &Config, projection: Arc<ProjectionLock>) -> FollowerResources {
        FollowerResources {
            directory: self.directory.clone(),
            projection,
            watermark: self.watermark.clone(),
            app_log: self.app_log.clone(),
            opened_at: self.opened_at,
            durability: config.durability,
        }
    }
}

fn hostname(config: &Config) -> String {
    match config.hostname.as_str() {
        "" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        name => name.to_owned(),
    }
}

impl Core {
    pub(super) fn open(
        config: &Config,
        storage: Arc<dyn Storage>,
        previous: Option<Predecessor>,
    ) -> Result<Self> {
        let trail = RecoveredTrail::open(config, storage.clone(), previous)?;
        let ring = trail.ring(config)?;
        trail.begin_session(config)?;
        let journal: Arc<dyn Journal> = match &ring {
            Some(ring) => ring.clone(),
            None => Arc::new(Direct::new(trail.appender.clone())),
        };
        let projection = Arc::new(ProjectionLock::default());
        let committer = trail.committer(config, journal.clone(), ring.clone(), projection.clone())?;
        let drain = ring.clone().map(Drain::start).transpose()?;
        let resources = trail.follower_resources(config, projection.clone());
        let followers = Followers::start(&resources, config.console, &config.hooks)?;
        let RecoveredTrail {
            lock,
            directory,
            envelope,
            counters,
            app_log,
            registry,
            sealed,
            watermark,
            checkpoint_signer,
            appender,
            ..
        } = trail;
        let housekeeping = Arc::new(Housekeeping {
            directory: directory.clone(),
            storage,
            registry,
            compression: config.compression,
            retention: config.retention,
            appender: appender.clone(),
            ring,
            checkpoint_signer: checkpoint_signer.clone(),
            followers: followers.progress(),
            projection,
            sealed,
            counters: counters.clone(),
            app_log: app_log.clone(),
            busy: Mutex::default(),
        });
        let maintenance = Maintenance::start(housekeeping.clone())?;
        Ok(Self {
            envelope,
            clock: config.clock.clone(),
            durability: config.durability,
            on_full: config.on_full,
            journal,
            appender,
            receipts: ReceiptSource::new(watermark.clone(), directory.clone()),
            watermark,
            checkpoint_signer,
            counters,
            app_log,
            rate_limiter: RateLimiter::new(config.rate_limit),
            followers,
            housekeeping,
            running: Mutex::new(Some(Running { maintenance, committer, drain, lock })),
            directory,
            process: std::process::id(),
        })
    }
}
