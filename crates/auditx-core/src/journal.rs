//! What stands between callers and the trail.
//!
//! Comes in: encoded entries. Goes out: places, each before the next. Two journals drive the same [`SharedAppender`], so the
//! same input gives the same lines: [`Direct`] writes under a lock, [`Ring`] hands over to a thread of its own.

mod direct;
mod drain;
mod ring;
mod room;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::appender::Appender;
use crate::control_record::ControlRecord;
use crate::error::{Error, Kind, Result};
use crate::key::Signer;
use crate::metrics::JournalLoad;
use crate::watermark::{Reach, Watermark};

pub(crate) use direct::Direct;
pub(crate) use drain::Drain;
pub(crate) use ring::{Ring, RingMeans};
pub(crate) use room::Room;

/// Why an entry was not accepted.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no room now; there may be later.
    Full,
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Takes encoded entries. Once `try_push` returned, the entry survives the death of the process.
pub(crate) trait Journal: std::fmt::Debug + Send + Sync {
    /// Accepts an entry, or says why not; never waits for room. Gives its position.
    fn try_push(&self, body: &[u8]) -> Result<u64, Refusal>;
    /// Every entry accepted so far stands before this position.
    fn reach(&self) -> u64;
    /// Records a last line and takes no more. A second call does nothing.
    ///
    /// # Errors
    /// `is_timed_out` where what was accepted could not be written in time: the next open does it.
    fn close(&self, deadline: Instant) -> Result<()>;
    /// So much of the trail is durable.
    fn release(&self, _reach: Reach) {}
    /// Whether an entry would be accepted now.
    ///
    /// # Errors
    /// What `try_push` would say.
    fn ready(&self) -> Result<()>;
    /// The disk failed: nothing more is accepted.
    fn poison(&self) {}
    /// From which position on it still holds what it accepted; none where it holds nothing.
    fn holds_since(&self) -> Option<u64> {
        None
    }
    /// Whether an fdatasync is due for want of room.
    fn is_pressed(&self) -> bool {
        false
    }
    /// How much went in and what of it still waits.
    fn load(&self) -> JournalLoad;
    /// Where those wait who found no room; none where there is always some.
    fn room(&self) -> Option<&Room> {
        None
    }
    /// Remembers an entry that was refused for want of room, so that the trail tells of it. Gives why there is none.
    fn note_refused(&self) -> Error {
        Error::new(Kind::Full, "the journal is full")
    }
}

/// What a child process hears that was forked while the trail was open.
fn forked() -> Error {
    Error::new(
        Kind::Locked,
        "this process was forked off the one that opened the trail; open a trail of its own here, with Config::instance",
    )
}

/// The appender behind its lock, and lines of the library's own.
#[derive(Debug)]
pub(crate) struct SharedAppender {
    /// Held by whoever comes next: a thread that takes the lock again and again, as the drain does, lets the others in.
    next: Mutex<()>,
    inner: Mutex<Inner>,
    watermark: Arc<Watermark>,
}

#[derive(Debug)]
struct Inner {
    appender: Appender,
    closed: bool,
}

/// The lock, held.
#[derive(Debug)]
pub(crate) struct Held<'a>(MutexGuard<'a, Inner>);

impl std::ops::Deref for Held<'_> {
    type Target = Appender;

    fn deref(&self) -> &Appender {
        &self.0.appender
    }
}

impl std::ops::DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Appender {
        &mut self.0.appender
    }
}

impl SharedAppender {
    pub(crate) fn new(appender: Appender, watermark: Arc<Watermark>) -> Self {
        watermark.begin(appender.reach());
        Self { next: Mutex::default(), inner: Mutex::new(Inner { appender, closed: false }), watermark }
    }

    pub(crate) fn watermark(&self) -> &Watermark {
        &self.watermark
    }

    /// The appender, for whoever works beside the callers.
    pub(crate) fn lock(&self) -> Held<'_> {
        let _next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // The appender panics nowhere between two consistent states.
        Held(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock_open(&self) -> Result<Held<'_>> {
        let held = self.lock();
        if held.0.closed { Err(Error::closed()) } else { Ok(held) }
    }

    /// Places are counted from here on as the journal counts them.
    pub(crate) fn count_from(&self, position: u64) {
        self.lock().count_from(position);
        self.watermark.count_from(position);
    }

    /// Whether lines are taken.
    fn ready(&self) -> Result<()> {
        self.lock_open()?.check()
    }

    /// Does something to the appender and publishes how far it is then.
    fn with<T>(&self, work: impl FnOnce(&mut Appender) -> Result<T>) -> Result<T> {
        let mut held = self.lock_open()?;
        let outcome = work(&mut held);
        self.watermark.publish_written(held.reach());
        outcome
    }

    /// Records a line of the library's own.
    pub(crate) fn push_own(&self, record: &ControlRecord) -> Result<u64> {
        self.with(|appender| appender.append_own(record))
    }

    /// Records a line of the library's own, makes it durable and signs it, before any other line follows.
    pub(crate) fn push_signed(&self, record: &ControlRecord) -> Result<u64> {
        self.with(|appender| {
            let seq = appender.append_own(record)?;
            appender.sign().map(|()| seq)
        })
    }

    /// Records that another key signs from here on, and signs the boundary with both.
    pub(crate) fn rotate_key(&self, record: &ControlRecord, next: Arc<dyn Signer>) -> Result<u64> {
        self.with(|appender| {
            let seq = appender.append_own(record)?;
            appender.hand_over(next).map(|()| seq)
        })
    }

    /// Makes every line durable and signs it.
    pub(crate) fn sign(&self) -> Result<()> {
        self.with(Appender::sign)
    }

    /// Seals the active segment, whatever it holds, durable and signed.
    pub(crate) fn seal(&self) -> Result<()> {
        self.with(Appender::seal_now)
    }

    /// Records the end of the session. A second call does nothing.
    fn close(&self) -> Result<()> {
        let mut held = self.lock();
        if std::mem::replace(&mut held.0.closed, true) {
            return Ok(());
        }
        let outcome = held.append_own(&ControlRecord::Close);
        self.watermark.publish_written(held.reach());
        outcome.map(drop)
    }

    /// Takes no more lines, and leaves the end of the session unsaid.
    fn abandon(&self) {
        self.lock().0.closed = true;
    }
}
