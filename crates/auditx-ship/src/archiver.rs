//! The loop of an archive: stores the sealed segments in order, each once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use auditx_store::Cursor;

use crate::archive::{Archive, PackedSegment};
use crate::backoff::Backoff;
use crate::error::{Error, Result, RetryKind, ShipError};
use crate::feed::{stored_leaf, trail_backlog};
use crate::position::Position;
use crate::progress::{Shared, State};
use crate::sealed::{Extent, SealedFeed};
use crate::settings::Settings;
use crate::timeout::{Stop, is_stopping, sleep, within};

#[derive(Debug)]
pub(crate) struct Archiver<A> {
    feed: SealedFeed,
    archive: A,
    settings: Settings,
    shared: Arc<Shared>,
    stop: Stop,
    cursor: Cursor,
    backoff: Backoff,
    /// `None` until the archive's last line is known; then the line after it, or `Some(None)` if the archive
    /// is empty.
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
                Err(error) => self.retry_later(RetryKind::Source, error.to_string(), None).await,
            }
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<()> {
        let Some((trail, _, extents)) = self.feed.refresh()? else {
            self.rest().await;
            return Ok(());
        };
        let end = extents.last().map_or(0, |extent| extent.end);
        self.shared.change(|progress| progress.signed = progress.signed.max(end));
        let Some(next) = self.next else {
            let Self { archive, settings, stop, .. } = self;
            return match within(settings.timeout, stop, archive.last(&trail)).await {
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
        match within(settings.timeout, stop, archive.store(&segment)).await {
            Ok(()) => self.stored(&segment),
            Err(error) => self.refused(error).await,
        }
    }

    /// Returns the next segment to store, or `None` if it is not sealed yet.
    fn due(&self, extents: &[Extent], next: Option<u64>) -> Result<Option<Extent>> {
        let Some(next) = next else { return Ok(extents.first().copied()) };
        match extents.iter().find(|extent| extent.end > next) {
            Some(extent) if extent.first > next => {
                Err(Error::gap(next, extent.first, self.archive.id().as_str()))
            }
            // The archive ends within this segment: store the rest of it.
            Some(extent) => Ok(Some(Extent { first: next, end: extent.end })),
            None => Ok(None),
        }
    }

    /// Continues after the archive's last line if the trail holds the same line.
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
        self.set_next(next.unwrap_or(0));
        Ok(())
    }

    fn stored(&mut self, segment: &PackedSegment) -> Result<()> {
        let next = segment.last.seq + 1;
        self.shared.change(|progress| {
            progress.sent += next - segment.first;
            progress.sent_bytes += segment.bytes;
            progress.last_success = Some(SystemTime::now());
            progress.last_error.clear();
        });
        self.backoff.reset();
        self.next = Some(Some(next));
        self.set_next(next);
        self.measure();
        Ok(())
    }

    fn measure(&self) {
        self.shared.measure(|next, end| trail_backlog(self.feed.as_ref(), next, end).ok());
    }

    /// Sets the next line and saves the cursor. Segments are few, so the cursor is saved after each.
    fn set_next(&mut self, next: u64) {
        self.cursor.advance(next);
        self.shared.change(|progress| progress.next = next);
        if !self.cursor.is_behind(next) {
            return;
        }
        match self.cursor.save() {
            Ok(()) => self.shared.change(|progress| progress.saved = next),
            Err(error) => self.shared.change(|progress| {
                progress.last_error = format!("the cursor cannot be saved: {error}");
            }),
        }
    }

    async fn refused(&mut self, error: ShipError) -> Result<()> {
        match error {
            ShipError::Diverged { at } => return Err(Error::diverged(at, self.archive.id().as_str())),
            ShipError::Retry { kind, why, after } => self.retry_later(kind, why, after).await,
            // A segment is stored whole or not at all, so a refused line cannot be left out.
            ShipError::Poison { why, .. } => self.retry_later(RetryKind::Refused, why, None).await,
            ShipError::Split => {
                self.retry_later(RetryKind::Refused, "the segment is too large".to_owned(), None).await
            }
            ShipError::Fenced => {
                self.shared.change(|progress| progress.fenced += 1);
                self.next = None;
            }
        }
        Ok(())
    }

    async fn retry_later(&mut self, kind: RetryKind, why: String, after: Option<Duration>) {
        self.next = None;
        if is_stopping(&self.stop) {
            return;
        }
        self.shared.change(|progress| {
            progress.retries.count(kind);
            progress.last_error = why;
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
            progress.last_error.clear();
        });
        sleep(&mut self.stop, self.settings.poll_interval).await;
    }
}
