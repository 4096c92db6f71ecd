//! Opens a trail: as its writer, which recovers it and starts its threads, or as a producer beside the process
//! that writes it.
//!
//! [`RecoveredTrail`] is the state after recovery and before the threads start.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use auditx_format::control_record::{ControlRecord, PreviousTrail};
use auditx_format::{Error, Result};
use auditx_tlog::VerifierKey;

use super::peers::Peers;
use super::{Running, Shared, Writer, Writing};
use crate::appender::{Appender, RecentEntries};
use crate::checkpoint_signer::{CheckpointSigner, read_latest};
use crate::committer::Committer;
use crate::config::{Config, JournalKind};
use crate::control;
use crate::dir::Dir;
use crate::follow::Followers;
use crate::identity::TrailIdentity;
use crate::journal::{Direct, Drain, Journal, Ring, SharedAppender, Unreleased};
use crate::kill_point::kill_point;
use crate::lock::{self, Lock};
use crate::maintenance::{Housekeeping, Maintenance, Pace};
use crate::recover::{self, NewTrail, Recovered, Replay};
use crate::ring::{Found, RingFile, SlotLocks, unsupported_reason};
use crate::segment::sealed_segments;
use crate::storage::Storage;
use crate::trail::Trail;
use crate::watch::Watch;
use crate::watermark::RemoteWriter;

/// How long a process tries to join a trail whose writer is just opening or closing it.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// How soon it tries again.
const JOIN_AGAIN: Duration = Duration::from_millis(5);

/// The trail that a new trail replaces.
#[derive(Debug)]
pub(super) struct Predecessor {
    pub(super) trail: PreviousTrail,
    /// Its pending entries, which become lines of the new trail.
    pub(super) entries: Vec<Vec<u8>>,
}

/// A trail after recovery: it matches its checkpoint.
struct RecoveredTrail {
    lock: Arc<Mutex<Lock>>,
    trail: Arc<Trail>,
    checkpoint_signer: Arc<CheckpointSigner>,
    appender: Arc<SharedAppender>,
    /// The number of lines before this process wrote any.
    opened_at: u64,
}

impl RecoveredTrail {
    /// Recovers a trail that no process uses: it then contains all pending entries.
    fn open(trail: Arc<Trail>, lock: Lock, previous: Option<Predecessor>) -> Result<(Self, Replay)> {
        let (previous, inherited) = match previous {
            Some(Predecessor { trail, entries }) => (Some(trail), entries),
            None => (None, Vec::new()),
        };
        let mut recovered = recover::recover(&trail, Some(&NewTrail { origin: trail.origin(), previous }))?;
        let mut replay = Replay::prepare(&trail.directory, &mut recovered, inherited)?;
        let recovered = Self::of(trail, lock, recovered, None)?;
        replay.run(&mut recovered.appender.lock())?;
        Ok((recovered, replay))
    }

    /// Recovers a trail whose writer has ended, while other processes push into its ring.
    fn take_over(trail: Arc<Trail>, lock: Lock, position: u64) -> Result<Self> {
        let recovered = recover::recover(&trail, None)?;
        Self::of(trail, lock, recovered, Some(position))
    }

