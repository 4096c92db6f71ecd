//! Followers: each reads entries from the trail on a thread of its own, from its own cursor.
//!
//! A slow, failing or panicking follower can neither slow down, lose nor repeat a recording, and nothing
//! piles up in memory. Every follower gets every line in order and at least once; its cursor stores how far
//! it is.

pub(crate) mod console;
pub(crate) mod cursor;
mod hook;
mod progress;
pub(crate) mod projection;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use auditx_format::line::RecordedEntry;
use auditx_format::{Error, HookError, Result};

use crate::callback::panic_text;
use crate::config::Durability;
use crate::metrics::FollowerMetrics;
use crate::segment::TrailReader;
use crate::trail::Trail;
use crate::watermark::Watermark;

use cursor::{CURSORS, Cursor};
use progress::Gate;
pub(crate) use progress::Progress;

/// Cursors are made durable at most this often: a stale one costs a repetition, never a gap.
const CURSOR_INTERVAL: Duration = Duration::from_secs(1);

/// The clock is read once in this many lines.
const LINES_PER_CLOCK_READ: u64 = 64;

/// To pass over more lines than this, the reader looks for the next one; over fewer it reads on.
const FAR: u64 = 1_024;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a follower does with the lines.
trait Sink: Send {
    fn take(&mut self, entry: &RecordedEntry<'_>) -> Result<(), HookError>;
    /// Whether the bytes of a line show that it is not needed. For some followers that is true of most lines.
    fn skips(&self, _line: &[u8]) -> bool {
        false
    }
    /// Returns the first line of `from..limit` that may be needed, or `limit`.
    fn next_needed(&self, from: u64, _limit: u64) -> u64 {
        from
    }
    /// Whether the destination is gone for good: nothing is tried again, and the remaining lines are skipped.
    fn is_gone(&self) -> bool {
        false
    }
    /// Makes what was taken durable. Called before the cursor is made durable.
    fn sync(&mut self) -> Result<(), HookError> {
        Ok(())
    }
}

/// All followers of a logger.
#[derive(Debug)]
pub(crate) struct Followers {
    watermark: Arc<Watermark>,
    closing: Arc<AtomicBool>,
    giving_up: Arc<AtomicBool>,
    all: Vec<Arc<Progress>>,
}

struct Follower {
    progress: Arc<Progress>,
    reader: TrailReader,
    /// The number of rollbacks before `reader` read what it holds.
    rollbacks: u64,
    sink: Box<dyn Sink>,
    cursor: Option<Cursor>,
    saved_at: Instant,
    trail: Arc<Trail>,
    closing: Arc<AtomicBool>,
    giving_up: Arc<AtomicBool>,
}

impl Followers {
    /// Starts security.jsonl, the console and the hooks.
    ///
    /// `opened_at` is the next seq when the logger was opened, at which a new hook begins.
    pub(crate) fn start(trail: &Arc<Trail>, opened_at: u64) -> Result<Self> {
        let mut followers = Self {
            watermark: trail.watermark.clone(),
            closing: Arc::default(),
            giving_up: Arc::default(),
            all: Vec::new(),
        };
        let cursor = |name: &str| Cursor::open(&trail.directory, name);
        let durable = if trail.config.durability == Durability::Os { Gate::Written } else { Gate::Durable };

        let mut security_cursor = cursor(projection::FILE_NAME)?;
        let projection = projection::Projection::open(trail.clone())?;
        let begin = security_cursor.position().unwrap_or(0).max(projection.next_seq());
        security_cursor.advance(begin);
        let builtin = Progress::new(projection::FILE_NAME, begin, durable, true, true);
        followers.spawn(trail, builtin, Box::new(projection), Some(security_cursor))?;

        if let Some(sink) = console::ConsoleSink::of(trail.config.console) {
            // A line that is not durable may be rolled back: text on a terminal may show it, but a
            // collector's copy must equal the trail.
            let gate = if sink.is_exact() { durable } else { Gate::Written };
            let builtin = Progress::new(console::NAME, opened_at, gate, false, true);
            followers.spawn(trail, builtin, Box::new(sink), None)?;
        }
        for hook in &trail.config.hooks {
            let mut hook_cursor = cursor(&hook.name)?;
            let begin = hook_cursor.position().unwrap_or(if hook.from_start { 0 } else { opened_at });
            hook_cursor.advance(begin);
            hook_cursor.save().map_err(|error| {
                Error::storage("cannot save a hook's cursor", trail.directory.join(CURSORS), error)
            })?;
            let foreign = Progress::new(&hook.name, begin, durable, true, false);
            followers.spawn(trail, foreign, Box::new(hook::HookSink::new(hook)), Some(hook_cursor))?;
        }
        Ok(followers)
    }

