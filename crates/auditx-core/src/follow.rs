//! Followers: whatever reacts to entries reads them from the trail, each on a thread of its own, from its own cursor.
//!
//! A slow, failing or panicking follower can neither slow, lose nor duplicate a recording, and nothing piles up in
//! memory. Every follower takes every line in order and at least once; what it has taken is remembered by its cursor.

pub(crate) mod console;
pub(crate) mod cursor;
mod hook;
pub(crate) mod projection;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::app_log::AppLog;
use crate::config::{Console, Durability, Hook};
use crate::dir::Dir;
use crate::error::{Error, HookError, Result};
use crate::line::RecordedEntry;
use crate::metrics::FollowerMetrics;
use crate::segment::TrailReader;
use crate::watermark::Watermark;

use cursor::{CURSORS, Cursor};

/// Cursors are made durable at most this often: a stale one costs a repetition, never a gap.
const CURSOR_INTERVAL: Duration = Duration::from_secs(1);

/// The clock is looked at once in so many lines.
const LINES_PER_LOOK: u64 = 64;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a follower does with the lines.
trait Sink: Send {
    fn take(&mut self, entry: &RecordedEntry<'_>) -> Result<(), HookError>;
    /// Whether a line can be told from its bytes to be of no interest: most are, to some, and there are many.
    fn passes_over(&self, _line: &[u8]) -> bool {
        false
    }
    /// Whether the destination is gone for good: nothing is tried again, and what is left is passed over.
    fn is_gone(&self) -> bool {
        false
    }
    /// Makes what was taken durable; called before the cursor is.
    fn settle(&mut self) -> Result<(), HookError> {
        Ok(())
    }
}

/// How far followers may read: what is written, or only what would survive a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Written,
    Durable,
}

impl Gate {
    fn limit(self, watermark: &Watermark) -> u64 {
        match self {
            Self::Written => watermark.written(),
            Self::Durable => watermark.durable(),
        }
    }
}

/// What others may know of a follower.
#[derive(Debug)]
pub(crate) struct Progress {
    name: String,
    position: AtomicU64,
    failures: AtomicU64,
    is_failing: AtomicBool,
    ended: AtomicBool,
    gate: Gate,
    /// Whether retention must wait for it.
    is_required: bool,
    /// Whether `flush` waits for it: ours do what they do without asking anybody.
    is_ours: bool,
}

/// All followers of a logger.
#[derive(Debug)]
pub(crate) struct Followers {
    watermark: Arc<Watermark>,
    closing: Arc<AtomicBool>,
    giving_up: Arc<AtomicBool>,
    all: Vec<Arc<Progress>>,
}

/// What followers need from their logger.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) directory: Dir,
    pub(crate) projection: Arc<projection::ProjectionLock>,
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) app_log: Arc<AppLog>,
    /// The next sequence number when the logger was opened: where a new hook begins.
    pub(crate) opened_at: u64,
    pub(crate) durability: Durability,
}

struct Follower {
    progress: Arc<Progress>,
    reader: TrailReader,
    /// How many there had been before `reader` read what it holds.
    take_backs: u64,
    sink: Box<dyn Sink>,
    cursor: Option<Cursor>,
    saved_at: Instant,
    watermark: Arc<Watermark>,
    app_log: Arc<AppLog>,
    closing: Arc<AtomicBool>,
    giving_up: Arc<AtomicBool>,
}

