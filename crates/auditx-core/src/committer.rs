//! The writer's thread: fdatasync for many at once, checkpoints, sealing by age, heartbeats, waking followers. Callers never
//! wait for it unless they ask for durability.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app_log::AppLog;
use crate::checkpoint_signer::{CheckpointSigner, Occasion};
use crate::config::{Cadence, Durability};
use crate::control_record::ControlRecord;
use crate::error::{Error, Result};
use crate::journal::{Journal, SharedAppender};
use crate::kill_point::kill_point;
use crate::metrics::Counters;
use crate::tree::CompactRange;
use crate::watch::{self, Watch};
use crate::watermark::Watermark;

/// How soon followers hear of a line that nobody waits for.
const TICK: Duration = Duration::from_millis(5);

/// How often an idle writer looks whether a segment has grown old, since clocks may be set.
const AGE_CHECK: Duration = Duration::from_secs(60);

/// A checkpoint costs several fsyncs: however many entries come, there are at most this many in an interval.
const CHECKPOINTS_PER_INTERVAL: u32 = 10;

#[derive(Debug)]
pub(crate) struct Committer {
    duty: Arc<Duty>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What the writer works with.
#[derive(Debug)]
pub(crate) struct Duty {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) appender: Arc<SharedAppender>,
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) checkpoint_signer: Arc<CheckpointSigner>,
    pub(crate) durability: Durability,
    pub(crate) cadence: Cadence,
    pub(crate) counters: Arc<Counters>,
    pub(crate) app_log: Arc<AppLog>,
}

impl Committer {
    /// Starts the thread. A trail without any checkpoint gets its first one before this returns: whoever takes the lines of
    /// such a trail away can then not say that they were never signed.
    pub(crate) fn start(duty: Duty, watch: Watch) -> Result<Self> {
        let (duty, stopping) = (Arc::new(duty), Arc::new(AtomicBool::new(false)));
        let mut shift = Shift::new(duty.clone(), watch, stopping.clone());
        if duty.checkpoint_signer.size() == 0 {
            shift.sync()?;
            shift.sign(Occasion::Cadence)?;
        }
        let thread = std::thread::Builder::new()
            .name("auditx-commit".to_owned())
            .spawn(move || shift.run())
            .map_err(|error| Error::storage("cannot start the committer thread", "auditx-commit", error))?;
        Ok(Self { duty, stopping, thread: Some(thread) })
    }

    /// Syncs and signs what is there and ends the thread.
    ///
    /// # Errors
    /// What kept the last checkpoint from being made.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.stopping.store(true, Ordering::SeqCst);
        self.duty.watermark.wake_committer();
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => {
                self.duty.app_log.trouble("the committer thread panicked");
                Ok(())
            }
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        // Whoever wants to know stops it first.
        drop(self.stop());
    }
}

/// The thread's own state.
struct Shift {
    duty: Arc<Duty>,
    stopping: Arc<AtomicBool>,
    watch: Watch,
    /// When the names were last looked at.
    looked_at: Instant,
    /// Whether they were since the thread was told to stop.
    has_looked_last: bool,
    /// Lines that followers were told of.
    announced: u64,
    /// Since when a line is not durable.
    unsynced_since: Option<Instant>,
    /// Since when a line is not signed.
    unsigned_since: Option<Instant>,
    /// The tree over what is durable.
    durable: Option<CompactRange>,
    /// Whether the last sync failed, and its lines were written anew.
    has_rewound: bool,
    /// When a checkpoint was last tried.
    tried_at: Option<Instant>,
    /// How many lines there were when a note was last recorded in the trail.
    noted_at: u64,
    /// When a line was last seen to be new.
    busy_at: Instant,
}

impl Shift {
    fn new(duty: Arc<Duty>, watch: Watch, stopping: Arc<AtomicBool>) -> Self {
        let written = duty.watermark.written();
        Self {
            duty,
            stopping,
            watch,
            looked_at: Instant::now(),
            has_looked_last: false,
            announced: written,
            unsynced_since: None,
            unsigned_since: None,
            durable: None,
            has_rewound: false,
            tried_at: None,
            noted_at: written,
            busy_at: Instant::now(),
        }
    }

