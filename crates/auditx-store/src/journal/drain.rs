//! The drain: the thread that moves entries from the ring to the trail, in the order of their reservation,
//! many with one write(2).
//!
//! It sleeps in `park_timeout`, whose token makes every wake-up count: an `unpark` that comes before the
//! sleep ends it at once.
//! 1. A push: see [`Queue::park`]. Only the sleep of an idle drain is announced; the others are a few
//!    milliseconds long.
//! 2. A caller that waits for durability: it raises the wanted position and then unparks. The drain loads the
//!    wanted position before each sleep. If it misses the new one, the token is there before its sleep or
//!    ends it.
//! 3. Stopping: the flag is stored before the unpark, and loaded in each round after the sleep.
//! 4. Refused entries: the count is stored before the unpark, and loaded in each round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use auditx_format::clock::Timestamp;
use auditx_format::{Error, Result};

use super::{Ring, SharedAppender, Unreleased};
use crate::appender::{Batch, Missed};
use crate::config::Durability;
use crate::kill_point::kill_point;
use crate::ring::Next;

/// The sleep between two rounds while callers wait for receipts: then the next fdatasync covers what was
/// accepted meanwhile.
const SHORT_SLEEP: Duration = Duration::from_micros(100);
/// The sleep while entries come and no caller waits: each round costs a switch of threads, however little it
/// finds. A caller that begins to wait wakes the drain.
const USUAL_SLEEP: Duration = Duration::from_millis(4);
const LONG_SLEEP: Duration = Duration::from_millis(5);

/// After this long without an entry it sleeps until it is woken.
const IDLE: Duration = Duration::from_secs(1);

/// The drain waits for a thread that reserved room and does not finish, and reports it after this long.
const STALLED: Duration = Duration::from_secs(1);

/// A failed write is tried again after this pause, which grows with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How far ahead of the tail pages are touched, so that producers do not wait for page faults.
const AHEAD: u64 = 512 * 1024;

/// A larger batch shows that entries come fast.
const BUSY: u64 = 512 * 1024;

#[derive(Debug)]
pub(crate) struct Drain {
    ring: Arc<Ring>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drain {
    /// Starts the thread. `unreleased` are entries at the head of the ring that the last writer wrote.
    pub(crate) fn start(
        ring: Arc<Ring>,
        appender: Arc<SharedAppender>,
        unreleased: Unreleased,
    ) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut drain_loop = DrainLoop::new(ring.clone(), appender, stopping.clone(), unreleased);
        let thread = std::thread::Builder::new()
            .name("auditx-drain".to_owned())
            .spawn(move || drain_loop.run())
            .map_err(|error| Error::storage("cannot start the drain's thread", "auditx-drain", error))?;
        ring.trail.watermark.set_drain_thread(thread.thread().clone());
        Ok(Self { ring, stopping, thread: Some(thread) })
    }

    /// Ends the thread. What it has not written stays in the ring for the next open.
    pub(crate) fn stop(&mut self) {
        // ORDERING: stored before the unpark, which publishes it to the drain: Relaxed would do.
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                self.ring.trail.app_log.report("the drain's thread panicked");
            }
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The state of the drain's thread.
struct DrainLoop {
    ring: Arc<Ring>,
    appender: Arc<SharedAppender>,
    stopping: Arc<AtomicBool>,
    /// Everything before this position is in the trail.
    position: u64,
    touched: u64,
    unreleased: Unreleased,
    sleep_time: Duration,
    /// The durable position before the last sleep.
    durable: u64,
    busy_at: Instant,
    /// Refused entries that the appender knows of and that no written gap record covers yet.
    reported: u64,
    /// Since when a thread has not finished, and whether that was reported.
    stalled: Option<(Instant, bool)>,
    pause: Option<Duration>,
}

impl DrainLoop {
    fn new(
        ring: Arc<Ring>,
        appender: Arc<SharedAppender>,
        stopping: Arc<AtomicBool>,
        unreleased: Unreleased,
    ) -> Self {
        let position = ring.queue().head();
        Self {
            ring,
            appender,
            stopping,
            position,
            touched: position,
            unreleased,
            sleep_time: SHORT_SLEEP,
            durable: position,
            busy_at: Instant::now(),
            reported: 0,
            stalled: None,
            pause: None,
        }
    }

    fn run(&mut self) {
        self.ring.queue().populate();
        // ORDERING: see `Drain::stop`.
        while !self.stopping.load(Ordering::SeqCst) {
            let before = self.position;
            match self.drain_batch() {
                Ok(()) => self.clear_failure(),
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
                self.sleep(taken > 0);
            } else {
                self.sleep_time = SHORT_SLEEP;
            }
        }
    }

