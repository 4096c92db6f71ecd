//! The committer thread: one fdatasync for many entries, checkpoints, sealing by age, heartbeats, waking
//! followers. Callers wait for it only if they ask for durability.
//!
//! It sleeps in [`Watermark::wait_for_work`]; why no wake-up is lost is explained there. Stopping is one more
//! condition of that sleep: the flag is stored before `wake_committer` and loaded under the same mutex.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use auditx_format::control_record::ControlRecord;
use auditx_format::{Error, Result};
use auditx_tlog::CompactRange;

use crate::checkpoint_signer::{CheckpointSigner, Occasion};
use crate::config::{Cadence, Durability};
use crate::journal::{Journal, SharedAppender};
use crate::kill_point::kill_point;
use crate::trail::Trail;
use crate::watch::{self, Watch};

/// After at most this time followers are notified of a line that no caller waits for.
const TICK: Duration = Duration::from_millis(20);

/// How often an idle committer checks whether a segment has reached its maximum age, since clocks may be set.
const AGE_CHECK: Duration = Duration::from_secs(60);

/// A checkpoint costs several fsyncs: however many entries come, at most this many are made in an interval.
const CHECKPOINTS_PER_INTERVAL: u32 = 10;

#[derive(Debug)]
pub(crate) struct Committer {
    trail: Arc<Trail>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Committer {
    /// Starts the thread. A trail without a checkpoint gets its first one before this returns, so that an
    /// attacker who removes lines of such a trail cannot claim that they were never signed.
    pub(crate) fn start(
        trail: Arc<Trail>,
        journal: Journal,
        appender: Arc<SharedAppender>,
        checkpoint_signer: Arc<CheckpointSigner>,
        watch: Watch,
    ) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let written = trail.watermark.written();
        let mut commit_loop = CommitLoop {
            trail: trail.clone(),
            journal,
            appender,
            checkpoint_signer,
            stopping: stopping.clone(),
            watch,
            checked_at: Instant::now(),
            has_checked_last: false,
            announced: written,
            unsynced_since: None,
            unsigned_since: None,
            durable: None,
            has_rewound: false,
            tried_at: None,
            recorded_at: written,
            busy_at: Instant::now(),
        };
        if commit_loop.checkpoint_signer.size() == 0 {
            commit_loop.sync()?;
            commit_loop.sign(Occasion::Cadence)?;
        }
        let thread = std::thread::Builder::new()
            .name("auditx-commit".to_owned())
            .spawn(move || commit_loop.run())
            .map_err(|error| Error::storage("cannot start the committer thread", "auditx-commit", error))?;
        Ok(Self { trail, stopping, thread: Some(thread) })
    }

    /// Syncs and signs all lines and ends the thread.
    ///
    /// # Errors
    /// Why the last checkpoint could not be made.
    pub(crate) fn stop(&mut self) -> Result<()> {
        // ORDERING: the mutex in `wake_committer` publishes it; Relaxed would do.
        self.stopping.store(true, Ordering::SeqCst);
        self.trail.watermark.wake_committer();
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => {
                self.trail.app_log.report("the committer thread panicked");
                Ok(())
            }
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        // A caller that needs the outcome calls `stop` first.
        drop(self.stop());
    }
}

/// The state of the committer thread.
struct CommitLoop {
    trail: Arc<Trail>,
    journal: Journal,
    appender: Arc<SharedAppender>,
    checkpoint_signer: Arc<CheckpointSigner>,
    stopping: Arc<AtomicBool>,
    watch: Watch,
    /// When the names were last checked.
    checked_at: Instant,
    /// Whether the names were checked since the thread was asked to stop.
    has_checked_last: bool,
    /// The lines that followers were notified of.
    announced: u64,
    /// Since when a line is not durable.
    unsynced_since: Option<Instant>,
    /// Since when a line is not signed.
    unsigned_since: Option<Instant>,
    /// The tree over what is durable.
    durable: Option<CompactRange>,
    /// Whether the last sync failed, and its lines were written again.
    has_rewound: bool,
    /// When a checkpoint was last tried.
    tried_at: Option<Instant>,
    /// How many lines there were when a checkpoint was last recorded in the trail.
    recorded_at: u64,
    /// When new lines were last seen.
    busy_at: Instant,
}

