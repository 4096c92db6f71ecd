//! The loop: asks the destination how far it is, sends what follows, and never gives up on what may work later.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use auditx_core::Cursor;

use crate::ahead::Ahead;
use crate::backoff::Backoff;
use crate::batch::{Batch, Shipped};
use crate::dead;
use crate::destination::{Destination, Position};
use crate::error::{Error, Result, RetryKind, ShipError};
use crate::feed::recorded_at;
use crate::patience::{Stop, in_time, is_stopping, read_within, sleep, within};
use crate::progress::State;
use crate::settings::Settings;
use crate::shipper::Shared;
use crate::source::{Lines, Source};

/// Cursors are made durable at most this often: a stale one costs lines sent again, never a gap.
const CURSOR_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Worker<S, D> {
    /// Where refused lines are kept.
    directory: PathBuf,
    destination: D,
    settings: Settings,
    shared: Arc<Shared>,
    stop: Stop,
    source: Ahead<S>,
    /// Absent where nothing waits for what is shipped.
    cursor: Option<Cursor>,
    saved_at: Instant,
    backoff: Backoff,
    /// The line that follows what the destination holds; none while that is not known.
    next: Option<u64>,
    /// The destination held nothing when it was asked: it begins with the oldest line there is.
    is_empty: bool,
    /// So many lines are sent at once now: less than the settings say after a refusal.
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
            source: Ahead::new(source),
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

    /// Goes on until it is to stop, or the destination and the trail do not hold the same lines.
    pub(crate) async fn run(mut self) -> Result<()> {
        let outcome = loop {
            if is_stopping(&self.stop) {
                break Ok(());
            }
            match self.turn().await {
                Ok(()) => {}
                Err(error) if error.is_diverged() => break Err(error),
                // What is to be shipped cannot be read just now.
                Err(error) => self.try_again(RetryKind::Source, error.to_string(), None).await,
            }
        };
        self.save_cursor();
        let Self { destination, settings, stop, .. } = &mut self;
        // Whoever does not answer is left.
        let closing = async {
            destination.close().await;
            Ok(())
        };
        drop(within(settings.patience, stop, closing).await);
        outcome
    }

    async fn turn(&mut self) -> Result<()> {
        let Self { source, settings, stop, .. } = self;
        let Some((trail, signed)) = read_within(settings.patience, stop, source.look()).await? else {
            self.rest(State::CaughtUp).await;
            return Ok(());
        };
        self.shared.change(|progress| progress.signed = signed);
        let Some(next) = self.next else {
            let Self { destination, settings, stop, .. } = self;
            match within(settings.patience, stop, destination.last(trail.id)).await {
                Ok(last) => self.reconcile(last).await?,
                Err(error) => {
                    self.refused(error, &mut []).await?;
                }
            }
            return Ok(());
        };
        let most = self.lines.min(self.destination.most_lines());
        let Self { source, settings, stop, .. } = self;
        let read = source.read(most, settings.bytes);
        let Some(Lines { mut lines, note }) = read_within(settings.patience, stop, read).await? else {
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
            let Some(batch) = Batch::new(trail.clone(), note.clone(), lines) else { break };
            match self.send(&batch).await {
                Ok(position) => return self.kept(&batch, position),
                Err(error) => {
                    lines = batch.lines().to_vec();
                    if !self.refused(error, &mut lines).await? {
                        break;
                    }
                }
            }
        }
        // What was read is read again.
        self.source.go_to(self.next.unwrap_or(next));
        Ok(())
    }

    /// Reads what follows in the meantime.
    async fn send(&mut self, batch: &Batch) -> Result<Position, ShipError> {
        let Self { source, destination, settings, stop, .. } = self;
        let (next, most) = (batch.last().seq + 1, self.lines.min(destination.most_lines()));
        let mut stop_reading = stop.clone();
        let reading =
            in_time(settings.patience, &mut stop_reading, source.read_ahead(next, most, settings.bytes));
        let (sent, read) = tokio::join!(within(settings.patience, stop, destination.send(batch)), reading);
        if read.is_none() {
            source.go_to(next);
        }
        sent
    }

    /// Goes on where the destination is, if it holds what the trail holds.
    async fn reconcile(&mut self, last: Option<Position>) -> Result<()> {
        let Self { source, settings, stop, .. } = self;
        // It may hold more than was signed when we looked.
        read_within(settings.patience, stop, source.look()).await?;
        let saved = self.cursor.as_ref().and_then(Cursor::position);
        let next = match last {
            None => 0,
            Some(Position { seq, leaf_hash }) => {
                match read_within(settings.patience, stop, source.leaf(seq)).await? {
                    Some(ours) if ours == leaf_hash => seq + 1,
                    // Retired, and its hash is in no cache: the signed cursor is all there is to go by.
                    None if saved.is_some_and(|saved| saved > seq) => seq + 1,
                    _ => return Err(Error::diverged(seq, self.destination.id().as_str())),
                }
            }
        };
        self.is_empty = last.is_none();
        if saved.is_some_and(|saved| saved > next) {
            self.shared.change(|progress| progress.regressions += 1);
        }
        self.go_to(next);
        self.save_cursor();
        Ok(())
    }

    fn kept(&mut self, batch: &Batch, position: Position) -> Result<()> {
        let (lines, last) = (batch.lines(), batch.last());
        let Some(count) = (position.seq + 1).checked_sub(batch.first()).filter(|_| position.seq <= last.seq)
        else {
            // Somebody else is ahead of us: what it holds then is compared.
            self.next = None;
            return Ok(());
        };
        let kept = &lines[..usize::try_from(count).unwrap_or(lines.len())];
        if kept.last().is_some_and(|line| line.leaf_hash != position.leaf_hash) {
            return Err(Error::diverged(position.seq, self.destination.id().as_str()));
        }
        let bytes: usize = kept.iter().map(|line| line.line.len()).sum();
        self.shared.change(|progress| {
            progress.sent += kept.len() as u64;
            progress.sent_bytes += bytes as u64;
            progress.last_success = Some(SystemTime::now());
            progress.trouble.clear();
        });
        self.is_empty = false;
        self.backoff.reset();
        self.lines = (self.lines * 2).min(self.settings.lines.max(1));
        let is_partial = kept.len() < lines.len();
        self.next = Some(position.seq + 1);
        if is_partial {
            self.source.go_to(position.seq + 1);
        }
        self.note_next(position.seq + 1);
        if self.saved_at.elapsed() >= CURSOR_INTERVAL {
            self.save_cursor();
            self.measure();
        }
        Ok(())
    }

    fn measure(&self) {
        self.shared.measure(|next, end| self.source.waiting(next, end).ok().flatten());
    }

    /// What to do about a refusal. Whether the same lines are to be sent again at once.
    async fn refused(&mut self, error: ShipError, lines: &mut [Shipped]) -> Result<bool> {
        match (error, lines) {
            (ShipError::Diverged { at }, _) => Err(Error::diverged(at, self.destination.id().as_str())),
            (ShipError::Fenced, _) => {
                self.shared.change(|progress| progress.fenced += 1);
                self.try_again(
                    RetryKind::Refused,
                    "somebody else ships this trail to the same place".to_owned(),
                    None,
                )
                .await;
                Ok(false)
            }
            (ShipError::Split, [_, _, ..]) => {
                self.lines = (self.lines / 2).max(1);
                Ok(false)
            }
            (ShipError::Split, [line]) => self.park(line, "it is too large").await,
            (ShipError::Split, []) => {
                self.try_again(RetryKind::Refused, "it refuses to say how far it is".to_owned(), None).await;
                Ok(false)
            }
            (ShipError::Poison { seq, why }, lines) => match lines.iter_mut().find(|line| line.seq == seq) {
                Some(line) => self.park(line, &why).await,
                None => {
                    self.try_again(
                        RetryKind::Refused,
                        format!("it refuses line {seq}, which was not sent: {why}"),
                        None,
                    )
                    .await;
                    Ok(false)
                }
            },
            (ShipError::Retry { kind, why, after }, _) => {
                if kind == RetryKind::TimedOut {
                    // Fewer may come through in time.
                    self.lines = (self.lines / 2).max(1);
                }
                self.try_again(kind, why, after).await;
                Ok(false)
            }
        }
    }

    async fn park(&mut self, line: &mut Shipped, why: &str) -> Result<bool> {
        if auditx_core::erased_hash(line.line.as_bytes()).is_some() {
            // Not even the stub is taken: that is no matter of this line.
            self.try_again(
                RetryKind::Refused,
                format!("it refuses the stub of line {}: {why}", line.seq),
                None,
            )
            .await;
            return Ok(false);
        }
        dead::park(&self.directory, self.destination.id(), line, why)?;
        self.shared.change(|progress| progress.parked += 1);
        Ok(true)
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

    async fn rest(&mut self, state: State) {
        self.shared.change(|progress| {
            progress.state = state;
            // What keeps the cursor from being saved goes on.
            if progress.unsaved() == 0 {
                progress.trouble.clear();
            }
        });
        sleep(&mut self.stop, self.settings.look).await;
    }

    fn go_to(&mut self, next: u64) {
        self.source.go_to(next);
        self.next = Some(next);
        self.note_next(next);
    }

    fn note_next(&mut self, next: u64) {
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
            // Retention waits, and lines are sent again after a restart: nothing is lost.
            Err(error) => self.shared.change(|progress| {
                progress.trouble = format!("the cursor cannot be saved: {error}");
            }),
        }
    }
}
