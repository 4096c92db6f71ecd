//! The journal over the ring: producers copy their entry into mapped memory, and the drain writes the trail.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use auditx_format::clock::Timestamp;
use auditx_format::{Error, Result};
use auditx_tlog::MAX_LINE;

use super::{Refusal, Room, SharedAppender, forked};
use crate::appender::{Missed, RecentEntries};
use crate::config::Durability;
use crate::metrics::JournalLoad;
use crate::reach::Reach;
use crate::ring::{Map, Next, Queue, RING, Refused, RingFile};
use crate::trail::Trail;
use crate::watermark::Watermark;

/// Room for the longest entry, wherever in the ring it would begin.
const READY_BYTES: u64 = 2 * MAX_LINE as u64;

/// How soon a thread tries again while the ring's file is being restored.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(crate) struct Ring {
    pub(super) file: RingFile,
    pub(super) trail: Arc<Trail>,
    /// `None` while another process writes the trail.
    pub(super) appender: RwLock<Option<Arc<SharedAppender>>>,
    pub(crate) room: Room,
    /// Why the first of the refused entries was refused. Held while refused entries are counted or
    /// subtracted.
    refusals: Mutex<String>,
    /// Where the entries end that the last writer wrote and this process has not released, and from which line
    /// on they are in the trail.
    pub(super) unreleased: Mutex<Reach>,
    /// Held while what another process published is repeated: never once this process writes the trail.
    pub(super) mirroring: Mutex<()>,
    /// Held while the ring is closed or poisoned, and while its file is restored.
    closing: Mutex<()>,
    /// Why nothing can be written at the moment.
    write_error: Mutex<Option<Error>>,
}

impl Ring {
    pub(crate) fn new(file: RingFile, trail: Arc<Trail>) -> Self {
        Self {
            file,
            trail,
            appender: RwLock::default(),
            room: Room::default(),
            refusals: Mutex::default(),
            unreleased: Mutex::default(),
            mirroring: Mutex::default(),
            closing: Mutex::default(),
            write_error: Mutex::default(),
        }
    }

