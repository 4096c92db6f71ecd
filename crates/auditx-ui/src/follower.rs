//! New entries as they are recorded. One thread reads the trails for all subscribers, and ends with the last
//! of them.
//!
//! The thread does not wait for a subscriber that does not keep up. It sends [`Event::Missed`] instead of
//! what was left out, and the subscriber searches the trails from where it is.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use auditx_reader::{Line, Lines, Query, Row};
use axum::http::StatusCode;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::problem::Problem;
use crate::selection::Ask;
use crate::source::{Member, Source};

/// The polling interval while nothing is recorded; each poll costs two system calls for each trail.
const PAUSE: Duration = Duration::from_millis(25);

/// The time after which the directory is searched for new trails.
const RESCAN: Duration = Duration::from_secs(1);

/// The number of bytes that are read from one trail before the next trail is read.
const ROUND: usize = 1 << 20;

/// The largest number of events that wait for a subscriber.
const AHEAD: usize = 256;

/// What a subscriber is sent.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Entry(NewEntry),
    /// Entries were left out: search for them.
    Missed,
}

/// An entry that was recorded.
#[derive(Debug, Clone)]
pub(crate) struct NewEntry {
    /// The name of its trail; empty if there is only one.
    pub(crate) trail: Arc<str>,
    pub(crate) seq: u64,
    pub(crate) line: Arc<str>,
}

struct Subscriber {
    /// The name of the trail that is followed; empty for all.
    trail: String,
    query: Query,
    sender: Sender<Event>,
    has_missed: bool,
}

impl Subscriber {
    fn wants(&self, trail: &str, row: &Row<'_>) -> bool {
        (self.trail.is_empty() || self.trail == trail) && self.query.matches(row)
    }

    fn send(&mut self, event: Event) {
        let event = if self.has_missed { Event::Missed } else { event };
        self.has_missed = self.sender.try_send(event).is_err();
    }
}

#[derive(Default)]
struct State {
    subscribers: Vec<Subscriber>,
    is_running: bool,
}

/// Follows the trails for subscribers.
#[derive(Default)]
pub(crate) struct Follower(Arc<Mutex<State>>);

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    /// Returns a receiver of the entries that match `ask` and are recorded from now on. Blocks the thread.
    pub(crate) fn subscribe(&self, source: &Source, ask: &Ask) -> Result<Receiver<Event>, Problem> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let mut state = locked(&self.0);
        if !state.is_running {
            // Opened before this returns, so that the subscriber misses nothing.
            let trails = Trails::open(source)?;
            let shared = self.0.clone();
            let thread = thread::Builder::new().name("auditx-live".to_owned());
            thread.spawn(move || trails.follow(&shared)).map_err(|error| {
                let detail = format!("cannot start a thread that follows the trail: {error}");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            })?;
            state.is_running = true;
        }
        // Added last: if the thread cannot be started, nothing would remove the subscriber. The thread does
        // not miss it, since it waits for the lock.
        state.subscribers.push(Subscriber {
            trail: ask.trail.clone(),
            query: ask.whole_query(),
            sender,
            has_missed: false,
        });
        Ok(receiver)
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The trails that are followed.
struct Trails {
    source: Source,
    trails: Vec<(Member, Lines)>,
    /// The names of all trails that were ever followed.
    names: HashSet<String>,
    scanned: Instant,
}

/// What was read of all trails.
#[derive(Default)]
struct Read {
    lines: Vec<(Arc<str>, Line)>,
    /// Whether lines may be missing: they were retired, or a trail could not be read, or can be read again.
    has_gap: bool,
}

/// Lets the next subscriber start another thread if this one panics, and ends the streams of the others.
struct AfterPanic<'s>(&'s Mutex<State>);

impl Drop for AfterPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            *locked(self.0) = State::default();
        }
    }
}

impl Trails {
    fn open(source: &Source) -> Result<Self, Problem> {
        let mut trails = Vec::new();
        let mut names = HashSet::new();
        for member in source.members()? {
            let lines = Lines::last(member.directory()?, 0)?;
            names.insert(member.name.clone());
            trails.push((member, lines));
        }
        Ok(Self { source: source.clone(), trails, names, scanned: Instant::now() })
    }

