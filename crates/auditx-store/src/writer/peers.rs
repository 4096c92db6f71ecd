//! The thread through which the processes that share a trail deal with each other.
//!
//! In the process that writes the trail it passes on what others ask for: an fdatasync, or waking the drain.
//! In the others it repeats what the writer publishes, for the threads and tasks that wait here, and tries to
//! become the writer. A lock of a dead process is free at once, but nobody is told; so it tries several times
//! a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use auditx_format::{Error, Result};

use super::Shared;
use super::open::take_over;
use crate::journal::Ring;
use crate::{lock, watch};

/// How often a process that does not write tries to become the writer.
const TRY: Duration = Duration::from_millis(25);

/// How soon it tries again when it was woken: the writer may just have ended.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// The pause after an attempt failed for another reason than the lock; it doubles with each failure.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// In the writer, the longest sleep. A call through a ring that was restored meanwhile does not end it.
const LISTEN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Peers {
    shared: Arc<Shared>,
    ring: Arc<Ring>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peers {
    pub(super) fn start(shared: Arc<Shared>, ring: Arc<Ring>) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut peers_loop = PeersLoop {
            shared: shared.clone(),
            ring: ring.clone(),
            stopping: stopping.clone(),
            try_at: Instant::now(),
            pause: Duration::ZERO,
            checked_at: Instant::now(),
            answered: None,
            has_compared: false,
            failure: None,
        };
        let thread = std::thread::Builder::new()
            .name("auditx-peers".to_owned())
            .spawn(move || peers_loop.run())
            .map_err(|error| Error::storage("cannot start a thread", "auditx-peers", error))?;
        Ok(Self { shared, ring, stopping, thread: Some(thread) })
    }

    /// Ends the thread. It may become the writer before it ends.
    pub(super) fn stop(&mut self) {
        // ORDERING: stored before the calls, and loaded after the thread has read their numbers, so that the
        // wait ends at once.
        self.stopping.store(true, Ordering::SeqCst);
        self.ring.queue().call();
        self.ring.queue().tell_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.shared.trail.app_log.report("the thread that deals with other processes panicked");
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.stop();
    }
}

struct PeersLoop {
    shared: Arc<Shared>,
    ring: Arc<Ring>,
    stopping: Arc<AtomicBool>,
    /// When it tries to become the writer.
    try_at: Instant,
    /// The pause after the last failure.
    pause: Duration,
    /// When the name of app.log was last checked, which the writer's watch does otherwise.
    checked_at: Instant,
    /// The number of calls that were answered.
    answered: Option<u32>,
    /// Whether its settings were compared with the writer's.
    has_compared: bool,
    /// The last failure that was reported.
    failure: Option<String>,
}

impl PeersLoop {
    fn run(&mut self) {
        let ring = self.ring.clone();
        let queue = ring.queue();
        loop {
            let (calls, news) = (queue.calls(), queue.news());
            // ORDERING: see `Peers::stop`.
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            if self.shared.writing.get().is_some() {
                if self.answered.replace(calls) != Some(calls) {
                    self.answer();
                }
                queue.wait_for_call(calls, LISTEN);
                continue;
            }
            if queue.is_moved() && self.follow_file() {
                continue;
            }
            ring.mirror();
            if self.checked_at.elapsed() >= watch::INTERVAL {
                self.checked_at = Instant::now();
                self.shared.trail.app_log.follow_name();
                self.compare_settings();
            }
            if Instant::now() >= self.try_at {
                self.try_at = Instant::now() + TRY_AGAIN;
                if self.try_to_write() {
                    continue;
                }
            }
            queue.wait_for_news(news, TRY);
        }
    }

    /// Reports once that the writer has other settings. Not before the first second: a command that records one
    /// entry has none of its own.
    fn compare_settings(&mut self) {
        let trail = &self.shared.trail;
        let settings = self.ring.queue().settings();
        if !std::mem::replace(&mut self.has_compared, true) && settings != trail.config.fingerprint() {
            trail.app_log.report(
                "the settings of this process differ from those of the process that writes the trail (sizes, \
                 ages, retention, compression, durability, checkpoints or key): the writer's apply",
            );
        }
    }

    /// Follows the ring to another file. Returns `false` if that is not possible now.
    fn follow_file(&mut self) -> bool {
        let trail = &self.shared.trail;
        match self.ring.file().follow(&trail.directory) {
            Ok(has_moved) => has_moved,
            Err(error) => {
                let what = "this process cannot follow the journal's ring to another file";
                self.report(format!("{what}: {error}"));
                false
            }
        }
    }

    /// Reports a failure, once in a row.
    fn report(&mut self, failure: String) {
        if self.failure.as_ref() != Some(&failure) {
            self.shared.trail.app_log.report(&failure);
            self.failure = Some(failure);
        }
    }

    /// Does what producers asked for.
    fn answer(&self) {
        let watermark = &self.shared.trail.watermark;
        let wanted = self.ring.queue().wanted();
        if wanted > watermark.durable_position() {
            watermark.want_durable(wanted);
        }
        watermark.wake_drain();
    }

    /// Returns whether this process writes the trail now.
    fn try_to_write(&mut self) -> bool {
        let trail = &self.shared.trail;
        let outcome = match lock::lock_existing(&trail.directory, &trail.config.instance) {
            Err(error) if error.is_locked() => return false,
            other => other.and_then(|lock| take_over(trail, &self.ring, lock)),
        };
        match outcome {
            Ok((writing, running)) => {
                *self.shared.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
                // Nothing else sets it.
                drop(self.shared.writing.set(writing));
                self.failure = None;
                true
            }
            Err(error) => {
                self.pause = (self.pause * 2).clamp(AFTER_FAILURE, LONGEST_PAUSE);
                self.try_at = Instant::now() + self.pause;
                let what = "the process that wrote the trail has ended, and this one cannot continue it";
                self.report(format!("{what}: {error}"));
                false
            }
        }
    }
}