    /// Returns the appender if this process writes the trail.
    pub(super) fn appender(&self) -> Option<Arc<SharedAppender>> {
        self.appender.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn lock_mirroring(&self) -> MutexGuard<'_, ()> {
        self.mirroring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn queue(&self) -> &Queue<Map> {
        &self.file.queue
    }

    pub(crate) fn file(&self) -> &RingFile {
        &self.file
    }

    pub(super) fn watermark(&self) -> &Watermark {
        &self.trail.watermark
    }

    #[cold]
    fn wake_drain(&self) {
        if self.appender().is_some() {
            self.watermark().wake_drain();
        } else {
            self.queue().call_drain();
        }
    }

    pub(super) fn write_error(&self) -> MutexGuard<'_, Option<Error>> {
        self.write_error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why no more entries are taken.
    fn closed_error(&self, refused: Refused) -> Error {
        let poison = match refused {
            Refused::Poisoned => match self.appender() {
                Some(appender) => appender.lock().check().err(),
                None => Some(self.remote_failure()),
            },
            Refused::Closed | Refused::Full | Refused::Paused => None,
        };
        poison.unwrap_or_else(Error::closed)
    }

    /// Returns why there is no room.
    fn full_error(&self) -> Error {
        match &*self.write_error() {
            Some(error) => error.duplicate(),
            None => {
                let capacity = self.queue().capacity();
                let what = "is full: entries are recorded faster than the disk writes them";
                Error::full(format!("the journal of {capacity} bytes {what}"))
            }
        }
    }

    /// Continues in a copy of the ring's file if another program renamed, removed or replaced it; returns
    /// whether it did.
    ///
    /// Called by the committer, which releases room after fdatasync(2); under `Durability::Os` the drain
    /// releases room before it publishes that entries are written. So nothing is released while the ring is
    /// copied.
    ///
    /// # Errors
    /// `is_timed_out` if the accepted entries could not be written in time, `is_storage` if a file operation
    /// failed. Nothing has changed then.
    pub(crate) fn restore(&self, deadline: Instant) -> Result<bool> {
        let directory = &self.trail.directory;
        let failed = |error| Error::storage("cannot restore the journal's ring", directory.join(RING), error);
        if self.file.is_named(directory).map_err(failed)? {
            return Ok(false);
        }
        let end = self.queue().pause();
        let outcome = self.wait_written(end, deadline).and_then(|()| {
            // No refusal and no flag may be stored in memory that is about to be replaced. The drain may
            // clear PARKED meanwhile; if that is lost, the next push wakes it once too often.
            let (_refusals, _closing) = (self.lock_refusals(), self.lock_closing());
            self.file.restore(directory).map_err(failed)
        });
        self.queue().resume();
        if !self.trail.config.exclusive {
            self.file.share().map_err(failed)?;
        }
        self.room.notify();
        outcome.map(|()| true)
    }

    /// Waits until the drain has written everything before a position. Polls, since only the committer, which
    /// waits here, would notify it.
    fn wait_written(&self, end: u64, deadline: Instant) -> Result<()> {
        let watermark = self.watermark();
        while watermark.written_position() < end {
            if Instant::now() >= deadline {
                let what = "cannot restore the journal's ring: its entries could not be written in time";
                return Err(Error::timed_out(what));
            }
            self.wake_drain();
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn lock_closing(&self) -> MutexGuard<'_, ()> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_refusals(&self) -> MutexGuard<'_, String> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the position the first refused entry would have had, and what was refused. The gap belongs
    /// there: after everything before that position.
    pub(super) fn refused(&self) -> Option<(u64, Missed)> {
        if !self.queue().has_refused() {
            return None;
        }
        let why = self.lock_refusals();
        let (count, first, last, at) = self.queue().refused();
        let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
        Some((at, Missed { count, first, last, why: why.clone() }))
    }

    /// Takes refused entries that the trail records now off the count.
    pub(super) fn subtract_refused(&self, count: u64) {
        let _held = self.lock_refusals();
        self.queue().subtract_refused(count);
    }

    /// Overwrites everything that was ever in the ring, and makes that durable: no erased text stays readable
    /// in it.
    ///
    /// # Errors
    /// `is_timed_out` if there was no room in time, `is_storage` if the disk failed.
    pub(crate) fn scrub(&self, deadline: Instant) -> Result<()> {
        const STEP: u64 = 16 * 1024;
        for _ in 0..=self.queue().capacity() / STEP {
            let attempt = || match self.queue().push_zeros(STEP) {
                Err(Refused::Full | Refused::Paused) => {
                    self.wake_drain();
                    self.watermark().want_durable(self.queue().tail());
                    None
                }
                other => Some(other),
            };
            self.room
                .wait(deadline, attempt)
                .ok_or_else(|| Error::timed_out("the journal's ring could not be overwritten in time"))?
                .map_err(|_| Error::closed())?;
        }
        self.watermark().wait_durable(self.queue().tail(), Some(deadline))?;
        self.file.flush()
    }

    pub(super) fn try_push(&self, body: &[u8]) -> Result<u64, Refusal> {
        if !self.queue().is_owner() {
            return Err(forked().into());
        }
        let mut asked = false;
        loop {
            return match self.queue().push(body) {
                Ok(pushed) => {
                    if pushed.wake {
                        self.wake_drain();
                    }
                    Ok(pushed.end)
                }
                Err(Refused::Full) if !std::mem::replace(&mut asked, true) => {
                    if self.appender().is_none() {
                        // Room that was released before news were wanted is found by the next attempt.
                        self.queue().want_news();
                    }
                    self.wake_drain();
                    continue;
                }
                Err(Refused::Full) => Err(Refusal::Full),
                // Rare and usually short, and no reason to refuse an entry under `OnFull::Reject`.
                Err(Refused::Paused) => {
                    std::thread::sleep(LOOK_AGAIN);
                    continue;
                }
                Err(refused) => Err(self.closed_error(refused).into()),
            };
        }
    }

    pub(super) fn ready(&self) -> Result<()> {
        if !self.queue().is_owner() {
            return Err(forked());
        }
        let queue = self.queue();
        queue.check_open().map_err(|refused| self.closed_error(refused))?;
        let free = queue.capacity().saturating_sub(queue.tail().saturating_sub(queue.head()));
        if free >= READY_BYTES { Ok(()) } else { Err(self.full_error()) }
    }

    /// Takes no more entries of this process, and returns the position after the last that was accepted.
    ///
    /// # Errors
    /// `is_timed_out` if a thread that is recording an entry has not finished in time.
    pub(crate) fn leave(&self, deadline: Instant) -> Result<u64> {
        self.queue().leave();
        while !self.queue().is_quiet() {
            if Instant::now() >= deadline {
                return Err(Error::timed_out("a thread that is recording an entry has not finished"));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(self.queue().accepted_end())
    }

    /// Makes the slots usable again that killed processes left unclean.
    pub(crate) fn clear_dead(&self) {
        self.queue().clear_dead(self.watermark().written_position(), |slot| self.file.is_alive(slot));
    }

    /// Whether no other process uses the ring; then none joins until the slot is given up.
    pub(crate) fn is_alone(&self) -> bool {
        // If the lock cannot be examined, others are assumed.
        self.file.try_alone().unwrap_or(false)
    }

    /// Gives up this producer's slot, unless one of its threads may still write to the ring: the slot is then
    /// held until the process ends.
    pub(crate) fn give_up_slot(&self, is_quiet: bool) {
        // If it fails, the end of the process gives it up.
        let outcome = if is_quiet { self.file.give_up_slot() } else { self.file.share() };
        outcome.unwrap_or(());
    }

    /// Waits until everything before a position is written by the drain of this process.
    pub(crate) fn wait_until_written(&self, end: u64, deadline: Instant) -> Result<()> {
        self.wake_drain();
        let watermark = self.watermark();
        watermark
            .wait_until(Some(deadline), "the journal to be written", || watermark.written_position() >= end)
    }

    /// Takes no more entries of any process; returns the end of what was accepted. Only if this process is
    /// alone with the ring.
    pub(crate) fn close_queue(&self) -> u64 {
        let _closing = self.lock_closing();
        self.queue().close()
    }

    /// Returns the position from which on it still holds the accepted entries.
    pub(crate) fn retained_from(&self) -> u64 {
        self.queue().head()
    }

    /// Takes no more entries, because the disk failed.
    pub(crate) fn poison(&self) {
        let closing = self.lock_closing();
        self.queue().poison();
        self.queue().tell_all();
        drop(closing);
        self.room.notify();
    }

    /// Whether an fdatasync is due to make room.
    pub(crate) fn needs_room(&self) -> bool {
        let watermark = self.watermark();
        self.trail.config.durability != Durability::Os
            && watermark.written_position().saturating_sub(watermark.durable_position())
                > self.queue().capacity() / 4
    }

    pub(super) fn load(&self) -> JournalLoad {
        let queue = self.queue();
        // The drain changes it while it holds the lock.
        let appender = self.appender();
        let appender = appender.as_ref().map(|appender| appender.lock());
        let mut at = appender.as_ref().map_or(queue.written(), |appender| appender.reach()).position;
        let mut waiting = 0;
        loop {
            match queue.next(at) {
                Next::Entry { end, .. } => (at, waiting) = (end, waiting + 1),
                Next::Skip { end } => at = end,
                Next::Empty | Next::Unfinished => break,
            }
        }
        let fill = queue.tail().saturating_sub(queue.head());
        JournalLoad { accepted: queue.accepted(), waiting, fill, capacity: queue.capacity() }
    }

    pub(super) fn count_refused(&self) -> Error {
        let now = Timestamp::of(self.trail.config.clock.now());
        let error = self.full_error();
        {
            let mut why = self.lock_refusals();
            if !self.queue().has_refused() {
                *why = error.to_string();
            }
            self.queue().count_refused(now.micros());
        }
        self.wake_drain();
        error
    }
}

impl RecentEntries for Ring {
    fn recent_entries(&self) -> Vec<(u64, Vec<u8>)> {
        self.queue().recent_entries(self.watermark().written_position())
    }
}
