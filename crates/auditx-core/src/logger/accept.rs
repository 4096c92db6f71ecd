//! Accepts an entry: encodes it, pushes it into the journal, and returns a receipt.
//!
//! If the journal is full, [`OnFull`] decides whether to wait, to fail, or to drop the entry.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auditx_format::clock::Timestamp;
use auditx_format::context::RequestContext;
use auditx_format::encode;
use auditx_format::entry::Entry;
use auditx_format::id::new_id;
use auditx_format::vocabulary::LogLevel;
use auditx_format::{Error, Result};
use uuid::Uuid;

use super::{AuditLogger, Core, global};
use crate::config::{Durability, OnFull};
use crate::journal::Refusal;
use crate::receipt::{AwaitedReceipts, Receipt};

/// The context in which an entry is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Within<'c> {
    /// The current context, if any.
    Current,
    Given(&'c RequestContext),
}

/// An encoded entry.
struct Encoded {
    id: Uuid,
    /// The receipts that the request waits for, to which the receipt of this entry is added.
    awaited: Option<Arc<AwaitedReceipts>>,
}

/// The result of pushing an encoded entry.
enum Attempt {
    Accepted(u64),
    /// The journal was full. Holds the encoded bytes for the next attempt.
    Full(Vec<u8>),
}

impl AuditLogger {
    /// Records an entry.
    pub(crate) fn record(&self, entry: &Entry<'_>, context: Within<'_>) -> Result<Receipt> {
        self.with_successors(|core| core.record(entry, context))
    }

    /// Like [`AuditLogger::record`], but awaits instead of blocking.
    pub(crate) async fn record_async(&self, entry: &Entry<'_>, context: Within<'_>) -> Result<Receipt> {
        let mut logger = self;
        loop {
            match logger.core()?.record_async(entry, context).await {
                Err(error) if error.is_closed() => {
                    logger = global::successor_of(logger).ok_or(error)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Checks whether an entry would be accepted now: for health checks, and before work that must not go
    /// unrecorded.
    ///
    /// # Errors
    /// The error that `record` would return: `is_full` if the journal is full, `is_storage` if the disk
    /// cannot be written, `is_closed` after [`AuditLogger::close`].
    pub fn ready(&self) -> Result<()> {
        self.with_successors(|core| core.journal.ready())
    }

    /// Calls `operation`. If this is a process-wide logger that was replaced and therefore closed, repeats
    /// the call with its successor, which may itself have been replaced.
    fn with_successors<T>(&self, operation: impl Fn(&Core) -> Result<T>) -> Result<T> {
        let mut logger = self;
        loop {
            match operation(logger.core()?) {
                Err(error) if error.is_closed() => {
                    logger = global::successor_of(logger).ok_or(error)?;
                }
                outcome => return outcome,
            }
        }
    }
}

impl Core {
    fn record(&self, entry: &Entry<'_>, context: Within<'_>) -> Result<Receipt> {
        let (encoded, position) =
            self.encode_and(entry, context, |body| match self.journal.try_push(body) {
                Ok(position) => Ok(Some(position)),
                Err(Refusal::Full) => self.push_when_full(body),
                Err(Refusal::Error(error)) => Err(error),
            })?;
        let receipt = self.accepted(encoded, position, entry.level);
        if self.trail.config.durability == Durability::EveryEntry && position.is_some() {
            receipt.await_durable()?;
        }
        Ok(receipt)
    }

    async fn record_async(&self, entry: &Entry<'_>, context: Within<'_>) -> Result<Receipt> {
        let (encoded, attempt) =
            self.encode_and(entry, context, |body| match self.journal.try_push(body) {
                Ok(position) => Ok(Attempt::Accepted(position)),
                Err(Refusal::Full) => Ok(Attempt::Full(body.to_vec())),
                Err(Refusal::Error(error)) => Err(error),
            })?;
        let position = match attempt {
            Attempt::Accepted(position) => Some(position),
            Attempt::Full(body) => {
                self.push_when_full_async(&body).await.inspect_err(|_| self.trail.counters.rejected.add(1))?
            }
        };
        let receipt = self.accepted(encoded, position, entry.level);
        if self.trail.config.durability == Durability::EveryEntry && position.is_some() {
            receipt.durable().await?;
        }
        Ok(receipt)
    }

    /// Encodes the entry in this thread's buffers and calls `push` with its bytes.
    #[inline]
    fn encode_and<T>(
        &self,
        entry: &Entry<'_>,
        context: Within<'_>,
        push: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<(Encoded, T)> {
        let now = Timestamp::of(self.trail.config.clock.now());
        let id = new_id(now);
        let pushed = encode::with_scratch(|scratch| {
            let mut encode_in = |context: Option<&RequestContext>| -> Result<_> {
                self.trail.envelope.encode(scratch, entry, context, id, now)?;
                Ok(context.and_then(RequestContext::attached::<AwaitedReceipts>))
            };
            let awaited = match context {
                Within::Current => RequestContext::with_current(encode_in),
                Within::Given(context) => encode_in(Some(context)),
            }?;
            Ok((Encoded { id, awaited }, push(scratch.body())?))
        });
        pushed.inspect_err(|_| self.trail.counters.rejected.add(1))
    }

    #[inline]
    fn accepted(&self, Encoded { id, awaited }: Encoded, position: Option<u64>, level: LogLevel) -> Receipt {
        if let (Durability::Interval(_), Some(position)) = (self.trail.config.durability, position)
            && level.is_sensitive()
        {
            self.trail.watermark.want_durable(position);
        }
        let receipt = self.receipts.receipt(id, position);
        if let Some(awaited) = awaited {
            awaited.add(&receipt);
        }
        receipt
    }

    /// The longest time to wait while the journal is full.
    fn max_wait(&self) -> Duration {
        match self.trail.config.on_full {
            OnFull::Wait { max } => max,
            OnFull::Reject | OnFull::Drop => Duration::ZERO,
        }
    }

    /// Waits until the full journal has room, and pushes the entry. Returns `None` if the entry was dropped.
    #[cold]
    fn push_when_full(&self, body: &[u8]) -> Result<Option<u64>> {
        let Some(ring) = self.journal.ring() else { return self.reject_or_drop() };
        match ring.room.wait(Instant::now() + self.max_wait(), || self.retry(body)) {
            Some(outcome) => outcome.map(Some),
            None => self.reject_or_drop(),
        }
    }

    async fn push_when_full_async(&self, body: &[u8]) -> Result<Option<u64>> {
        let Some(ring) = self.journal.ring() else { return self.reject_or_drop() };
        match ring.room.wait_async(Instant::now() + self.max_wait(), || self.retry(body)).await {
            Some(outcome) => outcome.map(Some),
            None => self.reject_or_drop(),
        }
    }

    fn retry(&self, body: &[u8]) -> Option<Result<u64>> {
        match self.journal.try_push(body) {
            Ok(position) => Some(Ok(position)),
            Err(Refusal::Error(error)) => Some(Err(error)),
            Err(Refusal::Full) => None,
        }
    }

    /// Notes the loss for a `gap` record. Returns an error, or `None` if entries are to be dropped.
    fn reject_or_drop(&self) -> Result<Option<u64>> {
        let error: Error = self.journal.count_refused();
        if self.trail.config.on_full == OnFull::Drop {
            self.trail.counters.dropped.add(1);
            return Ok(None);
        }
        Err(error)
    }
}