    /// Moves entries into the trail, as many as one write takes.
    fn drain_batch(&mut self) -> Result<()> {
        let ring = self.ring.clone();
        let (queue, refused) = (ring.queue(), ring.refused());
        // After a failed fdatasync it is lower than before.
        self.position = ring.trail.watermark.written_position();
        let mut next = queue.next(self.position);
        // For a record that nobody will finish the drain does not wait.
        while next == Next::Unfinished && queue.skip_dead(self.position, |slot| ring.file().is_alive(slot)) {
            next = queue.next(self.position);
        }
        self.report_stall(next);
        if refused.is_none() && matches!(next, Next::Empty | Next::Unfinished) {
            return Ok(());
        }
        let (due, stop_at) = match refused {
            Some((at, missed)) if self.position >= at => (Some(missed), u64::MAX),
            Some((at, _)) => (None, at),
            None => (None, u64::MAX),
        };
        let shared = self.appender.clone();
        let mut appender = shared.lock();
        if appender.reach().position != self.position {
            return Ok(());
        }
        if let Some(mut missed) = due {
            // After a failed write the appender has them already.
            missed.count -= self.reported;
            self.reported += missed.count;
            appender.add_missed(missed);
        }
        let mut batch = appender.batch()?;
        let Taken { at, damaged } = self.fill(&mut batch, stop_at);
        batch.write()?;
        if self.reported > 0 {
            ring.subtract_refused(std::mem::take(&mut self.reported));
        }
        if damaged > 0 {
            appender.add_missed(overwritten(damaged, Timestamp::of(self.ring.trail.config.clock.now())));
        }
        kill_point("drain: written");
        appender.advance_to(at);
        let reach = appender.reach();
        let watermark = &ring.trail.watermark;
        let is_released = ring.trail.config.durability == Durability::Os;
        // Room is released before the position is published: `Ring::restore` copies the ring once it sees it,
        // and would lose a release that comes later. A ring whose last release is lost stays full.
        ring.publish_written(reach, is_released);
        watermark.publish_written(reach);
        drop(appender);
        self.position = at;
        // Until they are released: after a failed fdatasync they may come again.
        self.unreleased.forget_before(ring.queue().head());
        if is_released {
            ring.room.notify();
        } else if ring.needs_room() {
            watermark.wake_committer();
        }
        kill_point("drain: published");
        Ok(())
    }

    /// Copies entries before `stop_at` into a batch until it is full.
    fn fill(&self, batch: &mut Batch<'_>, stop_at: u64) -> Taken {
        let queue = self.ring.queue();
        // Under `Os` no crcs are stored: room is freed at once, and nothing is promised for a power loss.
        let is_checked = self.ring.trail.config.durability != Durability::Os;
        let mut taken = Taken { at: self.position, damaged: 0 };
        while taken.at < stop_at && !batch.is_full() {
            let (len, end) = match queue.next(taken.at) {
                Next::Entry { len, end } => (len, end),
                Next::Skip { end } => {
                    taken.at = end;
                    continue;
                }
                Next::Empty | Next::Unfinished => break,
            };
            let position = std::mem::replace(&mut taken.at, end);
            let out = batch.begin_entry();
            let begin = out.len();
            let is_whole = if is_checked {
                queue.copy_checked(position, len, out)
            } else {
                queue.copy(position, len, out);
                true
            };
            if is_whole && self.unreleased.is_written(&out[begin..]) {
                batch.cancel_entry();
            } else if is_whole {
                batch.end_entry(end);
            } else {
                batch.cancel_entry();
                taken.damaged += 1;
            }
        }
        taken
    }

    /// Reports a thread that reserved room and does not finish. The drain waits for it, since later entries
    /// must come after it.
    fn report_stall(&mut self, next: Next) {
        if next != Next::Unfinished {
            self.stalled = None;
            return;
        }
        let (since, is_reported) = self.stalled.get_or_insert_with(|| (Instant::now(), false));
        if since.elapsed() >= STALLED && !std::mem::replace(is_reported, true) {
            let position = self.position;
            self.ring.trail.app_log.report(&format!(
                "a thread that is recording an entry (position {position}) has not finished for a second; \
                 later entries wait for it"
            ));
        }
    }

    /// Reports a failed write and pauses. Returns true if nothing can ever be written again.
    fn failed(&mut self, error: &Error) -> bool {
        let is_new = self.ring.write_error().replace(error.duplicate()).is_none();
        if is_new {
            let what = "entries wait in the journal, because the trail cannot be written";
            self.ring.trail.app_log.report(&format!("{what}: {error}"));
        }
        if self.appender.lock().check().is_err() {
            self.ring.poison();
            return true;
        }
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        self.pause = Some(pause);
        self.ring.room.notify();
        std::thread::park_timeout(pause);
        false
    }

    fn clear_failure(&mut self) {
        if self.pause.take().is_some() {
            *self.ring.write_error() = None;
            self.ring.trail.app_log.report("entries are written again");
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

    fn sleep(&mut self, has_taken: bool) {
        let ring = &self.ring;
        // Waiters with a deadline compare it with the clock.
        ring.room.notify();
        let watermark = &ring.trail.watermark;
        if watermark.is_write_wanted() && self.stalled.is_none() {
            std::thread::yield_now();
            return;
        }
        // Callers that waited for it go on now, and what they record should be written while the next
        // fdatasync runs.
        let durable = watermark.durable_position();
        if std::mem::replace(&mut self.durable, durable) != durable && watermark.is_in_demand() {
            self.sleep_time = SHORT_SLEEP;
        }
        let is_idle = !has_taken && self.busy_at.elapsed() >= IDLE;
        ring.queue().set_sleeping(true);
        if is_idle && ring.queue().park(self.position) {
            std::thread::park_timeout(Duration::from_secs(60));
            ring.queue().unpark();
            self.sleep_time = SHORT_SLEEP;
        } else {
            std::thread::park_timeout(self.sleep_time);
            self.sleep_time = if !has_taken {
                (self.sleep_time * 2).min(LONG_SLEEP)
            } else if watermark.is_in_demand() {
                SHORT_SLEEP
            } else {
                USUAL_SLEEP
            };
        }
        ring.queue().set_sleeping(false);
    }
}

/// What a batch took from the ring.
struct Taken {
    /// The position after the last entry that was taken.
    at: u64,
    damaged: u64,
}

fn overwritten(count: u64, now: Timestamp) -> Missed {
    Missed {
        count,
        first: now,
        last: now,
        why: "their bytes were changed in the journal's memory".to_owned(),
    }
}