    fn of(trail: Arc<Trail>, lock: Lock, recovered: Recovered, position: Option<u64>) -> Result<Self> {
        for segment in sealed_segments(&trail.directory)? {
            trail.registry.add(segment.first_seq, None);
        }
        let Recovered { start, tree, checkpoint_signer, records, remark, .. } = recovered;
        if let Some(remark) = remark {
            trail.app_log.report(&remark);
        }
        let opened_at = start.next_seq;
        let mut appender = Appender::new(trail.clone(), start, tree, checkpoint_signer.clone());
        if let Some(position) = position {
            appender.set_position(position);
        }
        let appender = Arc::new(SharedAppender::new(appender));
        if checkpoint_signer.size() == 0 && opened_at > 0 {
            // The first process was killed before its first checkpoint. If this one is too, it must not leave
            // more lines without one: only a trail of which lines were removed has those.
            appender.sign()?;
        }
        for record in &records {
            let seq = appender.push_control_record(record)?;
            if matches!(record, ControlRecord::Genesis { .. }) {
                control::store(&trail.directory, &*trail.storage, seq)?;
            }
        }
        Ok(Self { lock: Arc::new(Mutex::new(lock)), trail, checkpoint_signer, appender, opened_at })
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

    /// Begins a new ring, or an emptied one.
    fn journal(&self, replay: &Replay, alone: Option<SlotLocks>) -> Result<Journal> {
        let config = &self.trail.config;
        let lines = self.appender.lock().reach().lines;
        let (file, remark) = replay.begin_ring(&self.trail.directory, config, lines, alone)?;
        if let Some(remark) = remark {
            self.trail.app_log.report(&remark);
        }
        let Some(file) = file else {
            return Ok(Journal::Direct(Arc::new(Direct::new(self.appender.clone()))));
        };
        let ring = Arc::new(Ring::new(file, self.trail.clone()));
        self.lead(&ring);
        Ok(Journal::Ring(ring))
    }

    /// Makes this process the one that writes what is in the ring.
    fn lead(&self, ring: &Arc<Ring>) {
        ring.lead(self.appender.clone());
        let recent: Weak<dyn RecentEntries> = Arc::<Ring>::downgrade(ring);
        self.appender.lock().set_recent_entries(recent);
        ring.queue().set_settings(self.trail.config.fingerprint());
        // What another process published was repeated here until now.
        self.appender.set_position(ring.queue().head());
        ring.publish_recovered(self.appender.lock().reach());
    }

    /// Starts the threads that write the trail.
    fn start(self, journal: &Journal, unreleased: Unreleased) -> Result<(Writing, Running)> {
        let Self { lock, trail, checkpoint_signer, appender, opened_at } = self;
        trail.app_log.set_rotates(true);
        let ring = journal.ring().cloned();
        let watch = Watch::new(trail.clone(), lock.clone(), checkpoint_signer.clone(), ring.clone())?;
        let committer = Committer::start(
            trail.clone(),
            journal.clone(),
            appender.clone(),
            checkpoint_signer.clone(),
            watch,
        )?;
        let start = |ring| Drain::start(ring, appender.clone(), unreleased);
        let drain = ring.clone().map(start).transpose()?;
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
        let writing = Writing { appender, checkpoint_signer, followers, housekeeping };
        Ok((writing, Running { maintenance, committer, drain, lock }))
    }
}

impl Writer {
    pub(super) fn begin(
        config: &Config,
        storage: Arc<dyn Storage>,
        previous: Option<Predecessor>,
    ) -> Result<Self> {
        config.check()?;
        let directory = config.hold_dir()?;
        let deadline = Instant::now() + JOIN_LIMIT;
        let may_join = !config.exclusive
            && config.journal != JournalKind::Direct
            && unsupported_reason(&directory).is_none();
        let mut previous = previous;
        loop {
            let refusal = match lock::lock(&directory, &config.instance) {
                Ok(lock) => match Self::begin_locked(config, &directory, &storage, lock, &mut previous)? {
                    Some(writer) => return Ok(writer),
                    None => Error::locked("other processes have the trail open").at(directory.path()),
                },
                Err(error) if !error.is_locked() || previous.is_some() => return Err(error),
                Err(error) => {
                    if may_join && let Some(ring) = join(&directory)? {
                        return Self::begin_beside(config, directory, storage, ring);
                    }
                    error
                }
            };
            if !may_join || Instant::now() >= deadline {
                return Err(refusal);
            }
            std::thread::sleep(JOIN_AGAIN);
        }
    }