impl Followers {
    /// Starts security.jsonl, the console and the hooks.
    pub(crate) fn start(around: &Surroundings, console: Console, hooks: &[Hook]) -> Result<Self> {
        let mut followers = Self {
            watermark: around.watermark.clone(),
            closing: Arc::default(),
            giving_up: Arc::default(),
            all: Vec::new(),
        };
        let cursor = |name: &str| Cursor::open(&around.directory, name);
        let durable = if around.durability == Durability::Os { Gate::Written } else { Gate::Durable };

        let mut security_cursor = cursor(projection::FILE_NAME)?;
        let projection = projection::Projection::open(&around.directory, around.projection.clone())?;
        let begin = security_cursor.position().unwrap_or(0).max(projection.next_seq());
        security_cursor.advance(begin);
        let ours = Progress::new(projection::FILE_NAME, begin, durable, true, true);
        followers.spawn(around, ours, Box::new(projection), Some(security_cursor))?;

        if let Some(sink) = console::ConsoleSink::of(console) {
            // A line that is not durable may be rolled back: people may see it, a collector's copy must be the trail's.
            let gate = if sink.is_exact() { durable } else { Gate::Written };
            let ours = Progress::new(console::NAME, around.opened_at, gate, false, true);
            followers.spawn(around, ours, Box::new(sink), None)?;
        }
        for hook in hooks {
            let mut hook_cursor = cursor(&hook.name)?;
            let begin = hook_cursor.position().unwrap_or(if hook.from_start { 0 } else { around.opened_at });
            hook_cursor.advance(begin);
            hook_cursor.save().map_err(|error| {
                Error::storage("cannot save a hook's cursor", around.directory.join(CURSORS), error)
            })?;
            let foreign = Progress::new(&hook.name, begin, durable, true, false);
            followers.spawn(around, foreign, Box::new(hook::HookSink::new(hook)), Some(hook_cursor))?;
        }
        Ok(followers)
    }

