//! Waiting for room in a full journal: for threads, and for tasks of any runtime.
//!
//! No wake-up is lost. A waiter W announces itself in `waiting` and then attempts to push, which loads the
//! ring's `HEAD`. A notifier N stores `HEAD` and then loads `waiting`. Between the two steps of each is a
//! sequentially consistent fence, and one of the fences comes first:
//! 1. W's fence first: N sees `waiting > 0` and goes on to wake W, see below.
//! 2. N's fence first: W's attempt sees the new `HEAD`, and succeeds if there is room.
//!
//! In the first case the mutex decides between the attempt and the sleep. N increments `notices` and takes
//! the wakers under it:
//! 1. A thread reads `notices` before its attempt, and sleeps only if the number is the same under the mutex.
//!    If N came in between, it attempts again; if N comes later, it is in the condition variable's wait and
//!    is woken.
//! 2. A task adds its waker before its attempt. If N took the wakers before that, the attempt sees the room
//!    that N announced; if N takes them later, it wakes the task.
//!
//! No lock is held during an attempt: it may sleep while the ring is paused, and the drain must be able to
//! notify meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The longest time a thread sleeps before it attempts again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(crate) struct Room {
    waiting: AtomicUsize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often waiters were notified.
    notices: u64,
    /// Of the tasks that wait.
    wakers: Vec<Waker>,
}

impl Room {
    /// Wakes all waiters: there is room, or they must check their deadlines. Without waiters it costs a fence
    /// and a load.
    pub(crate) fn notify(&self) {
        // ORDERING: SeqCst fence between the caller's store of HEAD and the load of `waiting`; pairs with the
        // fence in `Waiting::new`. Without it both sides could read the old value, and the waiter would sleep
        // beside free room.
        fence(Ordering::SeqCst);
        // ORDERING: the fence does the work; Relaxed would do.
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let wakers = {
            let mut state = self.lock();
            state.notices += 1;
            std::mem::take(&mut state.wakers)
        };
        self.freed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Blocks until `attempt` returns something, or until `deadline`.
    pub(crate) fn wait<T>(&self, deadline: Instant, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        let _waiting = Waiting::new(self);
        loop {
            let before = self.lock().notices;
            if let Some(done) = attempt() {
                return Some(done);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.sleep_unless_notified(before, left.min(LOOK_AGAIN));
        }
    }

    /// Sleeps until the next notification, unless one came since `before` was read. Returns whether it slept.
    fn sleep_unless_notified(&self, before: u64, longest: Duration) -> bool {
        let state = self.lock();
        let sleeps = state.notices == before;
        if sleeps {
            let woken = self.freed.wait_timeout(state, longest);
            drop(woken.unwrap_or_else(PoisonError::into_inner));
        }
        sleeps
    }

    /// Waits like [`Room::wait`], without blocking the thread. `None` after the deadline, which is compared
    /// with the clock when the task is woken.
    pub(crate) async fn wait_async<T>(
        &self,
        deadline: Instant,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let _waiting = Waiting::new(self);
        std::future::poll_fn(|context: &mut Context<'_>| {
            let mut state = self.lock();
            if !state.wakers.iter().any(|known| known.will_wake(context.waker())) {
                state.wakers.push(context.waker().clone());
            }
            drop(state);
            match attempt() {
                Some(done) => Poll::Ready(Some(done)),
                None if Instant::now() >= deadline => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The announcement of a waiter, withdrawn on drop: a task may be dropped while it waits.
struct Waiting<'r>(&'r Room);

impl<'r> Waiting<'r> {
    fn new(room: &'r Room) -> Self {
        // ORDERING: the fence does the work; Relaxed would do.
        room.waiting.fetch_add(1, Ordering::SeqCst);
        // ORDERING: SeqCst fence between the announcement and every later load of HEAD; pairs with the fence
        // in `notify`.
        fence(Ordering::SeqCst);
        Self(room)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // ORDERING: nothing depends on it; Relaxed would do. A notifier that sees the old number wakes
        // nobody.
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TIMEOUT;

    #[test]
    fn notify_does_not_wait_for_an_attempt() {
        let room = Room::default();
        let notify_during_attempt = || {
            std::thread::scope(|scope| scope.spawn(|| room.notify()).join().unwrap());
            Some(())
        };
        assert_eq!(room.wait(Instant::now() + TIMEOUT, notify_during_attempt), Some(()));
    }

    #[test]
    fn a_notice_during_an_attempt_is_not_lost() {
        let room = Room::default();
        let _waiting = Waiting::new(&room);
        let before = room.lock().notices;
        room.notify();
        assert!(!room.sleep_unless_notified(before, TIMEOUT));
    }
}
