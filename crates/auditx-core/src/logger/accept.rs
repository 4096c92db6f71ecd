//! Accepts an entry: encodes it, pushes it into the journal, and returns a receipt.
//!
//! If the journal is full, the configuration decides whether to wait, to fail, or to drop the entry.

use std::sync::Arc;
use std::time::SystemTime;

use auditx_format::clock::Timestamp;
use auditx_format::context::RequestContext;
use auditx_format::encode;
use auditx_format::encoded::EncodedEntry;
use auditx_format::entry::Entry;
use auditx_format::id::new_id;
use auditx_format::vocabulary::LogLevel;
use auditx_format::{Error, Result};
use auditx_store::writer::Refusal;
use uuid::Uuid;

use super::{AuditLogger, Core, global};
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

    /// Records an entry that was encoded before, with its id, time and context. The caller makes sure that it
    /// is recorded once: an id is not looked up in the trail.
    ///
    /// # Errors
    /// Those of [`EntryBuilder::record`](crate::EntryBuilder::record) about the journal and the disk;
    /// `is_full` also where [`OnFull::Drop`](crate::OnFull::Drop) would drop it.
    pub fn record_encoded(&self, entry: &EncodedEntry) -> Result<Receipt> {
        self.with_successors(|core| core.record_encoded(entry))
    }

    /// Encodes an entry in the current context without recording it. Its id and time are new unless `stamp`
    /// has them.
    pub(crate) fn encode(
        &self,
        entry: &Entry<'_>,
        stamp: Option<(Uuid, SystemTime)>,
    ) -> Result<EncodedEntry> {
        let core = self.core()?;
        let now = Timestamp::of(stamp.map_or_else(|| core.writer.now(), |(_, at)| at));
        let id = stamp.map_or_else(|| new_id(now), |(id, _)| id);
        encode::with_scratch(|scratch| {
            RequestContext::with_current(|context| {
                core.writer.envelope().encode(scratch, entry, context, id, now)?;
                EncodedEntry::of_body(scratch.body())
            })
        })
    }

    /// Checks whether an entry would be accepted now: for health checks, and before work that must not go
    /// unrecorded.
    ///
    /// # Errors
    /// The error that `record` would return: `is_full` if the journal is full, `is_storage` if the disk
    /// cannot be written, `is_closed` after [`AuditLogger::close`].
    pub fn ready(&self) -> Result<()> {
        self.with_successors(|core| core.writer.ready())
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
    fn record_encoded(&self, entry: &EncodedEntry) -> Result<Receipt> {
        let pushed = self.writer.push(entry.body()).inspect_err(|_| self.writer.count_rejected())?;
        // What was stored to be recorded later must not be dropped: its caller would remove it.
        let position = pushed.ok_or_else(|| Error::full("the entry was dropped: the journal was full"))?;
        let encoded = Encoded { id: entry.id(), awaited: None };
        let receipt = self.accepted(encoded, Some(position), entry.level());
        if self.writer.waits_for_each() {
            receipt.await_durable()?;
        }
        Ok(receipt)
    }

    fn record(&self, entry: &Entry<'_>, context: Within<'_>) -> Result<Receipt> {
        let (encoded, position) = self.encode_and(entry, context, |body| self.writer.push(body))?;
        let receipt = self.accepted(encoded, position, entry.level);
        if self.writer.waits_for_each() && position.is_some() {
            receipt.await_durable()?;
        }
        Ok(receipt)
    }

    async fn record_async(&self, entry: &Entry<'_>, context: Within<'_>) -> Result<Receipt> {
        let (encoded, attempt) =
            self.encode_and(entry, context, |body| match self.writer.try_push(body) {
                Ok(position) => Ok(Attempt::Accepted(position)),
                Err(Refusal::Full) => Ok(Attempt::Full(body.to_vec())),
                Err(Refusal::Error(error)) => Err(error),
            })?;
        let position = match attempt {
            Attempt::Accepted(position) => Some(position),
            Attempt::Full(body) => {
                self.writer.push_when_full_async(&body).await.inspect_err(|_| self.writer.count_rejected())?
            }
        };
        let receipt = self.accepted(encoded, position, entry.level);
        if self.writer.waits_for_each() && position.is_some() {
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
        let now = Timestamp::of(self.writer.now());
        let id = new_id(now);
        let pushed = encode::with_scratch(|scratch| {
            let mut encode_in = |context: Option<&RequestContext>| -> Result<_> {
                self.writer.envelope().encode(scratch, entry, context, id, now)?;
                Ok(context.and_then(RequestContext::attached::<AwaitedReceipts>))
            };
            let awaited = match context {
                Within::Current => RequestContext::with_current(encode_in),
                Within::Given(context) => encode_in(Some(context)),
            }?;
            Ok((Encoded { id, awaited }, push(scratch.body())?))
        });
        pushed.inspect_err(|_| self.writer.count_rejected())
    }

    #[inline]
    fn accepted(&self, Encoded { id, awaited }: Encoded, position: Option<u64>, level: LogLevel) -> Receipt {
        if let Some(position) = position {
            self.writer.hasten(position, level);
        }
        let receipt = self.receipts.receipt(id, position);
        if let Some(awaited) = awaited {
            awaited.add(&receipt);
        }
        receipt
    }
}
