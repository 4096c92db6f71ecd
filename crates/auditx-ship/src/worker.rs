//! The shipper's loop: requests the destination's last line, sends the lines after it, and retries without
//! limit whatever may succeed later.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use auditx_store::Cursor;

use crate::backoff::Backoff;
use crate::batch::{Batch, ShippedLine};
use crate::dead;
use crate::destination::Destination;
use crate::error::{Error, Result, RetryKind, ShipError};
use crate::feed::recorded_at;
use crate::position::Position;
use crate::progress::{Shared, State};
use crate::read_ahead::ReadAhead;
use crate::settings::Settings;
use crate::source::{Lines, Source};
use crate::timeout::{Stop, in_time, is_stopping, read_within, sleep, within};

/// The minimum interval between saves of the cursor. After a crash, a stale cursor causes lines to be sent
/// again, never a gap.
const CURSOR_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Worker<S, D> {
    /// The directory in which refused lines are stored.
    directory: PathBuf,
    destination: D,
    settings: Settings,
    shared: Arc<Shared>,
    stop: Stop,
    source: ReadAhead<S>,
    /// `None` if retention does not wait for this shipper.
    cursor: Option<Cursor>,
    saved_at: Instant,
    backoff: Backoff,
    /// The line after the destination's last line; `None` while that is unknown.
    next: Option<u64>,
    /// Whether the destination held no lines when it was asked. Shipping then starts with the oldest existing
    /// line.
    is_empty: bool,
    /// The current maximum number of lines in a batch; smaller than the setting after a refusal.
    lines: usize,
}

impl<S: Source, D: Destination> Worker<S, D> {
    pub(crate) fn new(
        (source, cursor): (S, Option<Cursor>),
        directory: PathBuf,
        destination: D,
        settings: Settings,
        (shared, stop): (Arc<Shared>, Stop),
    ) -> Self {
        let saved = cursor.as_ref().and_then(Cursor::position).unwrap_or(0);
        shared.change(|progress| (progress.saved, progress.next) = (saved, saved));
        Self {
            source: ReadAhead::new(source),
            backoff: Backoff::new(&settings),
            lines: settings.lines.max(1),
            saved_at: Instant::now(),
            next: None,
            is_empty: false,
            directory,
            destination,
            settings,
            shared,
            stop,
            cursor,
        }
    }

    /// Runs until the shipper is stopped or the destination and the trail hold different lines.
    pub(crate) async fn run(mut self) -> Result<()> {
        let outcome = loop {
            if is_stopping(&self.stop) {
                break Ok(());
            }
            match self.turn().await {
                Ok(()) => {}
                Err(error) if error.is_diverged() => break Err(error),
                // The source cannot be read at the moment.
                Err(error) => self.retry_later(RetryKind::Source, error.to_string(), None).await,
            }
        };
        self.save_cursor();
        let Self { destination, settings, stop, .. } = &mut self;
        // A destination that does not respond is not waited for beyond the timeout.
        let closing = async {
            destination.close().await;
            Ok(())
        };
        drop(within(settings.timeout, stop, closing).await);
        outcome
    }

