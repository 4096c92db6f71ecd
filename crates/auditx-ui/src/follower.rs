//! New entries as they are recorded. One thread reads the trails for all subscribers, and ends with the last of
//! them.
//!
//! The thread does not wait for a subscriber that does not keep up. It sends [`Event::Missed`] instead of what
//! was left out, and the subscriber searches the trails from where it is.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use auditx_reader::Lines;
use axum::http::StatusCode;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::problem::Problem;
use crate::selection::Ask;
use crate::source::{Member, Source};

/// The polling interval while nothing is recorded; each poll costs two system calls for each trail.
const PAUSE: Duration = Duration::from_millis(25);

/// The time after which the directory is searched for new trails.
const RESCAN: Duration = Duration::from_secs(1);

/// The number of lines that are read from one trail before those of the others.
const ROUND: usize = 1_000;

/// Entries that wait for a subscriber.
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
    ask: Ask,
    sender: Sender<Event>,
    has_missed: bool,
}

impl Subscriber {
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
    /// Returns entries that match `ask` and are recorded from now on, until the receiver is dropped. Blocks the
    /// thread.
    pub(crate) fn subscribe(&self, source: &Source, ask: Ask) -> Result<Receiver<Event>, Problem> {
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
        // The thread waits for the lock. After a failure nobody would remove the subscriber.
        state.subscribers.push(Subscriber { ask, sender, has_missed: false });
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
    names: HashSet<String>,
    scanned: Instant,
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
        loop {
            let is_idle = self.pass_on(&mut locked(state).subscribers);
            let mut state = locked(state);
            state.subscribers.retain(|subscriber| !subscriber.sender.is_closed());
            if state.subscribers.is_empty() {
                state.is_running = false;
                return;
            }
            drop(state);
            if is_idle {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Passes on what was recorded since the last call. Returns `true` if that was nothing.
    fn pass_on(&mut self, subscribers: &mut [Subscriber]) -> bool {
        if self.scanned.elapsed() >= RESCAN {
            self.scanned = Instant::now();
            self.add_new();
        }
        let mut is_idle = true;
        for (member, lines) in &mut self.trails {
            let trail = Arc::<str>::from(&*member.name);
            for _ in 0..ROUND {
                match lines.next_line() {
                    Ok(Some(line)) => {
                        is_idle = false;
                        send(&trail, &line, subscribers);
                    }
                    Ok(None) => break,
                    // Searching for what was missed reports what cannot be read.
                    Err(_) => {
                        if let Ok(again) = member.directory().and_then(|path| Ok(Lines::last(path, 0)?)) {
                            *lines = again;
                        }
                        subscribers.iter_mut().for_each(|subscriber| subscriber.has_missed = true);
                        break;
                    }
                }
            }
        }
        // Also if nothing more is recorded.
        for subscriber in subscribers.iter_mut().filter(|subscriber| subscriber.has_missed) {
            subscriber.send(Event::Missed);
        }
        is_idle
    }

    /// Adds trails that were created since.
    fn add_new(&mut self) {
        // Requests report a directory that cannot be listed.
        for member in self.source.members().unwrap_or_default() {
            if !self.names.contains(&member.name)
                && let Ok(lines) = member.directory().and_then(|path| Ok(Lines::all(path)?))
            {
                self.names.insert(member.name.clone());
                self.trails.push((member, lines));
            }
        }
    }
}

fn send(trail: &Arc<str>, line: &auditx_reader::Line, subscribers: &mut [Subscriber]) {
    let (Some(seq), Ok(row)) = (line.seq(), line.row()) else { return };
    let mut entry = None;
    for subscriber in subscribers.iter_mut().filter(|subscriber| subscriber.ask.matches(trail, &row)) {
        let entry =
            entry.get_or_insert_with(|| NewEntry { trail: trail.clone(), seq, line: row.line().into() });
        subscriber.send(Event::Entry(entry.clone()));
    }
}