    fn spawn(
        &mut self,
        trail: &Arc<Trail>,
        progress: Progress,
        sink: Box<dyn Sink>,
        cursor: Option<Cursor>,
    ) -> Result<()> {
        let progress = Arc::new(progress);
        let follower = Follower {
            reader: TrailReader::new(&trail.directory, progress.position()),
            rollbacks: trail.watermark.rollbacks(),
            progress: progress.clone(),
            sink,
            cursor,
            saved_at: Instant::now(),
            trail: trail.clone(),
            closing: self.closing.clone(),
            giving_up: self.giving_up.clone(),
        };
        std::thread::Builder::new()
            .name(format!("auditx-{}", progress.name))
            .spawn(move || follower.run())
            .map_err(|error| {
            Error::storage("cannot start a follower's thread", Path::new(&progress.name), error)
        })?;
        self.all.push(progress);
        Ok(())
    }

    pub(crate) fn metrics(&self) -> Vec<FollowerMetrics> {
        let written = self.watermark.written();
        let of = |progress: &Arc<Progress>| FollowerMetrics {
            name: progress.name.clone(),
            position: progress.position(),
            lag: written.saturating_sub(progress.position()),
            failures: progress.failures.load(Ordering::Relaxed),
        };
        self.all.iter().map(of).collect()
    }

    pub(crate) fn progress(&self) -> Vec<Arc<Progress>> {
        self.all.clone()
    }

    /// Waits until the built-in followers have taken every line below `end`.
    pub(crate) fn wait_for_builtin(&self, end: u64, deadline: Instant) -> Result<()> {
        self.wait(deadline, |progress| !progress.is_builtin || progress.position() >= end)
    }

    /// Waits until every follower has taken every line below `end`.
    pub(crate) fn wait_for_all(&self, end: u64, deadline: Instant) -> Result<()> {
        self.wait(deadline, |progress| progress.position() >= end)
    }

    /// Lets every follower take the remaining lines and end. One that fails is tried once more and ends where
    /// it is; one that hangs is abandoned at the deadline. Both continue from their cursors at the next open.
    pub(crate) fn close(&self, deadline: Instant) {
        // ORDERING: `notify` locks the watermark's mutex after this, so a follower that is about to wait sees
        // it. Relaxed would do for the flags of this module: the mutex orders them.
        self.closing.store(true, Ordering::SeqCst);
        self.watermark.notify();
        // ORDERING: stored before the `notify` in `Follower::run`, and loaded under the mutex.
        let ended = |progress: &Arc<Progress>| progress.ended.load(Ordering::SeqCst);
        // A late follower ends after the entry it is taking.
        if self.watermark.wait_until(Some(deadline), "the followers", || self.all.iter().all(ended)).is_err()
        {
            // ORDERING: as for `closing`. It is loaded before each entry; Relaxed would do.
            self.giving_up.store(true, Ordering::SeqCst);
            self.watermark.notify();
        }
    }

