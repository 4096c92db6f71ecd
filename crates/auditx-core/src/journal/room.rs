//! Where callers wait for room in a full journal: threads, and tasks of any runtime.

use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Nobody sleeps longer without looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(crate) struct Room {
    waiting: AtomicUsize,
    wakers: Mutex<Vec<Waker>>,
    freed: Condvar,
}

impl Room {
    /// There is room, or it is time to look at the clock. Costs a load where nobody waits.
    pub(crate) fn notify(&self) {
        // Whoever waits announced it before looking for room; room was made before looking for who waits.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let wakers = std::mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        self.freed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Blocks until `attempt` gives something, at most until `deadline`.
    pub(crate) fn wait<T>(&self, deadline: Instant, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        let _waiting = Waiting::new(self);
        loop {
            let wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(done) = attempt() {
                return Some(done);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let woken = self.freed.wait_timeout(wakers, left.min(LOOK_AGAIN));
            drop(woken.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The same for tasks: pending until somebody notifies; none where the time is over.
    pub(crate) async fn wait_async<T>(
        &self,
        deadline: Instant,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let _waiting = Waiting::new(self);
        std::future::poll_fn(|context: &mut Context<'_>| {
            self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(context.waker().clone());
            match attempt() {
                Some(done) => Poll::Ready(Some(done)),
                None if Instant::now() >= deadline => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// Announced as long as it lives: a task may be dropped while it waits.
struct Waiting<'r>(&'r Room);

impl<'r> Waiting<'r> {
    fn new(room: &'r Room) -> Self {
        room.waiting.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Self(room)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
