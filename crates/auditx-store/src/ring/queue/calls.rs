//! Calls between processes: a producer calls the writer, and the writer tells the producers.
//!
//! Both are futexes in the ring's control page, shared between processes.
//!
//! # Why no call is lost
//!
//! *Calling the writer* (`call` against `wait_for_call`). The producer stores what it wants, increments CALLS
//! and wakes. The writer reads CALLS, looks at what is wanted, and waits only if CALLS still has the value it
//! read: the kernel compares them while it holds the futex's lock.
//!
//! *Waking the drain* (`call_drain`). If the drain announced its sleep in TAIL (`Queue::park`), it stored SLEEPING
//! before, so the producer that finds the announcement finds SLEEPING, too. Its other sleeps last a few
//! milliseconds: a producer that just misses one waits no longer than that.
//!
//! *Telling the producers* (`tell` against `wait_for_news`). A producer that needs news stores NEWS_WANTED and
//! then looks at the state. The writer stores the state and then takes NEWS_WANTED. All four are SeqCst, so
//! the producer sees the new state, or the writer sees that news are wanted, increments NEWS and wakes. The
//! producer's thread has read NEWS before it looked, so its wait ends at once if that happened in between.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::thread::{Timespec, futex};

use super::super::layout::{CALLS, NEWS, NEWS_WANTED, SLEEPING};
use super::super::map::Map;
use super::Queue;

impl Queue<Map> {
    /// Calls the process that writes the trail.
    pub(crate) fn call(&self) {
        wake(self.memory.futex(CALLS));
    }

    /// Calls the process that writes the trail if its drain sleeps.
    pub(crate) fn call_drain(&self) {
        // ORDERING: see the module.
        if self.control(SLEEPING).load(Ordering::SeqCst) != 0 {
            self.call();
        }
    }

    /// Stores whether the drain sleeps, or is about to.
    pub(crate) fn set_sleeping(&self, is_sleeping: bool) {
        // ORDERING: stored before `park`; see the module.
        self.control(SLEEPING).store(u64::from(is_sleeping), Ordering::SeqCst);
    }

    /// Returns a number to be passed to [`Queue::wait_for_call`].
    pub(crate) fn calls(&self) -> u32 {
        self.memory.futex(CALLS).load(Ordering::SeqCst)
    }

    /// Waits until a producer has called since [`Queue::calls`] returned `seen`, at most this long.
    pub(crate) fn wait_for_call(&self, seen: u32, at_most: Duration) {
        wait(self.memory.futex(CALLS), seen, at_most);
    }

    /// Announces that a thread of this process waits for news.
    pub(crate) fn want_news(&self) {
        self.control(NEWS_WANTED).store(1, Ordering::SeqCst);
        // ORDERING: before the loads of the state that follow, whatever their ordering; see the module.
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    /// Wakes the producers if one of them waits for news. Called after the news were stored.
    pub(crate) fn tell(&self) {
        // ORDERING: the caller has stored the news with SeqCst or Release; the fence keeps the load after
        // them. See the module.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.control(NEWS_WANTED).load(Ordering::SeqCst) != 0 {
            self.control(NEWS_WANTED).store(0, Ordering::SeqCst);
            // A producer that stored NEWS_WANTED between the load and the store is woken by this.
            self.tell_all();
        }
    }

    /// Wakes the producers.
    pub(crate) fn tell_all(&self) {
        wake(self.memory.futex(NEWS));
    }

    /// Returns a number to be passed to [`Queue::wait_for_news`].
    pub(crate) fn news(&self) -> u32 {
        self.memory.futex(NEWS).load(Ordering::SeqCst)
    }

    /// Waits until the writer has told something since [`Queue::news`] returned `seen`, at most this long.
    pub(crate) fn wait_for_news(&self, seen: u32, at_most: Duration) {
        wait(self.memory.futex(NEWS), seen, at_most);
    }
}

fn wake(word: &AtomicU32) {
    word.fetch_add(1, Ordering::SeqCst);
    // It fails only for an invalid address.
    futex::wake(word, futex::Flags::empty(), i32::MAX.unsigned_abs()).unwrap_or(0);
}

fn wait(word: &AtomicU32, seen: u32, at_most: Duration) {
    let time = Timespec::try_from(at_most).ok();
    // Whatever ends the wait, the caller looks at the state again.
    futex::wait(word, futex::Flags::empty(), seen, time.as_ref()).unwrap_or(());
}
