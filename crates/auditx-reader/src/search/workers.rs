//! A pool of threads that read the units of a trail in parallel, and the merge of their findings in order.
//!
//! Each unit has a short queue of its own. A thread that takes a unit registers its queue in unit order, so
//! the output is in order no matter which thread is faster; a thread that is far ahead blocks. The queues
//! bound the memory, regardless of the size of the trail.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Cursor;
use super::units::{Unit, Units};
use crate::error::Error;

/// The capacity of a unit's queue.
const QUEUE_LEN: usize = 2;

/// The number of unmerged units per thread at which threads stop taking more.
const UNITS_AHEAD: usize = 4;

/// What was found in a unit, or in a part of it.
#[derive(Default)]
pub(super) struct Findings {
    /// What the mapper wrote for the entries, one after the other.
    pub(super) text: Vec<u8>,
    /// The position of each entry, if positions are needed.
    pub(super) marks: Vec<Mark>,
    pub(super) found: u64,
    /// The number of entries that are not signed yet.
    pub(super) unsigned: u64,
    pub(super) errors: Vec<Error>,
    /// The seqs of the lines that were read or skipped, in search order.
    pub(super) seqs: Vec<Range<u64>>,
    /// Why the trail must be verified, if what was read differs from what was signed.
    pub(super) verify_reason: Option<String>,
    /// The number of bytes of the trail's files that are done.
    pub(super) read: u64,
}

/// The position of an entry among findings.
pub(super) struct Mark {
    /// The end of its text.
    pub(super) end: usize,
    pub(super) seq: Option<u64>,
    pub(super) path: Arc<Path>,
    pub(super) offset: u64,
    pub(super) is_unsigned: bool,
}

impl Mark {
    pub(super) fn cursor(&self) -> Cursor {
        Cursor::of(self.seq, &self.path, self.offset)
    }
}

/// The sending half of a unit's queue.
pub(super) struct Output<'c> {
    queue: SyncSender<Findings>,
    stop: &'c AtomicBool,
}

impl Output<'_> {
    /// Sends findings; blocks while the queue is full. Breaks if the search was stopped.
    pub(super) fn put(&self, findings: Findings) -> ControlFlow<()> {
        if self.queue.send(findings).is_err() || self.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

struct Work<'b> {
    units: Units<'b>,
    queues: VecDeque<Receiver<Findings>>,
    has_ended: bool,
}

struct Pool<'b> {
    work: Mutex<Work<'b>>,
    changed: Condvar,
    stop: AtomicBool,
    max_ahead: usize,
}

impl<'b> Pool<'b> {
    fn lock(&self) -> MutexGuard<'_, Work<'b>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next unit and registers its queue. Returns `None` at the end, or if the search was stopped.
    fn take(&self) -> Option<(Unit, SyncSender<Findings>)> {
        let mut work = self.lock();
        while work.queues.len() >= self.max_ahead && !self.stop.load(Ordering::Relaxed) {
            work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        let unit = if self.stop.load(Ordering::Relaxed) { None } else { work.units.next() };
        let taken = unit.map(|unit| {
            let (sender, receiver) = sync_channel(QUEUE_LEN);
            work.queues.push_back(receiver);
            (unit, sender)
        });
        work.has_ended |= taken.is_none();
        drop(work);
        self.changed.notify_all();
        taken
    }

    /// Waits for the queue of the first unit that was not merged yet.
    fn oldest(&self) -> Option<Receiver<Findings>> {
        let mut work = self.lock();
        loop {
            if let Some(queue) = work.queues.pop_front() {
                drop(work);
                self.changed.notify_all();
                return Some(queue);
            }
            if work.has_ended {
                return None;
            }
            work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Stops all threads. A thread that is about to wait sees the flag or the notification: it checks the
    /// flag under the lock, which is taken here after the flag is set and before the threads are notified.
    fn shut_down(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut work = self.lock();
        work.has_ended = true;
        work.queues.clear();
        drop(work);
        self.changed.notify_all();
    }
}

/// Stops the pool when it is dropped, so that no thread waits for one that panicked.
struct StopOnDrop<'c, 'b>(&'c Pool<'b>);

impl Drop for StopOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

/// Reads all units with `threads` threads, each with its own state, and merges their findings in order until
/// `merge` breaks. Returns the states.
pub(super) fn run<S: Send>(
    units: Units<'_>,
    threads: usize,
    init: &(impl Fn() -> S + Sync),
    read: &(impl Fn(&mut S, Unit, &Output<'_>) + Sync),
    mut merge: impl FnMut(Findings) -> ControlFlow<()>,
) -> Vec<S> {
    let work = Work { units, queues: VecDeque::new(), has_ended: false };
    let pool = Pool {
        work: Mutex::new(work),
        changed: Condvar::new(),
        stop: AtomicBool::new(false),
        max_ahead: threads * UNITS_AHEAD,
    };
    let work = || {
        let mut state = init();
        let guard = StopOnDrop(&pool);
        while let Some((unit, queue)) = pool.take() {
            read(&mut state, unit, &Output { queue, stop: &pool.stop });
        }
        // The other threads continue after a regular end.
        std::mem::forget(guard);
        state
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let guard = StopOnDrop(&pool);
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue()
            && let Some(queue) = pool.oldest()
        {
            flow = queue.into_iter().try_for_each(&mut merge);
        }
        drop(guard);
        let join = |worker: std::thread::ScopedJoinHandle<'_, S>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    })
}