impl CommitLoop {
    fn run(mut self) -> Result<()> {
        loop {
            // ORDERING: see `Committer::stop`.
            let stopping = self.stopping.load(Ordering::SeqCst);
            self.appender.seal_if_old();
            let is_last_check = stopping && !std::mem::replace(&mut self.has_checked_last, true);
            if is_last_check || (!stopping && self.checked_at.elapsed() >= watch::INTERVAL) {
                self.check_all_names()?;
            }
            self.record_heartbeat();
            let written = self.trail.watermark.written();
            if written > self.announced {
                self.busy_at = Instant::now();
            }
            let dirty = self.trail.watermark.is_dirty();
            update_since(&mut self.unsynced_since, dirty);
            update_since(&mut self.unsigned_since, written > self.checkpoint_signer.size());
            if dirty && (stopping || self.is_sync_due()) {
                self.record_checkpoint();
                self.unsynced_since = None;
                // After an error nothing more is ever synced.
                self.sync()?;
            } else if written > self.announced {
                self.trail.watermark.notify();
            }
            self.announced = written;
            let is_settled = self.trail.watermark.written() == self.trail.watermark.durable();
            if stopping && is_settled {
                return self.sign(Occasion::Boundary);
            }
            if self.is_checkpoint_due() {
                // Reported in app.log and counted; tried again after an interval.
                drop(self.sign(Occasion::Cadence));
            }
            self.sleep();
        }
    }

    fn is_sync_due(&self) -> bool {
        let waited =
            |since: Option<Instant>, time: Duration| since.is_some_and(|since| since.elapsed() >= time);
        self.trail.watermark.is_sync_wanted()
            || self.trail.watermark.is_in_demand()
            || self.journal.ring().is_some_and(|ring| ring.needs_room())
            // Only durable lines are signed.
            || waited(self.unsigned_since, self.trail.config.checkpoints.interval)
            || match self.trail.config.durability {
                Durability::Interval(interval) => waited(self.unsynced_since, interval),
                Durability::EveryEntry => true,
                Durability::Os => false,
            }
    }

    /// Returns the number of durable lines that are not signed.
    fn unsigned(&self) -> u64 {
        self.trail.watermark.durable().saturating_sub(self.checkpoint_signer.size())
    }

    fn is_checkpoint_due(&self) -> bool {
        self.unsigned() > 0 && self.until_checkpoint(self.unsigned()).is_none_or(|left| left.is_zero())
    }

    /// Returns the time until a checkpoint of this many new lines may be made; `None` if none was tried yet.
    fn until_checkpoint(&self, lines: u64) -> Option<Duration> {
        let Cadence { interval, entries, .. } = self.trail.config.checkpoints;
        let least = if lines >= entries { interval / CHECKPOINTS_PER_INTERVAL } else { interval };
        self.tried_at.map(|tried| least.saturating_sub(tried.elapsed()))
    }

    /// Makes every line written so far durable with one fdatasync. Callers continue meanwhile.
    fn sync(&mut self) -> Result<()> {
        let unsynced = self.appender.lock().unsynced();
        // After a failed sync, a successful one says nothing about the bytes that were to be synced then.
        let synced = unsynced.and_then(|unsynced| unsynced.sync().map(|()| unsynced));
        match synced {
            Ok(synced) => {
                kill_point("sync: done");
                self.trail.counters.fsyncs.add(1);
                self.check_names().inspect_err(|fault| self.refuse_unrestored(fault))?;
                // Released before it is published: a caller that sees its entry durable finds its room free.
                if let Some(ring) = self.journal.ring() {
                    ring.publish_durable(synced.reach);
                }
                kill_point("sync: released");
                self.trail.watermark.publish_durable(synced.reach);
                kill_point("sync: published");
                if let Err(error) = synced.sign_boundaries(&self.checkpoint_signer) {
                    self.trail.app_log.report(&error.to_string());
                }
                self.appender.lock().mark_synced(&synced);
                self.durable = Some(synced.frontier);
                self.has_rewound = false;
                Ok(())
            }
            Err(fault) => {
                self.trail.counters.fsync_failures.add(1);
                if !self.has_rewound {
                    self.trail.app_log.report(&fault.to_string());
                }
                if !std::mem::replace(&mut self.has_rewound, true) && self.rewind(&fault) {
                    return Ok(());
                }
                self.refuse(&fault);
                Err(fault)
            }
        }
    }

    /// Checks every name that the trail relies on.
    fn check_all_names(&mut self) -> Result<()> {
        self.checked_at = Instant::now();
        let outcome = self.check_names().and_then(|()| self.watch.check());
        outcome.inspect_err(|fault| self.refuse_unrestored(fault))
    }

    /// Takes no more entries, because a name that the trail relies on could not be restored.
    fn refuse_unrestored(&self, fault: &Error) {
        self.trail.counters.restore_failures.add(1);
        self.refuse(fault);
    }

    /// Compares the segments with their names, so that nothing is called durable that no name leads to.
    fn check_names(&mut self) -> Result<()> {
        let mut appender = self.appender.lock();
        let restored = appender.check_names()?;
        if restored.is_empty() {
            return Ok(());
        }
        self.trail.watermark.publish_written(appender.reach());
        if restored.iter().any(|restoration| !restoration.lost.is_empty()) {
            // Until the record is signed, `auditx verify` takes the stubs for erasures that were not
            // recorded.
            self.tried_at = None;
        }
        Ok(())
    }