    async fn turn(&mut self) -> Result<()> {
        let Self { source, settings, stop, .. } = self;
        let Some((trail, signed)) = read_within(settings.timeout, stop, source.refresh()).await? else {
            self.rest(State::CaughtUp).await;
            return Ok(());
        };
        self.shared.change(|progress| progress.signed = signed);
        let Some(next) = self.next else {
            let Self { destination, settings, stop, .. } = self;
            match within(settings.timeout, stop, destination.last(trail.id)).await {
                Ok(last) => self.reconcile(last).await?,
                Err(error) => {
                    self.refused(error, &mut []).await?;
                }
            }
            return Ok(());
        };
        let max_lines = self.lines.min(self.destination.max_lines());
        let Self { source, settings, stop, .. } = self;
        let read = source.read(max_lines, settings.bytes);
        let Some(Lines { mut lines, checkpoint }) = read_within(settings.timeout, stop, read).await? else {
            if self.saved_at.elapsed() >= CURSOR_INTERVAL {
                self.save_cursor();
            }
            self.measure();
            self.rest(State::CaughtUp).await;
            return Ok(());
        };
        if let Some(first) = lines.first().filter(|first| first.seq != next && !self.is_empty) {
            return Err(Error::gap(next, first.seq, self.destination.id().as_str()));
        }
        let oldest = lines.first().and_then(|line| recorded_at(&line.line));
        self.shared.change(|progress| {
            progress.state = State::Shipping;
            progress.oldest = oldest;
        });
        while !lines.is_empty() && !is_stopping(&self.stop) {
            let Some(batch) = Batch::new(trail.clone(), checkpoint.clone(), lines) else { break };
            match self.send(&batch).await {
                Ok(position) => return self.acknowledged(&batch, position),
                Err(error) => {
                    lines = batch.lines().to_vec();
                    if !self.refused(error, &mut lines).await? {
                        break;
                    }
                }
            }
        }
        // The lines that were read and not stored are read again.
        self.source.seek(self.next.unwrap_or(next));
        Ok(())
    }

    /// Sends a batch, and reads the lines after it meanwhile.
    async fn send(&mut self, batch: &Batch) -> Result<Position, ShipError> {
        let Self { source, destination, settings, stop, .. } = self;
        let (next, max_lines) = (batch.last().seq + 1, self.lines.min(destination.max_lines()));
        let mut stop_reading = stop.clone();
        let reading =
            in_time(settings.timeout, &mut stop_reading, source.read_ahead(next, max_lines, settings.bytes));
        let (sent, read) = tokio::join!(within(settings.timeout, stop, destination.send(batch)), reading);
        if read.is_none() {
            source.seek(next);
        }
        sent
    }

    /// Continues after the destination's last line if the trail holds the same line.
    async fn reconcile(&mut self, last: Option<Position>) -> Result<()> {
        let Self { source, settings, stop, .. } = self;
        // The destination may hold lines that were signed after the last refresh.
        read_within(settings.timeout, stop, source.refresh()).await?;
        let saved = self.cursor.as_ref().and_then(Cursor::position);
        let next = match last {
            None => 0,
            Some(Position { seq, leaf_hash }) => {
                match read_within(settings.timeout, stop, source.leaf(seq)).await? {
                    Some(ours) if ours == leaf_hash => seq + 1,
                    // The line is retired and its leaf hash is in no tile: only the signed cursor can confirm
                    // it.
                    None if saved.is_some_and(|saved| saved > seq) => seq + 1,
                    _ => return Err(Error::diverged(seq, self.destination.id().as_str())),
                }
            }
        };
        self.is_empty = last.is_none();
        if saved.is_some_and(|saved| saved > next) {
            self.shared.change(|progress| progress.regressions += 1);
        }
        self.seek(next);
        self.save_cursor();
        Ok(())
    }

    fn acknowledged(&mut self, batch: &Batch, position: Position) -> Result<()> {
        let (lines, last) = (batch.lines(), batch.last());
        let Some(count) = (position.seq + 1).checked_sub(batch.first()).filter(|_| position.seq <= last.seq)
        else {
            // Another shipper is ahead: the destination's last line must be requested and compared.
            self.next = None;
            return Ok(());
        };
        let stored = &lines[..usize::try_from(count).unwrap_or(lines.len())];
        if stored.last().is_some_and(|line| line.leaf_hash != position.leaf_hash) {
            return Err(Error::diverged(position.seq, self.destination.id().as_str()));
        }
        let bytes: usize = stored.iter().map(|line| line.line.len()).sum();
        self.shared.change(|progress| {
            progress.sent += stored.len() as u64;
            progress.sent_bytes += bytes as u64;
            progress.last_success = Some(SystemTime::now());
            progress.last_error.clear();
        });
        self.is_empty = false;
        self.backoff.reset();
        self.lines = (self.lines * 2).min(self.settings.lines.max(1));
        let is_partial = stored.len() < lines.len();
        self.next = Some(position.seq + 1);
        if is_partial {
            self.source.seek(position.seq + 1);
        }
        self.set_next(position.seq + 1);
        if self.saved_at.elapsed() >= CURSOR_INTERVAL {
            self.save_cursor();
            self.measure();
        }
        Ok(())
    }

