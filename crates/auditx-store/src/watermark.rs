//! How far the trail is written and durable, and the threads and tasks that wait for it.
//!
//! There are two measures: *lines*, which followers and operators count, and *positions* in the journal,
//! which is all that is known of an entry when it is accepted. A position only grows while the trail is in
//! order (rolling back lowers what is written, never what is durable), and is durable once every entry before
//! it is.
//!
//! # Why no wake-up is lost
//!
//! *Waiting for a condition* (`wait_until`, `wait_for_change`: `record()` callers, followers, `close`). W,
//! the waiter, checks the condition under the mutex and then waits on `changed`, which gives the mutex up. P,
//! the publisher, stores what makes the condition true, then locks and unlocks the mutex, then notifies
//! `changed`.
//! 1. P locks before W: W's check comes after P's store, through the mutex, and W does not wait.
//! 2. P locks after W: W is in the wait already, and the notification wakes it.
//!
//! `publish_written` does not notify, which would cost every batch a wake-up: the committer calls `notify`
//! for it, a few milliseconds later at most.
//!
//! *Receipts' wakers* (`poll_durable`). W checks again under the mutex and adds its waker; P stores the
//! durable position and then takes the wakers under the mutex.
//! 1. P takes before W adds: W's check sees the new position.
//! 2. P takes after W has added: P wakes W.
//!
//! *Asking the committer for an fdatasync* (`want_durable` against `publish_written`). W raises `wanted` and
//! then loads the written position. P, the drain, stores the written position and then loads `wanted`. All
//! four are SeqCst, so at least one side sees the other:
//! 1. P sees the new `wanted`: it wakes the committer.
//! 2. W sees the new written position: W wakes the committer.
//! 3. W sees an old position: it unparks the drain, which writes and then publishes; that store comes after
//!    W's load, so P sees `wanted`, as in 1.
//!
//! *The sleep of an idle committer* (`wait_for_work` against `publish_written`). C, the committer, sets
//! `committer_parked` and then loads the written lines in `has_work`. P stores the written lines and then
//! loads `committer_parked`. All four are SeqCst:
//! 1. P sees the flag: it clears it and wakes C.
//! 2. P does not see it: its store comes before C's load, so `has_work` is true and C does not sleep.
//!
//! *In a process that does not write the trail* nobody here publishes: [`Watermark::mirror`] repeats what the
//! writer publishes in the ring, and `want_durable` is passed on to it; `ring/queue/calls.rs` explains why no
//! wake-up is lost between processes.
//!
//! *Waking the committer* (`wake_committer`). `work_due` is set under the mutex, and C takes it under the
//! mutex before it waits on `work`: set before, C does not wait; set later, C is in the wait and is woken. A
//! committer that is not idle sleeps for at most a few milliseconds anyway.

mod remote;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::task::Waker;
use std::thread::Thread;
use std::time::Instant;

use auditx_format::{Error, Result};

use crate::history::History;
use crate::reach::Reach;

pub(crate) use remote::RemoteWriter;

#[derive(Debug, Default)]
pub(crate) struct Watermark {
    written: AtomicU64,
    written_position: AtomicU64,
    durable: AtomicU64,
    durable_position: AtomicU64,
    /// A caller waits for the fdatasync of every entry before this position.
    wanted: AtomicU64,
    /// The same for lines.
    wanted_lines: AtomicU64,
    /// Whether a caller waited for what became durable last.
    in_demand: AtomicBool,
    /// How often bytes of the trail were rolled back: they were never published, but may have been read.
    rollbacks: AtomicU64,
    pub(crate) history: History,
    /// The drain, if the journal has one and this process writes the trail.
    drain: RwLock<Option<Thread>>,
    /// Set in a process that has joined another one's trail.
    remote: OnceLock<Weak<dyn RemoteWriter>>,
    /// Whether another process writes the trail.
    is_remote: AtomicBool,
    /// Whether the committer sleeps until the next line is written.
    committer_parked: AtomicBool,
    waiters: Mutex<Waiters>,
    changed: Condvar,
    work: Condvar,
}

#[derive(Debug, Default)]
struct Waiters {
    wakers: Vec<(u64, Waker)>,
    poison: Option<Error>,
    /// Whether it was repeated from the process that writes the trail, and ends with that.
    is_poison_remote: bool,
    work_due: bool,
}

