//! The thread that empties the ring into the trail, in the order of reservation, many entries with one write(2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Journal, Ring};
use crate::appender::Missed;
use crate::clock::Timestamp;
use crate::config::Durability;
use crate::error::{Error, Result};
use crate::kill_point::kill_point;
use crate::ring::{Map, Next, Queue};

/// The rest between two looks while somebody waits for receipts: then the next fdatasync finds written what was accepted meanwhile.
const SHORT_REST: Duration = Duration::from_micros(100);
/// The rest while entries come and nobody waits: each look costs a switch of threads, however little it finds. Whoever begins to wait
/// wakes the drain.
const USUAL_REST: Duration = Duration::from_millis(1);
const LONG_REST: Duration = Duration::from_millis(5);

/// Without any entry for this long it sleeps until it is woken.
const IDLE: Duration = Duration::from_secs(1);

/// A thread that reserved room and does not finish is waited for, and reported after this long.
const STALLED: Duration = Duration::from_secs(1);

/// After a failed write it is tried again, each time later.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Pages ahead of the callers are touched, so that they do not wait for page faults.
const AHEAD: u64 = 256 * 1024;

/// A batch of more than this shows that entries come fast.
const BUSY: u64 = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Drain {
    ring: Arc<Ring>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drain {
    pub(crate) fn start(ring: Arc<Ring>) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut shift = Shift::new(ring.clone(), stopping.clone());
        let thread =
            std::thread::Builder::new()
                .name("auditx-drain".to_owned())
                .spawn(move || shift.run())
                .map_err(|error| Error::storage("cannot start the drain's thread", "auditx-drain", error))?;
        ring.means.appender.watermark().drained_by(thread.thread().clone());
        Ok(Self { ring, stopping, thread: Some(thread) })
    }

    /// Ends the thread. What it has not written stays in the ring for the next open.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                self.ring.means.app_log.trouble("the drain's thread panicked");
            }
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread's own state.
struct Shift {
    ring: Arc<Ring>,
    stopping: Arc<AtomicBool>,
    /// Everything before this position is in the trail.
    position: u64,
    touched: u64,
    /// Entries before this position were counted.
    counted: u64,
    rest: Duration,
    /// What was durable when it last rested.
    durable: u64,
    busy_at: Instant,
    /// Refused entries that the appender knows of and the trail does not yet.
    handed: u64,
    /// Since when a thread does not finish, and whether that was reported.
    stalled: Option<(Instant, bool)>,
    pause: Option<Duration>,
}

impl Shift {
    fn new(ring: Arc<Ring>, stopping: Arc<AtomicBool>) -> Self {
        let position = ring.queue().head();
        Self {
            ring,
            stopping,
            position,
            touched: position,
            counted: position,
            rest: SHORT_REST,
            durable: position,
            busy_at: Instant::now(),
            handed: 0,
            stalled: None,
            pause: None,
        }
    }

    fn run(&mut self) {
        self.ring.queue().populate();
        while !self.stopping.load(Ordering::SeqCst) {
            let before = self.position;
            match self.take() {
                Ok(()) => self.recovered(),
                Err(error) => {
                    if self.failed(&error) {
                        return;
                    }
                    continue;
                }
            }
            self.touch_ahead();
            let taken = self.position.saturating_sub(before);
            if taken > 0 {
                self.busy_at = Instant::now();
            }
            if taken < BUSY {
                self.rest(taken > 0);
            } else {
                self.rest = SHORT_REST;
            }
        }
    }

    /// Takes what is there into the trail, as much as one write takes.
    fn take(&mut self) -> Result<()> {
        let ring = self.ring.clone();
        let (queue, refused) = (ring.queue(), ring.refused());
        // Behind an fdatasync that failed it is less than before.
        self.position = ring.means.appender.watermark().written_position();
        let next = queue.next(self.position);
        self.watch(next);
        if refused.is_none() && matches!(next, Next::Empty | Next::Unfinished) {
            return Ok(());
        }
        let (due, stop_at) = match refused {
            Some((at, missed)) if self.position >= at => (Some(missed), u64::MAX),
            Some((at, _)) => (None, at),
            None => (None, u64::MAX),
        };
        let mut appender = ring.means.appender.lock();
        if appender.reach().position != self.position {
            return Ok(());
        }
        if let Some(mut missed) = due {
            // A write that failed has told the appender, and nobody else.
            missed.count -= self.handed;
            self.handed += missed.count;
            appender.miss(missed);
        }
        let mut batch = Batch {
            queue,
            at: self.position,
            stop_at,
            counted: self.counted,
            is_checked: ring.means.durability != Durability::Os,
            fresh: 0,
            damaged: 0,
        };
        appender.append_all(&mut |_, out| batch.next(out))?;
        let Batch { at, fresh, damaged, .. } = batch;
        if self.handed > 0 {
            ring.told_of(std::mem::take(&mut self.handed));
        }
        if damaged > 0 {
            appender.miss(scribbled_on(damaged, Timestamp::of(self.ring.means.clock.now())));
        }
        kill_point("drain: written");
        appender.pass(at);
        let reach = appender.reach();
        ring.means.appender.watermark().publish_written(reach);
        self.counted = self.counted.max(at);
        ring.taken.fetch_add(fresh, Ordering::SeqCst);
        drop(appender);
        self.position = at;
        if self.ring.means.durability == Durability::Os {
            self.ring.release(reach);
        }
        kill_point("drain: published");
        Ok(())
    }