    /// Takes no more entries. The waiters are failed last: each finds the journal closed, and learns why.
    fn refuse(&self, fault: &Error) {
        self.trail.app_log.report(&fault.to_string());
        self.appender.lock().refuse_entries(fault);
        if let Some(ring) = self.journal.ring() {
            ring.poison();
        }
        self.trail.watermark.poison(fault);
    }

    /// Goes back to what is durable, if the journal still holds the rest and can hand it out again. Only
    /// once: a disk that fails a second time is not trusted.
    fn rewind(&mut self, fault: &Error) -> bool {
        let mut appender = self.appender.lock();
        if !fault.is_storage()
            || !self.journal.ring().is_some_and(|ring| appender.can_rewind(ring.retained_from()))
        {
            return false;
        }
        let outcome = appender.rewind();
        self.trail.watermark.publish_written(appender.reach());
        drop(appender);
        match outcome {
            Ok(()) => {
                self.trail.app_log.report("what was not durable is written again from the journal");
                true
            }
            Err(error) => {
                self.trail.app_log.report(&error.to_string());
                false
            }
        }
    }

    /// Signs what is durable.
    fn sign(&mut self, occasion: Occasion) -> Result<()> {
        self.tried_at = Some(Instant::now());
        let Some(durable) = &self.durable else { return Ok(()) };
        let outcome = self.checkpoint_signer.sign(durable, occasion);
        kill_point("sync: signed");
        match &outcome {
            Ok(()) => self.unsigned_since = None,
            Err(error) => self.trail.app_log.report(&error.to_string()),
        }
        outcome
    }

    /// Records the latest checkpoint in the trail if that is due, before the lines are synced whose
    /// checkpoint comes next, so that the record itself is signed then.
    fn record_checkpoint(&mut self) {
        let written = self.trail.watermark.written();
        if written < self.recorded_at + self.trail.config.checkpoints.entries {
            return;
        }
        let Some(latest) = self.checkpoint_signer.latest() else { return };
        let record = ControlRecord::Checkpoint { size: latest.size(), note: latest.as_str().to_owned() };
        // A refused record is written later: no entry depends on it.
        if self.appender.push_control_record(&record).is_ok() {
            self.recorded_at = self.trail.watermark.written();
        }
    }

    /// Records a heartbeat if nothing else was recorded for a while.
    fn record_heartbeat(&mut self) {
        // ORDERING: see `Committer::stop`.
        if !self.stopping.load(Ordering::SeqCst)
            && self.busy_at.elapsed() >= self.trail.config.checkpoints.heartbeat
        {
            self.busy_at = Instant::now();
            if let Err(error) = self.appender.push_control_record(&ControlRecord::Heartbeat)
                && !error.is_closed()
            {
                self.trail.app_log.report(&format!("cannot record a heartbeat: {error}"));
            }
        }
    }

    fn sleep(&self) {
        let watermark = &self.trail.watermark;
        let written = watermark.written();
        let syncs_later = written > watermark.durable() && self.trail.config.durability != Durability::Os;
        let is_idle = written == self.announced && !syncs_later;
        let pause = if is_idle { self.idle_pause() } else { self.busy_pause() };
        let pause = pause.min(watch::INTERVAL.saturating_sub(self.checked_at.elapsed()));
        let wakes_when_written = is_idle || watermark.is_in_demand();
        watermark.wait_for_work(Some(Instant::now() + pause), wakes_when_written, || {
            // ORDERING: loaded under the watermark's mutex; see `Committer::stop`.
            self.stopping.load(Ordering::SeqCst)
                || watermark.is_sync_wanted()
                || self.journal.ring().is_some_and(|ring| ring.needs_room())
                || (wakes_when_written && watermark.written() > self.announced)
        });
    }

    /// Returns the time until followers are notified, or the next fdatasync is due.
    fn busy_pause(&self) -> Duration {
        match (self.trail.config.durability, self.unsynced_since) {
            (Durability::Interval(interval), Some(since)) => {
                TICK.min(interval.saturating_sub(since.elapsed()))
            }
            _ => TICK,
        }
    }

    /// Returns the time until something is due even if no line is written.
    fn idle_pause(&self) -> Duration {
        let left = |since: Instant, time: Duration| time.saturating_sub(since.elapsed());
        let mut pause = left(self.busy_at, self.trail.config.checkpoints.heartbeat);
        if let Some(age) = self.appender.lock().age_left() {
            pause = pause.min(age.min(AGE_CHECK));
        }
        if self.unsigned() > 0 {
            pause = pause.min(self.until_checkpoint(self.unsigned()).unwrap_or(TICK));
        }
        let is_dirty = self.trail.watermark.is_dirty();
        if let Some(since) = self.unsigned_since.filter(|_| is_dirty) {
            pause = pause.min(left(since, self.trail.config.checkpoints.interval));
        }
        pause.max(TICK)
    }
}

/// Keeps the time since which `is_so` has been true.
fn update_since(since: &mut Option<Instant>, is_so: bool) {
    *since = is_so.then(|| since.unwrap_or_else(Instant::now));
}
