//! How far the trail is: written, durable, or poisoned; and everybody who waits for it.
//!
//! Two measures: *lines*, which followers and operators count, and *places* in the journal, which is all that is known of an
//! entry when it is accepted. A position only grows, and is durable once every entry before it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::Thread;
use std::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::history::History;

/// How far the trail is written, in both measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Every line with a lower sequence number.
    pub(crate) lines: u64,
    /// Every entry before this position.
    pub(crate) position: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Watermark {
    written: AtomicU64,
    written_position: AtomicU64,
    durable: AtomicU64,
    durable_position: AtomicU64,
    /// Every entry before this position has somebody waiting for its fdatasync.
    wanted: AtomicU64,
    /// The same for lines.
    wanted_lines: AtomicU64,
    /// Whether somebody waited for what became durable last.
    in_demand: AtomicBool,
    /// How often bytes that stood in the trail were taken back: they were never published, but may have been read.
    take_backs: AtomicU64,
    pub(crate) history: History,
    /// The thread that writes what is accepted but not written yet, where there is one.
    drain: OnceLock<Thread>,
    /// Whether the writer sleeps until somebody wakes it.
    writer_parked: AtomicBool,
    waiters: Mutex<Waiters>,
    changed: Condvar,
    work: Condvar,
}

#[derive(Debug, Default)]
struct Waiters {
    wakers: Vec<(u64, Waker)>,
    poison: Option<Error>,
    work_due: bool,
}

impl Watermark {
    /// Before anything is accepted: how far the trail is. What was recovered is durable.
    pub(crate) fn begin(&self, reach: Reach) {
        for lines in [&self.written, &self.durable, &self.wanted_lines] {
            lines.store(reach.lines, Ordering::SeqCst);
        }
        self.count_from(reach.position);
    }

    /// Before anything is accepted: from where places are counted.
    pub(crate) fn count_from(&self, position: u64) {
        for positions in [&self.written_position, &self.durable_position, &self.wanted] {
            positions.store(position, Ordering::SeqCst);
        }
    }

    /// Names the thread that writes; it is woken when somebody waits for what it has yet to write.
    pub(crate) fn drained_by(&self, thread: Thread) {
        // There is one such thread in the life of a journal.
        drop(self.drain.set(thread));
    }