    fn wait(&self, deadline: Instant, done: impl Fn(&Progress) -> bool) -> Result<()> {
        self.watermark
            .wait_until(Some(deadline), "the followers", || self.all.iter().all(|progress| done(progress)))
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        self.close(Instant::now());
    }
}

impl Follower {
    fn run(mut self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.follow()));
        if let Err(panic) = outcome {
            self.trail.app_log.report(&format!(
                "follower {} ended: {}",
                self.progress.name,
                panic_text(&*panic)
            ));
        }
        // ORDERING: before `notify`; see `Followers::close`.
        self.progress.ended.store(true, Ordering::SeqCst);
        self.trail.watermark.notify();
    }

    fn is_closing(&self) -> bool {
        // ORDERING: see `Followers::close`. Loaded under the watermark's mutex before each sleep.
        self.closing.load(Ordering::SeqCst)
    }

    fn is_giving_up(&self) -> bool {
        // ORDERING: see `Followers::close`.
        self.giving_up.load(Ordering::SeqCst)
    }

    fn follow(&mut self) {
        loop {
            let before = self.progress.position();
            let limit = self.progress.gate.limit(&self.trail.watermark);
            self.restart_after_rollback();
            while self.pass_over(limit) && !self.is_giving_up() && self.step() {}
            if self.progress.position() != before {
                // A thread that waits for this follower checks its position again.
                self.trail.watermark.notify();
            }
            let behind = self.progress.position() < self.progress.gate.limit(&self.trail.watermark);
            // ORDERING: only this thread stores it; Relaxed would do.
            let hopeless = self.progress.is_failing.load(Ordering::SeqCst) || self.is_giving_up();
            if self.is_closing() && (!behind || hopeless) {
                self.save_cursor();
                return;
            }
            if before < limit && self.progress.position() == before {
                // A line is there and could not be read: another program changed the segment, and it is not
                // restored yet.
                self.pause(FIRST_PAUSE);
            } else {
                self.sleep();
            }
        }
    }

    /// Reads again what the reader holds if bytes were rolled back: it reads ahead of the limit, and may hold
    /// bytes that were rolled back and replaced by others. Called after the limit was loaded; see
    /// [`Watermark::rollbacks`].
    fn restart_after_rollback(&mut self) {
        let rollbacks = self.trail.watermark.rollbacks();
        if rollbacks != self.rollbacks {
            self.rollbacks = rollbacks;
            self.reader.restart(self.progress.position());
        }
    }

    /// Passes over lines that are not needed. Returns whether one below `limit` remains.
    fn pass_over(&self, limit: u64) -> bool {
        let before = self.progress.position();
        let needed = self.sink.next_needed(before, limit);
        if needed > before {
            // ORDERING: as in `step`.
            self.progress.position.store(needed, Ordering::SeqCst);
        }
        needed < limit
    }

    /// Takes one line, again and again while it fails and the logger is open. Returns false if there was none
    /// to take.
    fn step(&mut self) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt() {
                Ok(None) => return false,
                Ok(Some(seq)) => {
                    // ORDERING: only this thread loads `is_failing`; Relaxed would do.
                    self.progress.is_failing.store(false, Ordering::SeqCst);
                    // ORDERING: Release is needed: the sink has taken the line when another thread sees this
                    // position.
                    self.progress.position.store(seq + 1, Ordering::SeqCst);
                    if seq % LINES_PER_CLOCK_READ == 0 && self.saved_at.elapsed() >= CURSOR_INTERVAL {
                        self.save_cursor();
                    }
                    return true;
                }
                Err(error) => {
                    let seq = self.progress.position();
                    self.note_failure(seq, &error);
                    self.reader.restart(seq);
                    if self.sink.is_gone() {
                        continue;
                    }
                    if self.is_closing() {
                        return false;
                    }
                    self.pause(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn attempt(&mut self) -> Result<Option<u64>, HookError> {
        let position = self.progress.position();
        if position.saturating_sub(self.reader.next_seq()) > FAR {
            self.reader.restart(position);
        }
        while self.reader.next_seq() < position {
            if self.reader.next_line()?.is_none() {
                return Ok(None);
            }
        }
        let Some((seq, line)) = self.reader.next_line()? else { return Ok(None) };
        if self.sink.is_gone() || self.sink.skips(line) {
            return Ok(Some(seq));
        }
        let entry = RecordedEntry::from_line(line)?;
        catch_unwind(AssertUnwindSafe(|| self.sink.take(&entry)))
            .unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_text(&*panic)).into()))?;
        Ok(Some(seq))
    }

    fn note_failure(&self, seq: u64, error: &HookError) {
        self.progress.failures.fetch_add(1, Ordering::Relaxed);
        // ORDERING: only this thread loads it; Relaxed would do.
        self.progress.is_failing.store(true, Ordering::SeqCst);
        let consequence = if self.sink.is_gone() { "writes nothing more" } else { "will try again" };
        let name = &self.progress.name;
        self.trail
            .app_log
            .report(&format!("follower {name} failed at line {seq} and {consequence}: {error}"));
    }

    fn save_cursor(&mut self) {
        self.saved_at = Instant::now();
        let position = self.progress.position();
        let Some(cursor) = self.cursor.as_mut().filter(|cursor| cursor.is_behind(position)) else { return };
        cursor.advance(position);
        if let Err(error) = self.sink.sync().and_then(|()| Ok(cursor.save()?)) {
            self.trail
                .app_log
                .report(&format!("follower {} cannot save its cursor: {error}", self.progress.name));
        }
    }

    fn sleep(&mut self) {
        let unsaved = self.cursor.as_ref().is_some_and(|cursor| cursor.is_behind(self.progress.position()));
        let deadline = unsaved.then(|| self.saved_at + CURSOR_INTERVAL);
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.save_cursor();
            return;
        }
        self.trail.watermark.wait_for_change(deadline, || {
            self.progress.position() < self.progress.gate.limit(&self.trail.watermark) || self.is_closing()
        });
    }

    fn pause(&self, pause: Duration) {
        let deadline = Instant::now() + pause;
        while Instant::now() < deadline && !self.is_closing() {
            self.trail.watermark.wait_for_change(Some(deadline), || self.is_closing());
        }
    }
}
