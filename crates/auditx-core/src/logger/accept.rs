//! From a stated entry to a receipt: encoding, the journal, and what to do while that is full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{AuditLogger, Core, global};
use crate::clock::Timestamp;
use crate::config::{Durability, OnFull};
use crate::context::RequestContext;
use crate::encode;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::id::new_id;
use crate::journal::Refusal;
use crate::receipt::{Pledges, Receipt};
use crate::vocabulary::LogLevel;

/// The context that an entry is recorded in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Within<'c> {
    /// The one this code runs in, if any.
    Current,
    Given(&'c RequestContext),
}

/// An entry on its way.
struct Stated {
    id: Uuid,
    /// Where its receipt is to be kept, because somebody will wait for it.
    pledges: Option<Arc<Pledges>>,
}

/// What became of an encoded entry.
enum Attempt {
    Accepted(u64),
    /// Its bytes, for the next attempt.
    Full(Vec<u8>),
}

impl AuditLogger {
    /// Records in the current context.
    pub(crate) fn record(&self, entry: &Entry<'_>, context: Within<'_>) -> Result<Receipt> {
        self.by_successors(|core| core.record(entry, context))
    }

    /// The same; where that blocks, this awaits.
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

    /// Whether an entry would be accepted now: for health checks, and for work that must not begin unrecorded.
    ///
    /// # Errors
    /// What `record` would say: `is_full` where the journal has no room at the moment, `is_storage` where the disk refuses,
    /// `is_closed` after [`AuditLogger::close`].
    pub fn ready(&self) -> Result<()> {
        self.by_successors(|core| core.journal.ready())
    }

    /// A process-wide logger that was replaced meanwhile hands over to its successor, which may have been replaced in its turn.
    fn by_successors<T>(&self, ask: impl Fn(&Core) -> Result<T>) -> Result<T> {
        let mut logger = self;
        loop {
            match ask(logger.core()?) {
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
        let (stated, position) = self.encoded(entry, context, |body| match self.journal.try_push(body) {
            Ok(position) => Ok(Some(position)),
            Err(Refusal::Full) => self.push_late(body),
            Err(Refusal::Error(error)) => Err(error),
        })?;
        let receipt = self.accepted(stated, position, entry.level);
        if self.durability == Durability::EveryEntry && position.is_some() {
            receipt.await_durable()?;
        }
        Ok(receipt)
    }

    async fn record_async(&self, entry: &Entry<'_>, context: Within<'_>) -> Result<Receipt> {
        let (stated, attempt) = self.encoded(entry, context, |body| match self.journal.try_push(body) {
            Ok(position) => Ok(Attempt::Accepted(position)),
            Err(Refusal::Full) => Ok(Attempt::Full(body.to_vec())),
            Err(Refusal::Error(error)) => Err(error),
        })?;
        let position = match attempt {
            Attempt::Accepted(position) => Some(position),
            Attempt::Full(body) => {
                self.push_late_async(&body).await.inspect_err(|_| self.counters.rejected.add(1))?
            }
        };
        let receipt = self.accepted(stated, position, entry.level);
        if self.durability == Durability::EveryEntry && position.is_some() {
            receipt.durable().await?;
        }
        Ok(receipt)
    }

    /// Encodes on this thread's desk and hands it on.
    #[inline]
    fn encoded<T>(
        &self,
        entry: &Entry<'_>,
        context: Within<'_>,
        push: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<(Stated, T)> {
        let now = Timestamp::of(self.clock.now());
        let id = new_id(now);
        let pushed = encode::with_desk(|desk| {
            let mut state = |context: Option<&RequestContext>| {
                self.envelope.encode(desk, entry, context, id, now)?;
                Ok(context.and_then(RequestContext::attached::<Pledges>))
            };
            let pledges = match context {
                Within::Current => RequestContext::with_current(state),
                Within::Given(context) => state(Some(context)),
            }?;
            Ok((Stated { id, pledges }, push(desk.body())?))
        });
        pushed.inspect_err(|_| self.counters.rejected.add(1))
    }

    #[inline]
    fn accepted(&self, Stated { id, pledges }: Stated, position: Option<u64>, level: LogLevel) -> Receipt {
        if let (Durability::Interval(_), Some(position)) = (self.durability, position)
            && level.is_sensitive()
        {
            self.watermark.want_durable(position);
        }
        let receipt = self.receipts.receipt(id, position);
        if let Some(pledges) = pledges {
            pledges.add(&receipt);
        }
        receipt
    }

    /// How long to wait for room; none where the entry is not to wait.
    fn patience(&self) -> Duration {
        match self.on_full {
            OnFull::Wait { max } => max,
            OnFull::Reject | OnFull::Drop => Duration::ZERO,
        }
    }

    /// None where the entry is dropped.
    #[cold]
    fn push_late(&self, body: &[u8]) -> Result<Option<u64>> {
        let Some(room) = self.journal.room() else { return self.refuse() };
        match room.wait(Instant::now() + self.patience(), || self.retry(body)) {
            Some(outcome) => outcome.map(Some),
            None => self.refuse(),
        }
    }

    async fn push_late_async(&self, body: &[u8]) -> Result<Option<u64>> {
        let Some(room) = self.journal.room() else { return self.refuse() };
        match room.wait_async(Instant::now() + self.patience(), || self.retry(body)).await {
            Some(outcome) => outcome.map(Some),
            None => self.refuse(),
        }
    }

    fn retry(&self, body: &[u8]) -> Option<Result<u64>> {
        match self.journal.try_push(body) {
            Ok(position) => Some(Ok(position)),
            Err(Refusal::Error(error)) => Some(Err(error)),
            Err(Refusal::Full) => None,
        }
    }

    /// The trail will tell of it; whether the caller hears of it is his configuration's to say.
    fn refuse(&self) -> Result<Option<u64>> {
        let error: Error = self.journal.note_refused();
        if self.on_full == OnFull::Drop {
            self.counters.dropped.add(1);
            return Ok(None);
        }
        Err(error)
    }
}