    fn measure(&self) {
        self.shared.measure(|next, end| self.source.backlog(next, end).ok().flatten());
    }

    /// Handles a failed attempt. Returns whether the same lines are to be sent again immediately.
    async fn refused(&mut self, error: ShipError, lines: &mut [ShippedLine]) -> Result<bool> {
        match (error, lines) {
            (ShipError::Diverged { at }, _) => Err(Error::diverged(at, self.destination.id().as_str())),
            (ShipError::Fenced, _) => {
                self.shared.change(|progress| progress.fenced += 1);
                self.retry_later(
                    RetryKind::Refused,
                    "another shipper sends this trail to the same destination".to_owned(),
                    None,
                )
                .await;
                Ok(false)
            }
            (ShipError::Split, [_, _, ..]) => {
                self.lines = (self.lines / 2).max(1);
                Ok(false)
            }
            (ShipError::Split, [line]) => self.park(line, "the line is too large").await,
            (ShipError::Split, []) => {
                self.retry_later(
                    RetryKind::Refused,
                    "the destination refuses to report its last line".to_owned(),
                    None,
                )
                .await;
                Ok(false)
            }
            (ShipError::Poison { seq, why }, lines) => match lines.iter_mut().find(|line| line.seq == seq) {
                Some(line) => self.park(line, &why).await,
                None => {
                    self.retry_later(
                        RetryKind::Refused,
                        format!("the destination refuses line {seq}, which was not sent: {why}"),
                        None,
                    )
                    .await;
                    Ok(false)
                }
            },
            (ShipError::Retry { kind, why, after }, _) => {
                if kind == RetryKind::TimedOut {
                    // A smaller batch may be stored in time.
                    self.lines = (self.lines / 2).max(1);
                }
                self.retry_later(kind, why, after).await;
                Ok(false)
            }
        }
    }

    async fn park(&mut self, line: &mut ShippedLine, why: &str) -> Result<bool> {
        if auditx_tlog::erased_hash(line.line.as_bytes()).is_some() {
            // The destination refuses even the stub, so the cause is not the content of the line.
            self.retry_later(
                RetryKind::Refused,
                format!("the destination refuses the stub of line {}: {why}", line.seq),
                None,
            )
            .await;
            return Ok(false);
        }
        dead::park(&self.directory, self.destination.id(), line, why)?;
        self.shared.change(|progress| progress.parked += 1);
        Ok(true)
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

    async fn rest(&mut self, state: State) {
        self.shared.change(|progress| {
            progress.state = state;
            // A failure to save the cursor stays reported until it is saved.
            if progress.unsaved() == 0 {
                progress.last_error.clear();
            }
        });
        sleep(&mut self.stop, self.settings.poll_interval).await;
    }

    fn seek(&mut self, next: u64) {
        self.source.seek(next);
        self.next = Some(next);
        self.set_next(next);
    }

    fn set_next(&mut self, next: u64) {
        if let Some(cursor) = &mut self.cursor {
            cursor.advance(next);
        }
        self.shared.change(|progress| progress.next = next);
    }

    fn save_cursor(&mut self) {
        self.saved_at = Instant::now();
        let next = self.shared.progress().next;
        let Some(cursor) = self.cursor.as_mut().filter(|cursor| cursor.is_behind(next)) else { return };
        match cursor.save() {
            Ok(()) => self.shared.change(|progress| progress.saved = next),
            // Nothing is lost: retention waits, and lines are sent again after a restart.
            Err(error) => self.shared.change(|progress| {
                progress.last_error = format!("the cursor cannot be saved: {error}");
            }),
        }
    }
}