    fn run(mut self) -> Result<()> {
        loop {
            let stopping = self.stopping.load(Ordering::SeqCst);
            self.duty.appender.lock().seal_if_old();
            let is_last_look = stopping && !std::mem::replace(&mut self.has_looked_last, true);
            if is_last_look || (!stopping && self.looked_at.elapsed() >= watch::INTERVAL) {
                self.look()?;
            }
            self.beat();
            let written = self.duty.watermark.written();
            if written > self.announced {
                self.busy_at = Instant::now();
            }
            let dirty = self.duty.watermark.is_dirty();
            note_since(&mut self.unsynced_since, dirty);
            note_since(&mut self.unsigned_since, written > self.duty.checkpoint_signer.size());
            if dirty && (stopping || self.is_sync_due()) {
                self.record_note();
                self.unsynced_since = None;
                // Poisoned: nothing more will ever be synced.
                self.sync()?;
            } else if written > self.announced {
                self.duty.watermark.notify();
            }
            self.announced = written;
            let is_settled = self.duty.watermark.written() == self.duty.watermark.durable();
            if stopping && is_settled {
                return self.sign(Occasion::Boundary);
            }
            if self.is_checkpoint_due() {
                // Said in app.log and counted; tried again after an interval.
                drop(self.sign(Occasion::Cadence));
            }
            self.rest();
        }
    }

    fn is_sync_due(&self) -> bool {
        let waited =
            |since: Option<Instant>, time: Duration| since.is_some_and(|since| since.elapsed() >= time);
        self.duty.watermark.is_sync_wanted()
            || self.duty.watermark.is_in_demand()
            || self.duty.journal.is_pressed()
            // Only durable lines are signed.
            || waited(self.unsigned_since, self.duty.cadence.interval)
            || match self.duty.durability {
                Durability::Interval(interval) => waited(self.unsynced_since, interval),
                Durability::EveryEntry => true,
                Durability::Os => false,
            }
    }

    /// Lines that are durable and not signed.
    fn unsigned(&self) -> u64 {
        self.duty.watermark.durable().saturating_sub(self.duty.checkpoint_signer.size())
    }

    fn is_checkpoint_due(&self) -> bool {
        self.unsigned() > 0 && self.until_checkpoint(self.unsigned()).is_none_or(|left| left.is_zero())
    }

    /// How long until a checkpoint of so many new lines may be made; none where none was tried yet.
    fn until_checkpoint(&self, lines: u64) -> Option<Duration> {
        let Cadence { interval, entries, .. } = self.duty.cadence;
        let least = if lines >= entries { interval / CHECKPOINTS_PER_INTERVAL } else { interval };
        self.tried_at.map(|tried| least.saturating_sub(tried.elapsed()))
    }

    /// One fdatasync for every line written so far. Callers go on meanwhile.
    fn sync(&mut self) -> Result<()> {
        let unsettled = self.duty.appender.lock().unsettled();
        // After a sync that failed, one that succeeds says nothing about what was to be synced then.
        let synced = unsettled.and_then(|unsettled| unsettled.sync().map(|()| unsettled));
        match synced {
            Ok(synced) => {
                kill_point("sync: done");
                self.duty.counters.fsyncs.add(1);
                if let Err(fault) = self.check_names() {
                    self.duty.counters.restore_failures.add(1);
                    self.refuse(&fault);
                    return Err(fault);
                }
                // Whoever is told that an entry is durable finds its room free.
                self.duty.journal.release(synced.reach);
                kill_point("sync: released");
                self.duty.watermark.publish_durable(synced.reach);
                kill_point("sync: published");
                if let Err(error) = synced.sign_boundaries(&self.duty.checkpoint_signer) {
                    self.duty.app_log.trouble(&error.to_string());
                }
                self.duty.appender.lock().settle(&synced);
                self.durable = Some(synced.frontier);
                self.has_rewound = false;
                Ok(())
            }
            Err(fault) => {
                self.duty.counters.fsync_failures.add(1);
                if !self.has_rewound {
                    self.duty.app_log.trouble(&fault.to_string());
                }
                if !std::mem::replace(&mut self.has_rewound, true) && self.rewind(&fault) {
                    return Ok(());
                }
                self.refuse(&fault);
                Err(fault)
            }
        }
    }

    /// Looks at every name that the trail relies on.
    fn look(&mut self) -> Result<()> {
        self.looked_at = Instant::now();
        let outcome = self.check_names().and_then(|()| self.watch.look());
        outcome.inspect_err(|fault| {
            self.duty.counters.restore_failures.add(1);
            self.refuse(fault);
        })
    }

    /// Compares the segments with their names, so that nothing is called durable that no name leads to.
    fn check_names(&mut self) -> Result<()> {
        let mut appender = self.duty.appender.lock();
        let restored = appender.check_names()?;
        if restored.is_empty() {
            return Ok(());
        }
        self.duty.watermark.publish_written(appender.reach());
        drop(appender);
        for restoration in restored {
            if !restoration.lost.is_empty() {
                // Until it is signed, verifying takes the stubs for erasures that nobody recorded.
                self.tried_at = None;
            }
            self.duty.app_log.trouble(&restoration.to_string());
        }
        Ok(())
    }