    fn spawn(
        &mut self,
        around: &Surroundings,
        progress: Progress,
        sink: Box<dyn Sink>,
        cursor: Option<Cursor>,
    ) -> Result<()> {
        let progress = Arc::new(progress);
        let follower = Follower {
            reader: TrailReader::new(&around.directory, progress.position()),
            take_backs: around.watermark.take_backs(),
            progress: progress.clone(),
            sink,
            cursor,
            saved_at: Instant::now(),
            watermark: around.watermark.clone(),
            app_log: around.app_log.clone(),
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

    /// Waits until our own followers have taken every line below `end`.
    pub(crate) fn wait_for_ours(&self, end: u64, deadline: Instant) -> Result<()> {
        self.wait(deadline, |progress| !progress.is_ours || progress.position() >= end)
    }

    /// Waits until every follower has taken every line below `end`.
    pub(crate) fn wait_for_all(&self, end: u64, deadline: Instant) -> Result<()> {
        self.wait(deadline, |progress| progress.position() >= end)
    }

    /// Lets every follower take what is left and end. One that fails is tried once more and ends where it is; one that
    /// hangs is left behind at the deadline. Either goes on from its cursor at the next open.
    pub(crate) fn close(&self, deadline: Instant) {
        self.closing.store(true, Ordering::SeqCst);
        self.watermark.notify();
        let ended = |progress: &Arc<Progress>| progress.ended.load(Ordering::SeqCst);
        // Whoever is late gives up after the entry at hand.
        if self.watermark.wait_until(Some(deadline), "the followers", || self.all.iter().all(ended)).is_err()
        {
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

impl Progress {
    fn new(name: &str, position: u64, gate: Gate, is_required: bool, is_ours: bool) -> Self {
        Self {
            name: name.to_owned(),
            position: position.into(),
            failures: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            gate,
            is_required,
            is_ours,
        }
    }

    fn position(&self) -> u64 {
        self.position.load(Ordering::SeqCst)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether retention may take away every line below `end` as far as this follower is concerned.
    pub(crate) fn has_passed(&self, end: u64) -> bool {
        !self.is_required || self.position() >= end
    }
}

impl Follower {
    fn run(mut self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.follow()));
        if let Err(panic) = outcome {
            self.app_log.trouble(&format!("follower {} ended: {}", self.progress.name, panic_text(&*panic)));
        }
        self.progress.ended.store(true, Ordering::SeqCst);
        self.watermark.notify();
    }

    fn follow(&mut self) {
        loop {
            let before = self.progress.position();
            let limit = self.progress.gate.limit(&self.watermark);
            self.drop_what_was_taken_back();
            while self.progress.position() < limit && !self.giving_up.load(Ordering::SeqCst) && self.step() {}
            if self.progress.position() != before {
                // Whoever waits for this follower looks again.
                self.watermark.notify();
            }
            let behind = self.progress.position() < self.progress.gate.limit(&self.watermark);
            let hopeless =
                self.progress.is_failing.load(Ordering::SeqCst) || self.giving_up.load(Ordering::SeqCst);
            if self.closing.load(Ordering::SeqCst) && (!behind || hopeless) {
                self.save_cursor();
                return;
            }
            self.rest();
        }
    }

    /// The reader reads ahead of the limit, and so may hold what was taken back since and written otherwise.
    fn drop_what_was_taken_back(&mut self) {
        let take_backs = self.watermark.take_backs();
        if take_backs != self.take_backs {
            self.take_backs = take_backs;
            self.reader.restart(self.progress.position());
        }
    }

    /// Takes one line, trying again for as long as it fails and the logger is open. False where there was none to take.
    fn step(&mut self) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt() {
                Ok(None) => return false,
                Ok(Some(seq)) => {
                    self.progress.is_failing.store(false, Ordering::SeqCst);
                    self.progress.position.store(seq + 1, Ordering::SeqCst);
                    if seq % LINES_PER_LOOK == 0 && self.saved_at.elapsed() >= CURSOR_INTERVAL {
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
                    if self.closing.load(Ordering::SeqCst) {
                        return false;
                    }
                    self.pause(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn attempt(&mut self) -> Result<Option<u64>, HookError> {
        let Some((seq, line)) = self.reader.next_line()? else { return Ok(None) };
        if self.sink.is_gone() || self.sink.passes_over(line) {
            return Ok(Some(seq));
        }
        let entry = RecordedEntry::from_line(line)?;
        catch_unwind(AssertUnwindSafe(|| self.sink.take(&entry)))
            .unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_text(&*panic)).into()))?;
        Ok(Some(seq))
    }

    fn note_failure(&self, seq: u64, error: &HookError) {
        self.progress.failures.fetch_add(1, Ordering::Relaxed);
        self.progress.is_failing.store(true, Ordering::SeqCst);
        let consequence = if self.sink.is_gone() { "shows nothing more" } else { "will try again" };
        let name = &self.progress.name;
        self.app_log.trouble(&format!("follower {name} failed at line {seq} and {consequence}: {error}"));
    }

    fn save_cursor(&mut self) {
        self.saved_at = Instant::now();
        let position = self.progress.position();
        let Some(cursor) = self.cursor.as_mut().filter(|cursor| cursor.is_behind(position)) else { return };
        cursor.advance(position);
        if let Err(error) = self.sink.settle().and_then(|()| Ok(cursor.save()?)) {
            self.app_log.trouble(&format!("follower {} cannot save its cursor: {error}", self.progress.name));
        }
    }

    fn rest(&mut self) {
        let unsaved = self.cursor.as_ref().is_some_and(|cursor| cursor.is_behind(self.progress.position()));
        let deadline = unsaved.then(|| self.saved_at + CURSOR_INTERVAL);
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.save_cursor();
            return;
        }
        self.watermark.wait_for_change(deadline, || {
            self.progress.position() < self.progress.gate.limit(&self.watermark)
                || self.closing.load(Ordering::SeqCst)
        });
    }

    fn pause(&self, pause: Duration) {
        let deadline = Instant::now() + pause;
        while Instant::now() < deadline && !self.closing.load(Ordering::SeqCst) {
            self.watermark.wait_for_change(Some(deadline), || self.closing.load(Ordering::SeqCst));
        }
    }
}

/// The text a panic was started with.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without text")
}