    /// Wakes it, where there is one.
    pub(crate) fn wake_drain(&self) {
        if let Some(drain) = self.drain.get() {
            drain.unpark();
        }
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// Called by whoever took bytes of the trail back, before others are published in their place.
    pub(crate) fn note_take_back(&self) {
        self.take_backs.fetch_add(1, Ordering::SeqCst);
    }

    /// Whoever sees the same number after a measure as before it read ahead holds nothing below that measure that was taken back.
    pub(crate) fn take_backs(&self) -> u64 {
        self.take_backs.load(Ordering::SeqCst)
    }

    /// Every entry before it is written.
    pub(crate) fn written_position(&self) -> u64 {
        self.written_position.load(Ordering::SeqCst)
    }

    /// Every entry before it is durable.
    pub(crate) fn durable_position(&self) -> u64 {
        self.durable_position.load(Ordering::SeqCst)
    }

    /// Whether something is written that is not durable.
    pub(crate) fn is_dirty(&self) -> bool {
        self.written() > self.durable() || self.written_position() > self.durable_position()
    }

    /// Whether somebody waits for an fdatasync of what is written.
    pub(crate) fn is_sync_wanted(&self) -> bool {
        let is_due = |wanted: &AtomicU64, written: u64, durable: u64| {
            wanted.load(Ordering::SeqCst) > durable && written > durable
        };
        is_due(&self.wanted, self.written_position(), self.durable_position())
            || is_due(&self.wanted_lines, self.written(), self.durable())
    }

    /// Whether somebody waited for what became durable last. What was accepted since is then likely to be waited for as well, and
    /// is synced without being asked for: the disk is not idle while callers are busy.
    pub(crate) fn is_in_demand(&self) -> bool {
        self.in_demand.load(Ordering::SeqCst)
    }

    /// Whether somebody waits for an entry that is not written yet.
    pub(crate) fn is_write_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) > self.written_position()
    }

    /// Called by whoever wrote, in order. Costs a wake-up only when the writer sleeps or somebody waits.
    pub(crate) fn publish_written(&self, reach: Reach) {
        self.written.store(reach.lines, Ordering::SeqCst);
        self.written_position.store(reach.position, Ordering::SeqCst);
        let is_parked =
            self.writer_parked.load(Ordering::SeqCst) && self.writer_parked.swap(false, Ordering::SeqCst);
        if is_parked || self.is_sync_wanted() {
            self.wake_committer();
        }
    }

    pub(crate) fn publish_durable(&self, reach: Reach) {
        let is_in_demand = self.wanted.load(Ordering::SeqCst) > self.durable_position()
            || self.wanted_lines.load(Ordering::SeqCst) > self.durable();
        self.in_demand.store(is_in_demand, Ordering::SeqCst);
        self.durable.fetch_max(reach.lines, Ordering::SeqCst);
        self.durable_position.fetch_max(reach.position, Ordering::SeqCst);
        let durable = self.durable_position();
        let mut waiters = self.lock();
        let (ready, waiting) =
            std::mem::take(&mut waiters.wakers).into_iter().partition(|(position, _)| *position <= durable);
        waiters.wakers = waiting;
        drop(waiters);
        self.changed.notify_all();
        let ready: Vec<(u64, Waker)> = ready;
        for (_, waker) in ready {
            waker.wake();
        }
        if is_in_demand {
            self.wake_drain();
        }
    }

    /// Tells followers that lines were written, without any having become durable.
    pub(crate) fn notify(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Nothing becomes durable any more: everybody who waits gets this error.
    pub(crate) fn poison(&self, error: &Error) {
        let mut waiters = self.lock();
        waiters.poison.get_or_insert_with(|| error.duplicate());
        let wakers = std::mem::take(&mut waiters.wakers);
        drop(waiters);
        self.changed.notify_all();
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    /// Asks for an fdatasync of every entry before `position`.
    pub(crate) fn want_durable(&self, position: u64) {
        self.wanted.fetch_max(position, Ordering::SeqCst);
        match self.drain.get().filter(|_| self.written_position() < position) {
            Some(drain) => drain.unpark(),
            None => self.wake_committer(),
        }
    }

    /// Waits until every entry before `position` is durable.
    pub(crate) fn wait_durable(&self, position: u64, deadline: Option<Instant>) -> Result<()> {
        if self.durable_position() >= position {
            return Ok(());
        }
        self.want_durable(position);
        self.wait_until(deadline, "the entries to become durable", || self.durable_position() >= position)
    }

    /// Waits until every line below `lines` is durable; they are written already.
    pub(crate) fn wait_durable_lines(&self, lines: u64, deadline: Option<Instant>) -> Result<()> {
        self.wanted_lines.fetch_max(lines, Ordering::SeqCst);
        self.wake_committer();
        self.wait_until(deadline, "the trail to become durable", || self.durable() >= lines)
    }

    /// Durable already; or the waker is woken when that changes.
    pub(crate) fn poll_durable(&self, position: u64, waker: &Waker) -> Option<Result<()>> {
        if self.durable_position() >= position {
            return Some(Ok(()));
        }
        let mut waiters = self.lock();
        if self.durable_position() >= position {
            return Some(Ok(()));
        }
        if let Some(poison) = &waiters.poison {
            return Some(Err(poison.duplicate()));
        }
        if !waiters.wakers.iter().any(|(other, known)| *other == position && known.will_wake(waker)) {
            waiters.wakers.push((position, waker.clone()));
        }
        drop(waiters);
        self.want_durable(position);
        None
    }

    /// Waits for a condition that a publication can make true.
    pub(crate) fn wait_until(
        &self,
        deadline: Option<Instant>,
        what: &str,
        mut done: impl FnMut() -> bool,
    ) -> Result<()> {
        let mut waiters = self.lock();
        loop {
            if done() {
                return Ok(());
            }
            if let Some(poison) = &waiters.poison {
                return Err(poison.duplicate());
            }
            waiters = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(waiters).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => {
                    return Err(Error::new(Kind::TimedOut, format!("the time to wait for {what} is over")));
                }
                Some(left) => {
                    self.changed.wait_timeout(waiters, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// For followers: waits for any publication, at most until `deadline`; none waits for ever.
    pub(crate) fn wait_for_change(&self, deadline: Option<Instant>, has_work: impl Fn() -> bool) {
        let waiters = self.lock();
        if has_work() {
            return;
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => drop(self.changed.wait(waiters).unwrap_or_else(PoisonError::into_inner)),
            Some(left) => {
                drop(self.changed.wait_timeout(waiters, left).unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Wakes the writer thread.
    pub(crate) fn wake_committer(&self) {
        self.lock().work_due = true;
        self.work.notify_all();
    }

    /// For the writer: sleeps until woken or until `deadline`. With `idle`, the next written line wakes it too.
    pub(crate) fn wait_for_work(&self, deadline: Option<Instant>, idle: bool, has_work: impl Fn() -> bool) {
        if idle {
            self.writer_parked.store(true, Ordering::SeqCst);
        }
        let mut waiters = self.lock();
        while !std::mem::take(&mut waiters.work_due) && !has_work() {
            waiters = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.work.wait(waiters).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.work.wait_timeout(waiters, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        drop(waiters);
        self.writer_parked.store(false, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
