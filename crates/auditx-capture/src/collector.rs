//! Moves entries from an outbox into the trail, each exactly once.
//!
//! A round takes rows, records those that the trail does not have, waits until they are durable, and then
//! removes them. If it ends anywhere in between, the rows are taken again. So a collector searches the trail
//! for the ids that wait, at first and after each failure: it or another one may have recorded them. What it
//! has in memory would not do: while its connection was lost, another collector may have had the lock.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use auditx_core::{AuditLogger, EncodedEntry, Receipt};
use serde_json::json;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::outbox::{Content, Outbox, Waiting};
use crate::progress::Progress;
use crate::recorded::{last_of, recorded};
use crate::series::is_reserved;

/// Rows of a round. Their entries share one wait for the disk.
const BATCH: usize = 2_000;

/// How long an outbox is waited for at a time, so that a collector ends soon after it is stopped.
const WAIT: Duration = Duration::from_millis(500);

/// The pauses after failures.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long the trail's disk may take.
const FLUSH: Duration = Duration::from_secs(60);

/// Moves what committed from an outbox into a trail, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Signalled at each change.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    is_stopped: bool,
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.locked().progress);
        self.changed.notify_all();
    }

    /// Waits, but not longer than until the collector is stopped.
    fn pause(&self, pause: Duration) {
        let waiting = |state: &mut State| !state.is_stopped;
        let wait = self.changed.wait_timeout_while(self.locked(), pause, waiting);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Collector {
    /// Starts to move entries from this outbox into the trail of this logger.
    ///
    /// Failures of the database or the trail are retried, with growing pauses, and written to app.log;
    /// [`Collector::progress`] has the last one.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn spawn(logger: &AuditLogger, outbox: impl Outbox) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let work = Work { logger: logger.clone(), outbox, known: None, shared: shared.clone() };
        let thread = thread::Builder::new().name("auditx-capture".to_owned());
        let thread = thread.spawn(move || work.run()).map_err(Error::trail)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Returns how far the collector is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.locked().progress.clone()
    }

    /// Waits until `condition` is true of the progress. Returns `false` if the time is over first.
    pub fn wait_until(&self, timeout: Duration, condition: impl Fn(&Progress) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.locked();
        while !condition(&state.progress) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Ends the round that has begun.
impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.locked().is_stopped = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended too.
            drop(thread.join());
        }
    }
}

/// What the thread has.
struct Work<O> {
    logger: AuditLogger,
    outbox: O,
    /// Entries that are durable in the trail and may still be in the outbox; `None` until the trail was
    /// searched for them.
    known: Option<HashSet<Uuid>>,
    shared: Arc<Shared>,
}

