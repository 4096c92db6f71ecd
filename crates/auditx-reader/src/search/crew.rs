//! Threads that read the units of a trail side by side, and one that puts their findings in order.
//!
//! Each unit has a short queue of its own. A thread that takes a unit registers the queue, in order, so that what comes out is in
//! order whoever is faster; a thread that is far ahead waits. Memory is bounded by the queues, whatever the trail's size.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Cursor;
use super::units::{Unit, Units};
use crate::error::Error;

/// Findings of one unit that may wait.
const WAITING: usize = 2;

/// Units that may be finished and wait, for each thread.
const AHEAD: usize = 4;

/// What was found in a part of a unit.
#[derive(Default)]
pub(super) struct Findings {
    /// What was made of the entries, one after the other.
    pub(super) text: Vec<u8>,
    /// Each of them, where somebody needs to know.
    pub(super) marks: Vec<Mark>,
    pub(super) found: u64,
    /// Those of them that are not signed.
    pub(super) unsigned: u64,
    pub(super) complaints: Vec<Error>,
    /// The numbers of the lines that were read or skipped, in the order wanted.
    pub(super) seqs: Vec<Range<u64>>,
    /// What is not as it was signed.
    pub(super) doubt: Option<String>,
    /// Bytes of the trail's files that are done.
    pub(super) read: u64,
}

/// One entry among findings.
pub(super) struct Mark {
    /// Where its text ends.
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

/// Where a thread puts what it finds.
pub(super) struct Tray<'c> {
    queue: SyncSender<Findings>,
    stop: &'c AtomicBool,
}

impl Tray<'_> {
    /// Hands findings over; waits where too many wait already. Breaks off when nobody wants more.
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

struct Crew<'b> {
    work: Mutex<Work<'b>>,
    changed: Condvar,
    stop: AtomicBool,
    most_ahead: usize,
}

impl<'b> Crew<'b> {
    fn lock(&self) -> MutexGuard<'_, Work<'b>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next unit and its queue.
    fn take(&self) -> Option<(Unit, SyncSender<Findings>)> {
        let mut work = self.lock();
        while work.queues.len() >= self.most_ahead && !self.stop.load(Ordering::Relaxed) {
            work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        let unit = if self.stop.load(Ordering::Relaxed) { None } else { work.units.next() };
        let taken = unit.map(|unit| {
            let (sender, receiver) = sync_channel(WAITING);
            work.queues.push_back(receiver);
            (unit, sender)
        });
        work.has_ended |= taken.is_none();
        drop(work);
        self.changed.notify_all();
        taken
    }

    /// The queue of the oldest unit that was not merged.
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

    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut work = self.lock();
        work.has_ended = true;
        work.queues.clear();
        drop(work);
        self.changed.notify_all();
    }
}

/// Ends the crew where it is dropped, so that no thread waits for ever for one that panicked.
struct EndOnDrop<'c, 'b>(&'c Crew<'b>);

impl Drop for EndOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Reads every unit with so many threads, each with a state of its own, and merges what they find in order until `merge` breaks off.
/// Gives the states.
pub(super) fn run<S: Send>(
    units: Units<'_>,
    threads: usize,
    begin: &(impl Fn() -> S + Sync),
    read: &(impl Fn(&mut S, Unit, &Tray<'_>) + Sync),
    mut merge: impl FnMut(Findings) -> ControlFlow<()>,
) -> Vec<S> {
    let work = Work { units, queues: VecDeque::new(), has_ended: false };
    let crew = Crew {
        work: Mutex::new(work),
        changed: Condvar::new(),
        stop: AtomicBool::new(false),
        most_ahead: threads * AHEAD,
    };
    let work = || {
        let mut state = begin();
        let end = EndOnDrop(&crew);
        while let Some((unit, queue)) = crew.take() {
            read(&mut state, unit, &Tray { queue, stop: &crew.stop });
        }
        // What the others read is still wanted.
        std::mem::forget(end);
        state
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let end = EndOnDrop(&crew);
        let mut is_wanted = ControlFlow::Continue(());
        while is_wanted.is_continue()
            && let Some(queue) = crew.oldest()
        {
            is_wanted = queue.into_iter().try_for_each(&mut merge);
        }
        drop(end);
        let join = |worker: std::thread::ScopedJoinHandle<'_, S>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    })
}
