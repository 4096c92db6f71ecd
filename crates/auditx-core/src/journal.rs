//! What stands between callers and the trail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::appender::Appender;
use crate::error::{Error, Result};
use crate::key::Signer;
use crate::own_record::OwnRecord;
use crate::tree::Hash;
use crate::watermark::Watermark;

/// Where an accepted entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) seq: u64,
    pub(crate) leaf_hash: Hash,
}

/// Takes encoded entries. Once `push` returned, the entry survives the death of the process.
pub(crate) trait Journal: std::fmt::Debug + Send + Sync {
    fn push(&self, body: &[u8]) -> Result<Position>;
    /// Records a last line and takes no more. A second call does nothing.
    fn close(&self) -> Result<()>;
}

/// The simplest journal: under one lock, straight to the active segment with one write(2).
///
/// The bytes are the kernel's when `push` returns. It is the fallback where no ring can be had, and the test oracle.
#[derive(Debug)]
pub(crate) struct Direct {
    appender: Mutex<Appender>,
    /// Read and written under the appender's lock.
    closed: AtomicBool,
    watermark: Arc<Watermark>,
}

impl Direct {
    pub(crate) fn new(appender: Appender, watermark: Arc<Watermark>) -> Self {
        Self { appender: Mutex::new(appender), closed: false.into(), watermark }
    }

    /// The appender, for the writer's work beside the callers.
    pub(crate) fn appender(&self) -> MutexGuard<'_, Appender> {
        // The appender panics nowhere between two consistent states.
        self.appender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_appender(&self) -> Result<MutexGuard<'_, Appender>> {
        let appender = self.appender();
        if self.closed.load(Ordering::Relaxed) { Err(Error::closed()) } else { Ok(appender) }
    }

    /// Records a line of the library's own.
    pub(crate) fn push_own(&self, record: &OwnRecord) -> Result<u64> {
        let mut appender = self.open_appender()?;
        let seq = appender.append_own(record)?;
        self.watermark.publish_written(appender.next_seq());
        Ok(seq)
    }

    /// Records a line of the library's own, makes it durable and signs it, before any other line follows.
    pub(crate) fn push_signed(&self, record: &OwnRecord) -> Result<u64> {
        self.settle(record, Appender::sign)
    }

    /// Records that another key signs from here on, and signs the boundary with both.
    pub(crate) fn rotate_key(&self, record: &OwnRecord, next: Arc<dyn Signer>) -> Result<u64> {
        self.settle(record, |appender| appender.hand_over(next))
    }

    fn settle(&self, record: &OwnRecord, sign: impl FnOnce(&mut Appender) -> Result<()>) -> Result<u64> {
        let mut appender = self.open_appender()?;
        let seq = appender.append_own(record)?;
        let signed = sign(&mut appender);
        self.watermark.publish_written(appender.next_seq());
        signed.map(|()| seq)
    }

    /// Seals the active segment, whatever it holds.
    pub(crate) fn seal(&self) -> Result<()> {
        let mut appender = self.open_appender()?;
        let sealed = appender.seal_now();
        self.watermark.publish_written(appender.next_seq());
        sealed
    }
}

impl Journal for Direct {
    fn push(&self, body: &[u8]) -> Result<Position> {
        let mut appender = self.open_appender()?;
        let (seq, leaf_hash) = appender.append(body)?;
        self.watermark.publish_written(appender.next_seq());
        Ok(Position { seq, leaf_hash })
    }

    fn close(&self) -> Result<()> {
        let mut appender = self.appender();
        if self.closed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let outcome = appender.append_own(&OwnRecord::Close);
        self.watermark.publish_written(appender.next_seq());
        outcome.map(drop)
    }
}
