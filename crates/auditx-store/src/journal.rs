//! The journal, which holds accepted entries until they are in the trail.
//!
//! It takes encoded entries and returns their positions, each lower than the next. Two journals drive the
//! same [`SharedAppender`], so the same input gives the same lines: [`Direct`] writes under a lock, [`Ring`]
//! passes entries to a thread of its own.

mod direct;
mod drain;
mod remote;
mod ring;
mod room;
mod unreleased;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auditx_format::control_record::ControlRecord;
use auditx_format::{Error, Result};
use auditx_tlog::Signer;

use crate::appender::Appender;
use crate::metrics::JournalLoad;
use crate::watermark::Watermark;

pub(crate) use direct::Direct;
pub(crate) use drain::Drain;
pub(crate) use ring::Ring;
pub(crate) use room::Room;
pub(crate) use unreleased::Unreleased;

/// Why an entry was not accepted.
#[derive(Debug)]
pub enum Refusal {
    /// There is no room now; there may be later.
    Full,
    /// The entry cannot be accepted.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Takes encoded entries. Once `try_push` has returned, the entry survives the death of the process.
#[derive(Debug, Clone)]
pub(crate) enum Journal {
    Ring(Arc<Ring>),
    Direct(Arc<Direct>),
}

impl Journal {
    /// Accepts an entry and returns its position, or why it was refused. Never waits for room.
    #[inline]
    pub(crate) fn try_push(&self, body: &[u8]) -> Result<u64, Refusal> {
        match self {
            Self::Ring(ring) => ring.try_push(body),
            Self::Direct(direct) => direct.try_push(body),
        }
    }

    /// Fails if an entry would not be accepted now.
    ///
    /// # Errors
    /// As `try_push`.
    pub(crate) fn ready(&self) -> Result<()> {
        match self {
            Self::Ring(ring) => ring.ready(),
            Self::Direct(direct) => direct.ready(),
        }
    }

    /// Returns a position after every entry accepted so far.
    pub(crate) fn reach(&self) -> u64 {
        match self {
            Self::Ring(ring) => ring.queue().tail(),
            Self::Direct(direct) => direct.reach(),
        }
    }

    /// Returns how much was accepted and what of it is not written yet.
    pub(crate) fn load(&self) -> JournalLoad {
        match self {
            Self::Ring(ring) => ring.load(),
            Self::Direct(direct) => direct.load(),
        }
    }

    /// Returns the ring; `None` if entries are written directly, without a limit to the room for them.
    pub(crate) fn ring(&self) -> Option<&Arc<Ring>> {
        match self {
            Self::Ring(ring) => Some(ring),
            Self::Direct(_) => None,
        }
    }

    /// Counts an entry that was refused for want of room, so that the trail records the gap. Returns why
    /// there is no room.
    pub(crate) fn count_refused(&self) -> Error {
        match self {
            Self::Ring(ring) => ring.count_refused(),
            Self::Direct(_) => Error::full("the journal is full"),
        }
    }
}

/// Returns the error for a child process that was forked while the trail was open.
fn forked() -> Error {
    Error::locked(
        "this process was forked from the one that opened the trail; open the trail again in this process",
    )
}

/// The appender behind its lock, and the control records.
#[derive(Debug)]
pub(crate) struct SharedAppender {
    /// AppenderGuard while a thread waits for `inner`: a thread that takes the lock again and again, as the
    /// drain does, then lets the others in.
    next: Mutex<()>,
    inner: Mutex<Inner>,
    watermark: Arc<Watermark>,
}

#[derive(Debug)]
struct Inner {
    appender: Appender,
    closed: bool,
}

/// The appender, locked.
#[derive(Debug)]
pub(crate) struct AppenderGuard<'a>(MutexGuard<'a, Inner>);

impl std::ops::Deref for AppenderGuard<'_> {
    type Target = Appender;

    fn deref(&self) -> &Appender {
        &self.0.appender
    }
}

impl std::ops::DerefMut for AppenderGuard<'_> {
    fn deref_mut(&mut self) -> &mut Appender {
        &mut self.0.appender
    }
}

impl SharedAppender {
    pub(crate) fn new(appender: Appender) -> Self {
        let watermark = appender.watermark().clone();
        watermark.begin(appender.reach());
        Self { next: Mutex::default(), inner: Mutex::new(Inner { appender, closed: false }), watermark }
    }

    pub(crate) fn watermark(&self) -> &Watermark {
        &self.watermark
    }

    /// Locks the appender.
    pub(crate) fn lock(&self) -> AppenderGuard<'_> {
        let _next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // The appender does not panic between two consistent states.
        AppenderGuard(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock_open(&self) -> Result<AppenderGuard<'_>> {
        let held = self.lock();
        if held.0.closed { Err(Error::closed()) } else { Ok(held) }
    }

    /// Sets the position of the next entry, as the journal counts positions.
    pub(crate) fn set_position(&self, position: u64) {
        self.lock().set_position(position);
        self.watermark.set_position(position);
    }

    /// Fails if no lines are accepted.
    fn ready(&self) -> Result<()> {
        self.lock_open()?.check()
    }

    /// Runs `work` on the appender and publishes how far the trail is written afterwards.
    fn with<T>(&self, work: impl FnOnce(&mut Appender) -> Result<T>) -> Result<T> {
        let mut held = self.lock_open()?;
        let outcome = work(&mut held);
        self.watermark.publish_written(held.reach());
        outcome
    }

    /// Appends a control record and returns its seq.
    pub(crate) fn push_control_record(&self, record: &ControlRecord) -> Result<u64> {
        self.with(|appender| appender.append_control_record(record))
    }

    /// Appends a control record, makes it durable and signs it before any other line follows.
    pub(crate) fn push_signed(&self, record: &ControlRecord) -> Result<u64> {
        self.with(|appender| {
            let seq = appender.append_control_record(record)?;
            appender.sign().map(|()| seq)
        })
    }

    /// Records that another key signs from here on, and signs the boundary with both.
    pub(crate) fn rotate_key(&self, record: &ControlRecord, next: Arc<dyn Signer>) -> Result<u64> {
        self.with(|appender| {
            let seq = appender.append_control_record(record)?;
            appender.rotate_key(next).map(|()| seq)
        })
    }

    /// Makes every line durable and signs it.
    pub(crate) fn sign(&self) -> Result<()> {
        self.with(Appender::sign)
    }

    /// Seals the active segment, durable and signed.
    pub(crate) fn seal(&self) -> Result<()> {
        self.with(Appender::seal_now)
    }

    /// Seals the active segment if it has reached its maximum age.
    pub(crate) fn seal_if_old(&self) {
        let mut held = self.lock();
        if held.seal_if_old() {
            self.watermark.publish_written(held.reach());
        }
    }

    /// Records the end of the session. A second call does nothing.
    pub(crate) fn close(&self) -> Result<()> {
        let mut held = self.lock();
        if std::mem::replace(&mut held.0.closed, true) {
            return Ok(());
        }
        let outcome = held.append_control_record(&ControlRecord::Close);
        self.watermark.publish_written(held.reach());
        outcome.map(drop)
    }

    /// Takes no more lines, without recording the end of the session.
    pub(crate) fn abandon(&self) {
        self.lock().0.closed = true;
    }
}
