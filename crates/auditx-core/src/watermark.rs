//! How far the trail is: written, durable, or poisoned; and everybody who waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use crate::error::{Error, Kind, Result};

/// Counts of lines: every line with a lower sequence number is written, or durable.
#[derive(Debug, Default)]
pub(crate) struct Watermark {
    written: AtomicU64,
    durable: AtomicU64,
    /// Everything below it has somebody waiting for its fdatasync.
    wanted: AtomicU64,
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
    pub(crate) fn new(recovered: u64) -> Self {
        Self {
            written: recovered.into(),
            durable: recovered.into(),
            wanted: recovered.into(),
            ..Self::default()
        }
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// Whether somebody waits for lines that are not durable yet.
    pub(crate) fn is_sync_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) > self.durable()
    }

    /// Called by whoever wrote, in order. Costs a wake-up only when the writer sleeps.
    pub(crate) fn publish_written(&self, next_seq: u64) {
        self.written.store(next_seq, Ordering::SeqCst);
        if self.writer_parked.load(Ordering::SeqCst) && self.writer_parked.swap(false, Ordering::SeqCst) {
            self.wake_writer();
        }
    }

    pub(crate) fn publish_durable(&self, next_seq: u64) {
        self.durable.fetch_max(next_seq, Ordering::SeqCst);
        let durable = self.durable();
        let mut waiters = self.lock();
        let (ready, waiting) =
            std::mem::take(&mut waiters.wakers).into_iter().partition(|(end, _)| *end <= durable);
        waiters.wakers = waiting;
        drop(waiters);
        self.changed.notify_all();
        let ready: Vec<(u64, Waker)> = ready;
        for (_, waker) in ready {
            waker.wake();
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

    /// Asks for an fdatasync of every line below `end`.
    pub(crate) fn want_durable(&self, end: u64) {
        self.wanted.fetch_max(end, Ordering::SeqCst);
        self.wake_writer();
    }

    /// Waits until every line below `end` is durable.
    pub(crate) fn wait_durable(&self, end: u64, deadline: Option<Instant>) -> Result<()> {
        if self.durable() >= end {
            return Ok(());
        }
        self.want_durable(end);
        self.wait_until(deadline, "the entries to become durable", || self.durable() >= end)
    }

    /// Durable already; or the waker is woken when that changes.
    pub(crate) fn poll_durable(&self, end: u64, waker: &Waker) -> Option<Result<()>> {
        if self.durable() >= end {
            return Some(Ok(()));
        }
        let mut waiters = self.lock();
        if self.durable() >= end {
            return Some(Ok(()));
        }
        if let Some(poison) = &waiters.poison {
            return Some(Err(poison.duplicate()));
        }
        if !waiters.wakers.iter().any(|(other, known)| *other == end && known.will_wake(waker)) {
            waiters.wakers.push((end, waker.clone()));
        }
        drop(waiters);
        self.want_durable(end);
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
    pub(crate) fn wake_writer(&self) {
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
