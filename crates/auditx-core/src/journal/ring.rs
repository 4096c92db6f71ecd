//! The journal over the ring: callers copy their entry into mapped memory, and a thread of its own writes the trail.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Journal, Refusal, Room, SharedAppender, forked};
use crate::app_log::AppLog;
use crate::appender::{Missed, Recall};
use crate::clock::{Clock, Timestamp};
use crate::config::Durability;
use crate::dir::Dir;
use crate::encode::MAX_LINE;
use crate::error::{Error, Kind, Result};
use crate::metrics::JournalLoad;
use crate::ring::{Map, Next, Queue, RING, Refused, RingFile};
use crate::watermark::Reach;

/// Room for the largest entry, wherever in the ring it would begin.
const READY_BYTES: u64 = 2 * MAX_LINE as u64;

/// How soon a thread looks again while the ring's file is restored.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What the journal works with.
#[derive(Debug)]
pub(crate) struct RingMeans {
    pub(crate) appender: Arc<SharedAppender>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) app_log: Arc<AppLog>,
    pub(crate) durability: Durability,
}

#[derive(Debug)]
pub(crate) struct Ring {
    file: RingFile,
    pub(super) means: RingMeans,
    pub(super) room: Room,
    /// Entries written to the trail since the ring began.
    pub(super) taken: AtomicU64,
    /// Why the first of the refused entries was. Held while they are counted or told of.
    refusals: Mutex<String>,
    /// Held while the ring is closed or poisoned, and while its file is restored.
    ending: Mutex<()>,
    /// Why nothing can be written at the moment.
    trouble: Mutex<Option<Error>>,
}