    /// Takes no more entries. Whoever hears of it must find the journal closed, and find out why.
    fn refuse(&self, fault: &Error) {
        self.duty.app_log.trouble(&fault.to_string());
        self.duty.appender.lock().close_to(fault);
        self.duty.journal.poison();
        self.duty.watermark.poison(fault);
    }

    /// Goes back to what is durable, where the journal still holds the rest and hands it out again. Once: a disk that refuses
    /// a second time is not to be believed.
    fn rewind(&mut self, fault: &Error) -> bool {
        let mut appender = self.duty.appender.lock();
        if !fault.is_storage()
            || !self.duty.journal.holds_since().is_some_and(|position| appender.can_rewind(position))
        {
            return false;
        }
        let outcome = appender.rewind();
        self.duty.watermark.publish_written(appender.reach());
        drop(appender);
        match outcome {
            Ok(()) => {
                self.duty.app_log.trouble("what was not durable is written anew from the journal");
                true
            }
            Err(error) => {
                self.duty.app_log.trouble(&error.to_string());
                false
            }
        }
    }

    /// Signs what is durable.
    fn sign(&mut self, occasion: Occasion) -> Result<()> {
        self.tried_at = Some(Instant::now());
        let Some(durable) = &self.durable else { return Ok(()) };
        let outcome = self.duty.checkpoint_signer.sign(durable, occasion);
        kill_point("sync: signed");
        match &outcome {
            Ok(()) => self.unsigned_since = None,
            Err(error) => self.duty.app_log.trouble(&error.to_string()),
        }
        outcome
    }

    /// Records the latest note where one is due, before the lines are synced whose checkpoint comes next, so that it is
    /// itself signed then.
    fn record_note(&mut self) {
        let written = self.duty.watermark.written();
        if written < self.noted_at + self.duty.cadence.entries {
            return;
        }
        let Some(latest) = self.duty.checkpoint_signer.latest() else { return };
        let record = ControlRecord::Checkpoint { size: latest.size(), note: latest.as_str().to_owned() };
        // One that is refused is recorded later: no entry depends on it.
        if self.duty.appender.push_own(&record).is_ok() {
            self.noted_at = self.duty.watermark.written();
        }
    }

    /// Says that the trail is alive where nothing else has for a while.
    fn beat(&mut self) {
        if !self.stopping.load(Ordering::SeqCst) && self.busy_at.elapsed() >= self.duty.cadence.heartbeat {
            self.busy_at = Instant::now();
            if let Err(error) = self.duty.appender.push_own(&ControlRecord::Heartbeat)
                && !error.is_closed()
            {
                self.duty.app_log.trouble(&format!("cannot record a heartbeat: {error}"));
            }
        }
    }

    fn rest(&self) {
        let watermark = &self.duty.watermark;
        let written = watermark.written();
        let syncs_later = written > watermark.durable() && self.duty.durability != Durability::Os;
        let is_idle = written == self.announced && !syncs_later;
        let pause = if is_idle { self.idle_pause() } else { TICK };
        let pause = pause.min(watch::INTERVAL.saturating_sub(self.looked_at.elapsed()));
        let wakes_when_written = is_idle || watermark.is_in_demand();
        watermark.wait_for_work(Some(Instant::now() + pause), wakes_when_written, || {
            self.stopping.load(Ordering::SeqCst)
                || watermark.is_sync_wanted()
                || self.duty.journal.is_pressed()
                || (wakes_when_written && watermark.written() > self.announced)
        });
    }

    /// Until something is due although nothing happens.
    fn idle_pause(&self) -> Duration {
        let left = |since: Instant, time: Duration| time.saturating_sub(since.elapsed());
        let mut pause = left(self.busy_at, self.duty.cadence.heartbeat);
        if let Some(age) = self.duty.appender.lock().age_left() {
            pause = pause.min(age.min(AGE_CHECK));
        }
        if self.unsigned() > 0 {
            pause = pause.min(self.until_checkpoint(self.unsigned()).unwrap_or(TICK));
        }
        let is_dirty = self.duty.watermark.is_dirty();
        if let Some(since) = self.unsigned_since.filter(|_| is_dirty) {
            pause = pause.min(left(since, self.duty.cadence.interval));
        }
        pause.max(TICK)
    }
}

/// Remembers since when something is so.
fn note_since(since: &mut Option<Instant>, is_so: bool) {
    *since = is_so.then(|| since.unwrap_or_else(Instant::now));
}