    /// Opens the trail as its writer. Returns `None` if other processes use its ring and it cannot be joined
    /// now.
    fn begin_locked(
        config: &Config,
        directory: &Dir,
        storage: &Arc<dyn Storage>,
        lock: Lock,
        previous: &mut Option<Predecessor>,
    ) -> Result<Option<Self>> {
        let trail_id = TrailIdentity::read_foreign(directory).map(|identity| identity.id());
        let trail = || Trail::new(directory.clone(), storage.clone(), config.clone()).map(Arc::new);
        let alone = match RingFile::find(directory, trail_id)? {
            Found::Alone(locks) => locks,
            Found::Shared if config.exclusive => return Ok(None),
            Found::Shared => {
                let Some(file) = RingFile::join(directory, trail_id.unwrap_or_default(), true)? else {
                    return Ok(None);
                };
                let trail = trail()?;
                let ring = Arc::new(Ring::new(file, trail.clone()));
                let started = take_over(&trail, &ring, lock)?;
                return Self::of(trail, Journal::Ring(ring), Some(started)).map(Some);
            }
        };
        let trail = trail()?;
        let (recovered, replay) = RecoveredTrail::open(trail.clone(), lock, previous.take())?;
        let journal = recovered.journal(&replay, alone)?;
        recovered.begin_session()?;
        let started = recovered.start(&journal, Unreleased::default())?;
        Self::of(trail, journal, Some(started)).map(Some)
    }

    /// Opens the trail beside the process that writes it.
    fn begin_beside(
        config: &Config,
        directory: Dir,
        storage: Arc<dyn Storage>,
        ring: RingFile,
    ) -> Result<Self> {
        let trail = Arc::new(Trail::new(directory, storage, config.clone())?);
        let ring = Arc::new(Ring::new(ring, trail.clone()));
        let remote: Weak<dyn RemoteWriter> = Arc::<Ring>::downgrade(&ring);
        trail.watermark.follow(remote);
        ring.mirror();
        Self::of(trail, Journal::Ring(ring), None)
    }

    fn of(trail: Arc<Trail>, journal: Journal, started: Option<(Writing, Running)>) -> Result<Self> {
        let key = match &started {
            Some((writing, _)) => writing.checkpoint_signer.key(),
            None => verifier_key(&trail)?,
        };
        let (writing, running) = started.unzip();
        let shared = Arc::new(Shared {
            trail,
            writing: writing.map_or_else(OnceLock::new, OnceLock::from),
            running: Mutex::new(running),
            key,
            is_closed: AtomicBool::new(false),
        });
        let peers = match journal.ring() {
            Some(ring) if !shared.trail.config.exclusive => Some(Peers::start(shared.clone(), ring.clone())?),
            _ => None,
        };
        Ok(Self { journal, shared, peers: Mutex::new(peers), process: std::process::id() })
    }
}

/// Becomes the writer of a trail whose writer has ended, while other processes push into its ring.
pub(super) fn take_over(trail: &Arc<Trail>, ring: &Arc<Ring>, lock: Lock) -> Result<(Writing, Running)> {
    kill_point("takeover: locked");
    let queue = ring.queue();
    if TrailIdentity::read(&trail.directory)?.id() != ring.file().trail_id() {
        return Err(Error::corrupt(recover::GONE).at(trail.directory.path()));
    }
    let recovered = RecoveredTrail::take_over(trail.clone(), lock, queue.head())?;
    // After recovery, which removes a line that the last writer did not finish.
    let unreleased = recover::unreleased(&trail.directory, queue)?;
    kill_point("takeover: recovered");
    ring.set_unreleased(unreleased.end(), queue.released().lines);
    recovered.lead(ring);
    queue.heal();
    let started = recovered
        .begin_session()
        .and_then(|()| recovered.start(&Journal::Ring(ring.clone()), unreleased))
        .inspect_err(|_| {
            trail.app_log.set_rotates(false);
            ring.follow_again();
        })?;
    kill_point("takeover: done");
    Ok(started)
}

/// Joins the ring of the trail in this directory; `None` if that is not possible yet.
fn join(directory: &Dir) -> Result<Option<RingFile>> {
    match TrailIdentity::read_foreign(directory) {
        Some(identity) => RingFile::join(directory, identity.id(), false),
        None => Ok(None),
    }
}

/// Returns the key with which this process would sign the trail, which must be the one that signs it.
fn verifier_key(trail: &Trail) -> Result<VerifierKey> {
    let identity = TrailIdentity::read(&trail.directory)?;
    let signer = trail.config.signing_key.signer(&trail.directory)?;
    let key = VerifierKey::new(&identity.log_name(), &signer.public_key())?;
    if let Some(latest) = read_latest(&trail.directory)? {
        recover::check_latest(&latest, &key).map_err(|error| error.at(trail.directory.path()))?;
    }
    Ok(key)
}