    /// Reports a thread that reserved room and does not finish. It is waited for: what follows it must come after it.
    fn watch(&mut self, next: Next) {
        if next != Next::Unfinished {
            self.stalled = None;
            return;
        }
        let (since, is_reported) = self.stalled.get_or_insert_with(|| (Instant::now(), false));
        if since.elapsed() >= STALLED && !std::mem::replace(is_reported, true) {
            self.ring.means.app_log.trouble(&format!(
                "a thread that is recording an entry (position {}) has not finished for a second; entries after it wait",
                self.position
            ));
        }
    }

    /// Whether nothing can ever be written again.
    fn failed(&mut self, error: &Error) -> bool {
        let is_news = self.ring.trouble().replace(error.duplicate()).is_none();
        if is_news {
            self.ring.means.app_log.trouble(&format!("entries wait in the journal: {error}"));
        }
        if self.ring.means.appender.lock().check().is_err() {
            self.ring.poison();
            return true;
        }
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        self.pause = Some(pause);
        self.ring.room.notify();
        std::thread::park_timeout(pause);
        false
    }

    fn recovered(&mut self) {
        if self.pause.take().is_some() {
            *self.ring.trouble() = None;
            self.ring.means.app_log.trouble("entries are written again");
        }
    }

    fn touch_ahead(&mut self) {
        let queue = self.ring.queue();
        let tail = queue.tail();
        let to = (tail + AHEAD).min(queue.head() + queue.capacity());
        let from = self.touched.max(tail);
        if to > from {
            queue.touch(from, to);
            self.touched = to;
        }
    }

    fn rest(&mut self, has_taken: bool) {
        let ring = &self.ring;
        // Those who wait with a deadline look at the clock.
        ring.room.notify();
        let watermark = ring.means.appender.watermark();
        if watermark.is_write_wanted() {
            std::thread::yield_now();
            return;
        }
        // Those who waited for it go on now, and what they record is to be written while the next fdatasync runs.
        let durable = watermark.durable_position();
        if std::mem::replace(&mut self.durable, durable) != durable && watermark.is_in_demand() {
            self.rest = SHORT_REST;
        }
        let is_idle = !has_taken && self.busy_at.elapsed() >= IDLE;
        if is_idle && ring.queue().park(self.position) {
            std::thread::park_timeout(Duration::from_secs(60));
            ring.queue().unpark();
            self.rest = SHORT_REST;
        } else {
            std::thread::park_timeout(self.rest);
            self.rest = if !has_taken {
                (self.rest * 2).min(LONG_REST)
            } else if watermark.is_in_demand() {
                SHORT_REST
            } else {
                USUAL_REST
            };
        }
    }
}

/// Entries on their way into one write.
struct Batch<'q> {
    queue: &'q Queue<Map>,
    at: u64,
    stop_at: u64,
    counted: u64,
    /// Whether crcs are noted. Under `Os` room is free again at once, and nothing is promised for a power loss.
    is_checked: bool,
    /// Entries that were not counted before.
    fresh: u64,
    damaged: u64,
}

impl Batch<'_> {
    /// Appends the next entry to `out`; gives the position behind it.
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u64> {
        while self.at < self.stop_at {
            let (len, end) = match self.queue.next(self.at) {
                Next::Entry { len, end } => (len, end),
                Next::Skip { end } => {
                    self.at = end;
                    continue;
                }
                Next::Empty | Next::Unfinished => return None,
            };
            let position = std::mem::replace(&mut self.at, end);
            if !self.is_checked {
                self.queue.copy(position, len, out);
            } else if !self.queue.copy_checked(position, len, out) {
                out.truncate(out.len() - len);
                self.damaged += 1;
                continue;
            }
            self.fresh += u64::from(end > self.counted);
            return Some(end);
        }
        None
    }
}

fn scribbled_on(count: u64, now: Timestamp) -> Missed {
    Missed {
        count,
        first: now,
        last: now,
        why: "their bytes were changed in the journal's memory".to_owned(),
    }
}