impl Watermark {
    /// Sets how far the trail is, before any entry is accepted. What was recovered is durable.
    pub(crate) fn begin(&self, reach: Reach) {
        // ORDERING: no other thread uses it yet; Relaxed would do here and in `set_position`.
        for lines in [&self.written, &self.durable, &self.wanted_lines] {
            lines.store(reach.lines, Ordering::SeqCst);
        }
        self.set_position(reach.position);
    }

    /// Sets where positions are counted from, before any entry is accepted.
    pub(crate) fn set_position(&self, position: u64) {
        for positions in [&self.written_position, &self.durable_position, &self.wanted] {
            positions.store(position, Ordering::SeqCst);
        }
    }

    /// Names the drain, which is woken when a caller waits for an entry that is not written yet.
    pub(crate) fn set_drain_thread(&self, thread: Thread) {
        *self.drain.write().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    fn drain(&self) -> RwLockReadGuard<'_, Option<Thread>> {
        self.drain.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the drain, if there is one.
    pub(crate) fn wake_drain(&self) {
        if let Some(drain) = &*self.drain() {
            drain.unpark();
        }
    }

    /// Returns the number of lines written.
    pub(crate) fn written(&self) -> u64 {
        // ORDERING: pairs with the stores in `publish_written`: a line below it can be read from the segment.
        // SeqCst for the idle committer (see the module); followers need only Acquire.
        self.written.load(Ordering::SeqCst)
    }

    /// Returns the number of durable lines.
    pub(crate) fn durable(&self) -> u64 {
        // ORDERING: pairs with `publish_durable`; Acquire would do.
        self.durable.load(Ordering::SeqCst)
    }

    /// Called after bytes of the trail were rolled back, before others are published in their place.
    pub(crate) fn count_rollback(&self) {
        // ORDERING: comes before the store in `publish_written` that covers the new bytes. A follower that
        // loads that store sees this count as well, and drops what it had read ahead. Release there and
        // Acquire in the follower would do.
        self.rollbacks.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns how often bytes were rolled back. A follower loads a measure, then this number. If the number
    /// is what it was before the follower read ahead, the follower holds no rolled-back bytes below that
    /// measure.
    pub(crate) fn rollbacks(&self) -> u64 {
        // ORDERING: pairs with `count_rollback`; loaded after `written` or `durable`.
        self.rollbacks.load(Ordering::SeqCst)
    }

    /// Returns the position before which every entry is written.
    pub(crate) fn written_position(&self) -> u64 {
        // ORDERING: SeqCst for `want_durable` (see the module). `Ring::restore` needs Acquire: it sees the
        // ring as the drain left it.
        self.written_position.load(Ordering::SeqCst)
    }

    /// Returns the position before which every entry is durable.
    pub(crate) fn durable_position(&self) -> u64 {
        // ORDERING: pairs with `publish_durable`: room of these entries in the ring was released before.
        // Acquire would do.
        self.durable_position.load(Ordering::SeqCst)
    }

    /// Whether something is written that is not durable.
    pub(crate) fn is_dirty(&self) -> bool {
        self.written() > self.durable() || self.written_position() > self.durable_position()
    }

    /// Whether a caller waits for an fdatasync of what is written.
    pub(crate) fn is_sync_wanted(&self) -> bool {
        let is_due = |wanted: &AtomicU64, written: u64, durable: u64| {
            // ORDERING: SeqCst, after the store of the written position; see the module.
            wanted.load(Ordering::SeqCst) > durable && written > durable
        };
        is_due(&self.wanted, self.written_position(), self.durable_position())
            || is_due(&self.wanted_lines, self.written(), self.durable())
    }

    /// Whether a caller waited for what became durable last. What was accepted since is then likely to be
    /// waited for as well, and is synced without being asked for: the disk is not idle while callers are
    /// busy.
    pub(crate) fn is_in_demand(&self) -> bool {
        // ORDERING: a hint; Relaxed would do.
        self.in_demand.load(Ordering::SeqCst)
    }

    /// Whether a caller waits for an entry that is not written yet.
    pub(crate) fn is_write_wanted(&self) -> bool {
        // ORDERING: the drain loads this before it sleeps. If it misses a new value, the unpark in
        // `want_durable` that follows the new value ends that sleep; Relaxed would do.
        self.wanted.load(Ordering::SeqCst) > self.written_position()
    }

    /// Publishes how far the trail is written. Called under the appender's lock, so in order. Costs a wake-up
    /// only if the committer sleeps or a caller waits.
    pub(crate) fn publish_written(&self, reach: Reach) {
        // ORDERING: SeqCst stores, before the loads of `committer_parked` and `wanted` below; see the module.
        // They also publish the written bytes to followers, and the room released before them to
        // `Ring::restore`.
        self.written.store(reach.lines, Ordering::SeqCst);
        self.written_position.store(reach.position, Ordering::SeqCst);
        // ORDERING: SeqCst loads after the stores above. The swap makes one of several publishers wake the
        // committer.
        let is_parked = self.committer_parked.load(Ordering::SeqCst)
            && self.committer_parked.swap(false, Ordering::SeqCst);
        if is_parked || self.is_sync_wanted() {
            self.wake_committer();
        }
    }

    /// Publishes how far the trail is durable, and wakes everything that waits for it.
    pub(crate) fn publish_durable(&self, reach: Reach) {
        // ORDERING: hints; Relaxed would do. A caller that raises `wanted` after this load waits for a later
        // publication, or finds its entry durable.
        let is_in_demand = self.wanted.load(Ordering::SeqCst) > self.durable_position()
            || self.wanted_lines.load(Ordering::SeqCst) > self.durable();
        self.in_demand.store(is_in_demand, Ordering::SeqCst);
        // ORDERING: publishes that fdatasync has returned, and the room released before. The mutex below,
        // locked after these, orders them for every waiter; Release would do for the others.
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

    /// Wakes followers and `wait_until`: something they wait for changed, without any line having become
    /// durable.
    pub(crate) fn notify(&self) {
        // A waiter that checked its condition before the change is in the wait once the mutex is free.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Fails every waiter, now and later, with this error: nothing becomes durable any more.
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
        if let Some(writer) = self.remote_writer() {
            return writer.want_durable(position);
        }
        // ORDERING: SeqCst, before the load of the written position; see the module.
        self.wanted.fetch_max(position, Ordering::SeqCst);
        let drain = self.drain();
        match drain.as_ref().filter(|_| self.written_position() < position) {
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

    /// Waits until every line below `lines` is durable. They must be written already.
    pub(crate) fn wait_durable_lines(&self, lines: u64, deadline: Option<Instant>) -> Result<()> {
        // ORDERING: the mutex in `wake_committer` publishes it to the committer; Relaxed would do.
        self.wanted_lines.fetch_max(lines, Ordering::SeqCst);
        self.wake_committer();
        self.wait_until(deadline, "the trail to become durable", || self.durable() >= lines)
    }

    /// Returns the outcome if every entry before `position` is durable or the trail failed. Otherwise returns
    /// `None`, and wakes the waker when that changes.
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
        // After the waker was added: a publication in between wakes it, and this then asks for nothing new.
        self.want_durable(position);
        None
    }

    /// Waits until `done`, which a publication can make true. Checks it at the deadline once more.
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
                    return Err(Error::timed_out(format!("timed out while waiting for {what}")));
                }
                Some(left) => {
                    self.changed.wait_timeout(waiters, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Waits for any publication, at most until `deadline` if there is one. For followers, which check their
    /// condition again afterwards.
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

    /// Wakes the committer.
    pub(crate) fn wake_committer(&self) {
        self.lock().work_due = true;
        self.work.notify_all();
    }

    /// For the committer: sleeps until it is woken or until `deadline`. With `idle`, the next written line
    /// wakes it too.
    pub(crate) fn wait_for_work(&self, deadline: Option<Instant>, idle: bool, has_work: impl Fn() -> bool) {
        if idle {
            // ORDERING: SeqCst, before `has_work` loads the written lines; see the module.
            self.committer_parked.store(true, Ordering::SeqCst);
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
        // ORDERING: a publisher that misses this wakes the committer once too often; Relaxed would do.
        self.committer_parked.store(false, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