impl<O: Outbox> Work<O> {
    fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.shared.locked().is_stopped {
            match self.round() {
                Ok(is_empty) => {
                    pause = FIRST_PAUSE;
                    self.shared.update(|progress| {
                        progress.error.clear();
                        progress.emptied += u64::from(is_empty);
                    });
                    if is_empty && let Err(error) = self.outbox.wait(WAIT) {
                        self.report(&error);
                        self.known = None;
                        self.shared.pause(FIRST_PAUSE);
                    }
                }
                Err(error) => {
                    self.report(&error);
                    self.shared.pause(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn report(&self, error: &Error) {
        let text = error.to_string();
        if self.shared.locked().progress.error != text {
            self.logger.warning("changes that committed are not recorded yet", json!({ "error": text }));
        }
        self.shared.update(|progress| {
            progress.error = text;
            progress.failures += 1;
            progress.failed_at = Some(SystemTime::now());
        });
    }

    /// Moves some rows. Returns `true` if there were none.
    fn round(&mut self) -> Result<bool> {
        let mut known = match self.known.take() {
            Some(known) => known,
            None => self.recorded_but_not_removed()?,
        };
        let rows = self.outbox.take(BATCH);
        let outcome = rows.and_then(|rows| {
            let oldest = rows.first().and_then(Waiting::at);
            self.shared.update(|progress| progress.oldest = oldest);
            let recorded = self.record(&rows, &mut known);
            recorded.and_then(|refused| self.remove(&rows, &refused, &mut known)).map(|()| rows.is_empty())
        });
        self.known = outcome.is_ok().then_some(known);
        outcome
    }

    /// Returns the entries that are in the trail and still wait, since a collector ended, or this one failed,
    /// before it removed them.
    fn recorded_but_not_removed(&mut self) -> Result<HashSet<Uuid>> {
        let Some((ids, earliest)) = self.outbox.waiting()? else { return Ok(HashSet::new()) };
        // An entry that was accepted may be pending, and a round that failed may not have waited for it.
        self.logger.flush(FLUSH).map_err(Error::trail)?;
        let trail = self.logger.trail_dir().map_err(Error::trail)?;
        if let Some(series) = self.outbox.series() {
            let last = last_of(trail, series, earliest)?;
            self.outbox.resume(last)?;
            return Ok(HashSet::new());
        }
        recorded(trail, &ids, earliest)
    }

    /// Records the rows that are not known, and waits until they are durable. Returns the keys of those that
    /// cannot be entries.
    ///
    /// These are refused before a later row is recorded: in a log, the last row that the trail has says which
    /// ones are done.
    fn record(&mut self, rows: &[Waiting], known: &mut HashSet<Uuid>) -> Result<HashSet<i64>> {
        let (mut refused, mut last) = (HashSet::new(), None::<Receipt>);
        for row in rows {
            if known.contains(&row.id) {
                continue;
            }
            match self.encoded(row)? {
                Ok(None) => {}
                Ok(Some(entry)) => {
                    last = Some(self.logger.record_encoded(&entry).map_err(Error::trail)?);
                    known.insert(row.id);
                }
                Err(why) => {
                    let details = json!({ "row": row.key, "why": why });
                    self.logger.error("a row of the outbox cannot be an entry", details);
                    self.outbox.refuse(row.key, &why)?;
                    refused.insert(row.key);
                }
            }
        }
        if let Some(receipt) = last {
            receipt.wait_durable().map_err(Error::trail)?;
        }
        Ok(refused)
    }

    /// Returns the entry, `None` if nothing is to be recorded, or why the row cannot be an entry.
    ///
    /// Fails if another attempt may succeed, for example because the logger is closed.
    fn encoded(&self, row: &Waiting) -> Result<Result<Option<EncodedEntry>, String>> {
        let entry = match &row.content {
            Content::Entry(text) => EncodedEntry::parse(text.as_str()),
            Content::Change(change) => change.encoded(&self.logger, row.id),
            Content::Nothing => return Ok(Ok(None)),
            Content::Unreadable(why) => return Ok(Err(why.clone())),
        };
        if matches!(row.content, Content::Entry(_)) && is_reserved(row.id) {
            return Ok(Err(format!(
                "the id {} is a UUID of version 8, which only changes of a log have",
                row.id
            )));
        }
        Ok(match entry {
            Ok(entry) if entry.id() == row.id => Ok(Some(entry)),
            Ok(entry) => Err(format!("the id of the row is {}, that of its entry {}", row.id, entry.id())),
            Err(error) if error.is_invalid() || error.is_too_large() => Err(error.to_string()),
            Err(error) => return Err(Error::trail(error)),
        })
    }

    fn remove(&mut self, rows: &[Waiting], refused: &HashSet<i64>, known: &mut HashSet<Uuid>) -> Result<()> {
        let recorded = || rows.iter().filter(|row| !refused.contains(&row.key));
        let keys: Vec<i64> = recorded().map(|row| row.key).collect();
        if !keys.is_empty() {
            self.outbox.remove(&keys)?;
        }
        for row in recorded() {
            known.remove(&row.id);
        }
        let unneeded = recorded().filter(|row| matches!(row.content, Content::Nothing)).count();
        self.shared.update(|progress| {
            progress.collected += (keys.len() - unneeded) as u64;
            progress.refused += refused.len() as u64;
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
