//! The loop of an archive: one sealed segment after the other, each once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use auditx_core::Cursor;

use crate::archive::{Archive, PackedSegment};
use crate::backoff::Backoff;
use crate::destination::Position;
use crate::error::{Error, Result, RetryKind, ShipError};
use crate::feed::{stored_leaf, waiting_in};
use crate::patience::{Stop, is_stopping, sleep, within};
use crate::progress::State;
use crate::sealed::{Extent, SealedFeed};
use crate::settings::Settings;
use crate::shipper::Shared;

#[derive(Debug)]
pub(crate) struct Archiver<A> {
    feed: SealedFeed,
    archive: A,
    settings: Settings,
    shared: Arc<Shared>,
    stop: Stop,
    cursor: Cursor,
    backoff: Backoff,
    /// The line that follows what the archive holds, none of them where it is empty; unknown until it was asked.
    next: Option<Option<u64>>,
}

impl<A: Archive> Archiver<A> {
    pub(crate) fn new(
        feed: SealedFeed,
        cursor: Cursor,
        archive: A,
        settings: Settings,
        (shared, stop): (Arc<Shared>, Stop),
    ) -> Self {
        let saved = cursor.position().unwrap_or(0);
        shared.change(|progress| (progress.saved, progress.next) = (saved, saved));
        let backoff = Backoff::new(&settings);
        Self { feed, archive, settings, shared, stop, cursor, backoff, next: None }
    }

    pub(crate) async fn run(mut self) -> Result<()> {
        while !is_stopping(&self.stop) {
            match self.turn().await {
                Ok(()) => {}
                Err(error) if error.is_diverged() => return Err(error),
                Err(error) => self.try_again(RetryKind::Source, error.to_string(), None).await,
            }
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<()> {
        let Some((trail, _, extents)) = self.feed.look()? else {
            self.rest().await;
            return Ok(());
        };
        let end = extents.last().map_or(0, |extent| extent.end);
        self.shared.change(|progress| progress.signed = progress.signed.max(end));
        let Some(next) = self.next else {
            let Self { archive, settings, stop, .. } = self;
            return match within(settings.patience, stop, archive.last(&trail)).await {
                Ok(last) => self.reconcile(last),
                Err(error) => self.refused(error).await,
            };
        };
        let Some(extent) = self.due(&extents, next)? else {
            self.rest().await;
            return Ok(());
        };
        self.shared.change(|progress| progress.state = State::Shipping);
        let segment = self.feed.pack(&trail, extent)?;
        let Self { archive, settings, stop, .. } = self;
        match within(settings.patience, stop, archive.keep(&segment)).await {
            Ok(()) => self.kept(&segment),
            Err(error) => self.refused(error).await,
        }
    }

    /// The segment that comes next; none while it is not sealed.
    fn due(&self, extents: &[Extent], next: Option<u64>) -> Result<Option<Extent>> {
        let Some(next) = next else { return Ok(extents.first().copied()) };
        match extents.iter().find(|extent| extent.end > next) {
            Some(extent) if extent.first > next => {
                Err(Error::gap(next, extent.first, self.archive.id().as_str()))
            }
            // What was archived ends within a segment: the rest of it is the next.
            Some(extent) => Ok(Some(Extent { first: next, end: extent.end })),
            None => Ok(None),
        }
    }

    /// Goes on behind what the archive holds, if the trail holds the same.
    fn reconcile(&mut self, last: Option<Position>) -> Result<()> {
        let saved = self.cursor.position();
        let next = match last {
            None => None,
            Some(Position { seq, leaf_hash }) => match stored_leaf(self.feed.as_ref(), seq)? {
                Some(ours) if ours == leaf_hash => Some(seq + 1),
                None if saved.is_some_and(|saved| saved > seq) => Some(seq + 1),
                _ => return Err(Error::diverged(seq, self.archive.id().as_str())),
            },
        };
        if saved.is_some_and(|saved| saved > next.unwrap_or(0)) {
            self.shared.change(|progress| progress.regressions += 1);
        }
        self.next = Some(next);
        self.note_next(next.unwrap_or(0));
        Ok(())
    }

    fn kept(&mut self, segment: &PackedSegment) -> Result<()> {
        let next = segment.last.seq + 1;
        self.shared.change(|progress| {
            progress.sent += next - segment.first;
            progress.sent_bytes += segment.bytes;
            progress.last_success = Some(SystemTime::now());
            progress.trouble.clear();
        });
        self.backoff.reset();
        self.next = Some(Some(next));
        self.note_next(next);
        self.measure();
        Ok(())
    }

    fn measure(&self) {
        self.shared.measure(|next, end| waiting_in(self.feed.as_ref(), next, end).ok());
    }

    /// Segments are few, so each is noted durably at once.
    fn note_next(&mut self, next: u64) {
        self.cursor.advance(next);
        self.shared.change(|progress| progress.next = next);
        if !self.cursor.is_behind(next) {
            return;
        }
        match self.cursor.save() {
            Ok(()) => self.shared.change(|progress| progress.saved = next),
            Err(error) => self.shared.change(|progress| {
                progress.trouble = format!("the cursor cannot be saved: {error}");
            }),
        }
    }

    async fn refused(&mut self, error: ShipError) -> Result<()> {
        match error {
            ShipError::Diverged { at } => return Err(Error::diverged(at, self.archive.id().as_str())),
            ShipError::Retry { kind, why, after } => self.try_again(kind, why, after).await,
            // A segment is one thing: nothing of it is left out.
            ShipError::Poison { why, .. } => self.try_again(RetryKind::Refused, why, None).await,
            ShipError::Split => {
                self.try_again(RetryKind::Refused, "the segment is too large".to_owned(), None).await
            }
            ShipError::Fenced => {
                self.shared.change(|progress| progress.fenced += 1);
                self.next = None;
            }
        }
        Ok(())
    }

    async fn try_again(&mut self, kind: RetryKind, why: String, after: Option<Duration>) {
        self.next = None;
        if is_stopping(&self.stop) {
            return;
        }
        self.shared.change(|progress| {
            progress.retries.count(kind);
            progress.trouble = why;
            progress.state = State::Waiting;
        });
        self.measure();
        let pause = self.backoff.pause(after);
        sleep(&mut self.stop, pause).await;
    }

    async fn rest(&mut self) {
        self.measure();
        self.shared.change(|progress| {
            progress.state = State::CaughtUp;
            progress.trouble.clear();
        });
        sleep(&mut self.stop, self.settings.look).await;
    }
}