impl Ring {
    pub(crate) fn new(file: RingFile, means: RingMeans) -> Self {
        Self {
            file,
            means,
            room: Room::default(),
            taken: AtomicU64::new(0),
            refusals: Mutex::default(),
            ending: Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    #[inline]
    pub(crate) fn queue(&self) -> &Queue<Map> {
        &self.file.queue
    }

    #[cold]
    fn wake_drain(&self) {
        self.means.appender.watermark().wake_drain();
    }

    pub(super) fn trouble(&self) -> MutexGuard<'_, Option<Error>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing is taken any more.
    fn why_shut(&self, refused: Refused) -> Error {
        let poison = match refused {
            Refused::Poisoned => self.means.appender.lock().check().err(),
            Refused::Closed | Refused::Full | Refused::Paused => None,
        };
        poison.unwrap_or_else(Error::closed)
    }

    /// Why there is no room.
    fn why_full(&self) -> Error {
        match &*self.trouble() {
            Some(error) => error.duplicate(),
            None => {
                let capacity = self.queue().capacity();
                let what = "is full: entries come faster than the disk takes them";
                Error::new(Kind::Full, format!("the journal of {capacity} bytes {what}"))
            }
        }
    }

    /// Goes on in a copy of the ring's file where another program renamed, removed or replaced it; returns whether it did.
    /// Called by the writer, so that nothing is released meanwhile.
    ///
    /// # Errors
    /// `is_timed_out` where what was accepted could not be written in time, `is_storage` where the disk refused. Nothing has
    /// changed then.
    pub(crate) fn restore(&self, directory: &Dir, deadline: Instant) -> Result<bool> {
        let failed = |error| Error::storage("cannot restore the journal's ring", directory.join(RING), error);
        if self.file.is_named(directory).map_err(failed)? {
            return Ok(false);
        }
        let end = self.queue().pause();
        let outcome = self.wait_written(end, deadline).and_then(|()| {
            // Neither a refusal nor the end of the session is noted in memory that is about to be replaced.
            let (_refusals, _ending) = (self.lock_refusals(), self.lock_ending());
            self.file.restore(directory).map_err(failed)
        });
        self.queue().resume();
        self.room.notify();
        outcome.map(|()| true)
    }

    /// Waits, as the one who publishes what is durable, until the drain has written everything before a position.
    fn wait_written(&self, end: u64, deadline: Instant) -> Result<()> {
        let watermark = self.means.appender.watermark();
        while watermark.written_position() < end {
            if Instant::now() >= deadline {
                let what =
                    "the journal's ring cannot be restored: what was accepted could not be written in time";
                return Err(Error::new(Kind::TimedOut, what));
            }
            self.wake_drain();
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn lock_ending(&self) -> MutexGuard<'_, ()> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_refusals(&self) -> MutexGuard<'_, String> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was refused behind this position, if everything before it is written; and where the first of them would stand.
    pub(super) fn refused(&self) -> Option<(u64, Missed)> {
        if !self.queue().has_refused() {
            return None;
        }
        let why = self.lock_refusals();
        let (count, first, last, at) = self.queue().refused();
        let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
        Some((at, Missed { count, first, last, why: why.clone() }))
    }

    /// So many refused entries are told of in the trail.
    pub(super) fn told_of(&self, count: u64) {
        let _held = self.lock_refusals();
        self.queue().tell_refused(count);
    }

    /// Overwrites everything that was ever in the ring, and makes that durable: nothing erased stays readable in it.
    ///
    /// # Errors
    /// `is_timed_out` where there was no room in time, `is_storage` where the disk refused.
    pub(crate) fn scrub(&self, deadline: Instant) -> Result<()> {
        const STEP: u64 = 16 * 1024;
        for _ in 0..=self.queue().capacity() / STEP {
            let attempt = || match self.queue().push_zeros(STEP) {
                Err(Refused::Full | Refused::Paused) => {
                    self.wake_drain();
                    self.means.appender.watermark().want_durable(self.queue().tail());
                    None
                }
                other => Some(other),
            };
            self.room
                .wait(deadline, attempt)
                .ok_or_else(|| {
                    Error::new(Kind::TimedOut, "the journal's ring could not be overwritten in time")
                })?
                .map_err(|_| Error::closed())?;
        }
        self.means.appender.watermark().wait_durable(self.queue().tail(), Some(deadline))?;
        self.file.flush()
    }
}

impl Recall for Ring {
    fn recall(&self) -> Vec<(u64, Vec<u8>)> {
        self.queue().recall(self.means.appender.watermark().written_position())
    }
}

impl Journal for Ring {
    fn try_push(&self, body: &[u8]) -> Result<u64, Refusal> {
        if !self.queue().is_ours() {
            return Err(forked().into());
        }
        loop {
            return match self.queue().push(body) {
                Ok(pushed) => {
                    if pushed.wake {
                        self.wake_drain();
                    }
                    Ok(pushed.end)
                }
                Err(Refused::Full) => {
                    self.wake_drain();
                    Err(Refusal::Full)
                }
                // Rare and short, and no reason to refuse an entry under `OnFull::Reject`.
                Err(Refused::Paused) => {
                    std::thread::sleep(LOOK_AGAIN);
                    continue;
                }
                Err(shut) => Err(self.why_shut(shut).into()),
            };
        }
    }

    fn ready(&self) -> Result<()> {
        if !self.queue().is_ours() {
            return Err(forked());
        }
        let queue = self.queue();
        queue.check_open().map_err(|refused| self.why_shut(refused))?;
        let free = queue.capacity().saturating_sub(queue.tail().saturating_sub(queue.head()));
        if free >= READY_BYTES { Ok(()) } else { Err(self.why_full()) }
    }

    fn reach(&self) -> u64 {
        self.queue().tail()
    }

    fn close(&self, deadline: Instant) -> Result<()> {
        let end = {
            let _ending = self.lock_ending();
            self.queue().close()
        };
        self.wake_drain();
        let watermark = self.means.appender.watermark();
        let written = watermark
            .wait_until(Some(deadline), "the journal to be written", || watermark.written_position() >= end);
        match written {
            Ok(()) => self.means.appender.close(),
            Err(error) => {
                self.means.appender.abandon();
                Err(error)
            }
        }
    }

    fn release(&self, reach: Reach) {
        self.queue().release(reach.position, reach.lines);
        self.room.notify();
    }

    fn holds_since(&self) -> Option<u64> {
        Some(self.queue().head())
    }

    fn poison(&self) {
        let ending = self.lock_ending();
        self.queue().poison();
        drop(ending);
        self.room.notify();
    }

    fn is_pressed(&self) -> bool {
        let watermark = self.means.appender.watermark();
        self.means.durability != Durability::Os
            && watermark.written_position().saturating_sub(watermark.durable_position())
                > self.queue().capacity() / 4
    }

    fn load(&self) -> JournalLoad {
        let queue = self.queue();
        // The drain moves both while it holds the lock.
        let held = self.means.appender.lock();
        let (taken, mut at) = (self.taken.load(Ordering::SeqCst), held.reach().position);
        let mut waiting = 0;
        loop {
            match queue.next(at) {
                Next::Entry { end, .. } => (at, waiting) = (end, waiting + 1),
                Next::Skip { end } => at = end,
                Next::Empty | Next::Unfinished => break,
            }
        }
        let fill = queue.tail().saturating_sub(queue.head());
        JournalLoad { accepted: taken + waiting, waiting, fill, capacity: queue.capacity() }
    }

    fn room(&self) -> Option<&Room> {
        Some(&self.room)
    }

    fn note_refused(&self) -> Error {
        let now = Timestamp::of(self.means.clock.now());
        let error = self.why_full();
        {
            let mut why = self.lock_refusals();
            if !self.queue().has_refused() {
                *why = error.to_string();
            }
            self.queue().note_refused(now.micros());
        }
        self.wake_drain();
        error
    }
}