    fn follow(mut self, state: &Mutex<State>) {
        let _after_panic = AfterPanic(state);
        loop {
            // Without the lock: subscribers need not wait while files are read.
            let read = self.read();
            let mut state = locked(state);
            state.subscribers.retain(|subscriber| !subscriber.sender.is_closed());
            if state.subscribers.is_empty() {
                state.is_running = false;
                return;
            }
            read.send(&mut state.subscribers);
            drop(state);
            if read.lines.is_empty() {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Reads what was recorded since the last call.
    fn read(&mut self) -> Read {
        let mut read = Read::default();
        if self.scanned.elapsed() >= RESCAN {
            self.scanned = Instant::now();
            read.has_gap = self.add_others();
        }
        // A trail that cannot be read is looked for again. Searching for what was missed reports why.
        self.trails.retain_mut(|(member, lines)| {
            let is_read = read.add(&Arc::from(&*member.name), lines).is_ok();
            read.has_gap |= !is_read;
            is_read
        });
        read
    }

    /// Adds trails that were created since, and those that can be read again. Returns `true` if there is one
    /// of the latter.
    fn add_others(&mut self) -> bool {
        let mut is_again = false;
        // Requests report a directory that cannot be listed.
        for member in self.source.members().unwrap_or_default() {
            if self.trails.iter().any(|(known, _)| known.name == member.name) {
                continue;
            }
            let Ok(directory) = member.directory() else { continue };
            let is_known = self.names.contains(&member.name);
            let lines = if is_known { Lines::last(directory, 0) } else { Lines::all(directory) };
            if let Ok(lines) = lines {
                is_again |= is_known;
                self.names.insert(member.name.clone());
                self.trails.push((member, lines));
            }
        }
        is_again
    }
}

impl Read {
    /// Adds the next lines of a trail.
    fn add(&mut self, trail: &Arc<str>, lines: &mut Lines) -> auditx_reader::Result<()> {
        let mut text = 0;
        while text < ROUND
            && let Some(line) = lines.next_line()?
        {
            text += line.bytes().len();
            self.has_gap |= lines.missed() > 0;
            self.lines.push((trail.clone(), line));
        }
        Ok(())
    }

    fn send(&self, subscribers: &mut [Subscriber]) {
        for subscriber in &mut *subscribers {
            // A search finds the lines as well. Sent after them, it would begin after what is missing.
            subscriber.has_missed |= self.has_gap;
        }
        for (trail, line) in &self.lines {
            let (Some(seq), Ok(row)) = (line.seq(), line.row()) else { continue };
            let mut entry = None;
            for subscriber in subscribers.iter_mut().filter(|subscriber| subscriber.wants(trail, &row)) {
                let new = || NewEntry { trail: trail.clone(), seq, line: row.line().into() };
                let entry = entry.get_or_insert_with(new);
                subscriber.send(Event::Entry(entry.clone()));
            }
        }
        for subscriber in subscribers {
            if subscriber.has_missed {
                // A subscriber must learn of it even if nothing more is recorded.
                subscriber.send(Event::Missed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use auditx_core::{AuditLogger, Config, Retention};

    use super::*;

    #[test]
    fn lines_that_were_retired_before_they_were_read_are_announced_first() {
        const TIMEOUT: Duration = Duration::from_secs(60);
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path()).max_file_bytes(65_535)).unwrap();
        let mut trails = Trails::open(&Source::directory(directory.path())).unwrap();
        logger.log("Invoice posted").record().unwrap().wait_durable().unwrap();
        let first = trails.read();
        assert_eq!((first.lines.len(), first.has_gap), (1, false));
        for _ in 0..500 {
            logger.log("x".repeat(1_700)).record().unwrap();
        }
        logger.flush(TIMEOUT).unwrap();
        assert!(!logger.retire(Retention::BackupCount(1)).unwrap().segments.is_empty());
        let read = trails.read();
        let (sender, mut events) = mpsc::channel(AHEAD);
        let mut subscribers =
            [Subscriber { trail: String::new(), query: Query::everything(), sender, has_missed: false }];
        read.send(&mut subscribers);
        assert!(matches!(events.try_recv(), Ok(Event::Missed)));
        logger.close(TIMEOUT).unwrap();
    }
}
