//! Opens a trail: recovers it, then starts its threads.
//!
//! [`RecoveredTrail`] is the state after recovery and before the threads start.

use std::sync::{Arc, Mutex, Weak};

use auditx_format::Result;
use auditx_format::control_record::{ControlRecord, PreviousTrail};

use super::{Running, Writer};
use crate::appender::{Appender, RecentEntries};
use crate::checkpoint_signer::CheckpointSigner;
use crate::committer::Committer;
use crate::config::Config;
use crate::control;
use crate::follow::Followers;
use crate::journal::{Direct, Drain, Journal, Ring, SharedAppender};
use crate::lock::{self, Lock};
use crate::maintenance::{Housekeeping, Maintenance, Pace};
use crate::recover::{self, NewTrail, Recovered, Replay};
use crate::segment::sealed_segments;
use crate::storage::Storage;
use crate::trail::Trail;
use crate::watch::Watch;

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
    trail: Arc<Trail>,
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
        let trail = Arc::new(Trail::new(directory, storage, config.clone(), hostname)?);
        let (previous, inherited) = match previous {
            Some(Predecessor { trail, entries }) => (Some(trail), entries),
            None => (None, Vec::new()),
        };
        let new_trail = NewTrail { origin, previous };
        let mut recovered = recover::recover(&trail, &new_trail)?;
        let mut replay = Replay::prepare(&trail.directory, &mut recovered, inherited)?;
        for segment in sealed_segments(&trail.directory)? {
            trail.registry.add(segment.first_seq, None);
        }
        let Recovered { start, tree, checkpoint_signer, records, remark, .. } = recovered;
        if let Some(remark) = remark {
            trail.app_log.report(&remark);
        }
        let opened_at = start.next_seq;
        let appender = Appender::new(trail.clone(), start, tree, checkpoint_signer.clone());
        let appender = Arc::new(SharedAppender::new(appender));
        for record in &records {
            let seq = appender.push_control_record(record)?;
            if matches!(record, ControlRecord::Genesis { .. }) {
                control::store(&trail.directory, &*trail.storage, seq)?;
            }
        }
        replay.run(&mut appender.lock())?;
        Ok(Self { lock, trail, checkpoint_signer, appender, replay, opened_at })
    }

    /// Writes the `open` record and the latest checkpoint to the trail.
    fn begin_session(&self) -> Result<()> {
        let config = &self.trail.config;
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

    fn journal(&self) -> Result<Journal> {
        let config = &self.trail.config;
        let lines = self.appender.lock().reach().lines;
        let (file, remark) =
            self.replay.begin_ring(&self.trail.directory, config.journal, config.journal_bytes, lines)?;
        if let Some(remark) = remark {
            self.trail.app_log.report(&remark);
        }
        let Some(file) = file else {
            return Ok(Journal::Direct(Arc::new(Direct::new(self.appender.clone()))));
        };
        let ring = Arc::new(Ring::new(file, self.trail.clone(), self.appender.clone()));
        self.appender.set_position(ring.queue().head());
        let recent: Weak<dyn RecentEntries> = Arc::<Ring>::downgrade(&ring);
        self.appender.lock().set_recent_entries(recent);
        Ok(Journal::Ring(ring))
    }
}

fn hostname(config: &Config) -> String {
    match config.hostname.as_str() {
        "" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        name => name.to_owned(),
    }
}

impl Writer {
    pub(super) fn begin(
        config: &Config,
        storage: Arc<dyn Storage>,
        previous: Option<Predecessor>,
    ) -> Result<Self> {
        let recovered = RecoveredTrail::open(config, storage, previous)?;
        let journal = recovered.journal()?;
        recovered.begin_session()?;
        let RecoveredTrail { lock, trail, checkpoint_signer, appender, opened_at, .. } = recovered;
        let ring = journal.ring().cloned();
        let watch = Watch::new(trail.clone(), lock.clone(), checkpoint_signer.clone(), ring.clone())?;
        let committer = Committer::start(
            trail.clone(),
            journal.clone(),
            appender.clone(),
            checkpoint_signer.clone(),
            watch,
        )?;
        let drain = ring.clone().map(Drain::start).transpose()?;
        let followers = Followers::start(&trail, opened_at)?;
        let housekeeping = Arc::new(Housekeeping {
            trail: trail.clone(),
            appender: appender.clone(),
            ring,
            checkpoint_signer: checkpoint_signer.clone(),
            followers: followers.progress(),
            busy: Mutex::default(),
            pace: Pace::default(),
        });
        let maintenance = Maintenance::start(housekeeping.clone())?;
        Ok(Self {
            journal,
            appender,
            checkpoint_signer,
            followers,
            housekeeping,
            running: Mutex::new(Some(Running { maintenance, committer, drain, lock })),
            trail,
            process: std::process::id(),
        })
    }
}
