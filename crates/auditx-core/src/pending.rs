//! What a process has accepted and its trail does not hold yet, for those who read while it lives.
//!
//! Comes in: a trail's directory. Goes out: the entries that are in the journal's ring and in no line. Neither the lock nor
//! anything else is taken, nothing is written, and the process does not notice.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::identity::TrailIdentity;
use crate::recover::{Id, body_of, id_of, is_entry};
use crate::ring;
use crate::segment::{AUDITX_DIR, TrailReader};

/// How long what is in the ring may take to get into the trail, before it counts as stuck there. The drain looks once in a few
/// milliseconds.
const CATCH_UP: Duration = Duration::from_millis(20);

const LOOK: Duration = Duration::from_millis(1);

/// Accepted entries that stand in no line yet, in the order in which they will.
#[derive(Debug, Clone, Default)]
pub struct PendingEntries {
    /// Each as a JSON object of its own.
    entries: Vec<(Id, Vec<u8>)>,
    /// Those that were not met in a line.
    waiting: HashSet<Id>,
    unreadable: usize,
    looked_to: u64,
}

/// The entries that were accepted before this call and are in the trail's journal only: its disk is full, its process stopped, or
/// was killed. For a process that lives it waits a few milliseconds for them to be written, so mostly there are none.
///
/// They have no sequence number yet, and may get one at any moment. So that none is missed and none met twice: call this first,
/// then read the trail on to its end, and tell [`PendingEntries::pass`] of each line that was read since. What then remains
/// follows the last line. Lines read before the call need not be told of: none of these entries was in the trail then.
///
/// Costs reading one page where the journal is empty; otherwise about twice what is in it and as much of the trail's end. Without a
/// ring (another system, `JournalKind::Direct`) there are never any.
///
/// # Errors
/// `is_storage` where the journal or the end of the trail cannot be read: both are their owner's only. `is_corrupt` where the
/// journal is another trail's or none, or the end of the trail is not one.
pub fn pending_entries(directory: impl Into<Dir>) -> Result<PendingEntries> {
    let directory = &directory.into();
    let Some(snapshot) = ring::snapshot(directory)? else { return Ok(PendingEntries::default()) };
    let is_foreign = |identity: TrailIdentity| identity.id() != snapshot.trail_id;
    if snapshot.held.entries.is_empty() {
        // An empty ring of another trail may have replaced one that was not.
        if TrailIdentity::read_foreign(directory).is_some_and(is_foreign) {
            return Err(foreign(directory));
        }
        return Ok(PendingEntries::default());
    }
    if is_foreign(TrailIdentity::read(directory)?) {
        return Err(foreign(directory));
    }
    let mut pending = PendingEntries::of(snapshot.held.entries);
    pending.looked_to = snapshot.held.lines;
    pending.catch_up(&mut TrailReader::new(directory, snapshot.held.lines), Instant::now() + CATCH_UP)?;
    pending.check();
    Ok(pending)
}

fn foreign(directory: &Dir) -> Error {
    Error::corrupt("the journal's ring is one of another trail").at(&directory.join(AUDITX_DIR))
}

impl PendingEntries {
    fn of(bodies: Vec<Vec<u8>>) -> Self {
        let found = bodies.len();
        let entries: Vec<_> =
            bodies.into_iter().filter_map(|body| Some((id_of(&body)?, [b"{", &*body].concat()))).collect();
        let unreadable = found - entries.len();
        let waiting = entries.iter().map(|(id, _)| *id).collect();
        Self { entries, waiting, unreadable, looked_to: 0 }
    }

    /// Leaves out what gets into the trail in time.
    fn catch_up(&mut self, reader: &mut TrailReader, deadline: Instant) -> Result<()> {
        loop {
            while let Some((seq, line)) = reader.next_line()? {
                self.pass(line);
                self.looked_to = seq + 1;
            }
            if self.is_empty() || Instant::now() >= deadline {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Leaves out what cannot be a line: memory that something else wrote to could hold anything.
    fn check(&mut self) {
        let Self { entries, waiting, unreadable, .. } = self;
        entries.retain(|(id, object)| {
            let is_waiting = waiting.contains(id);
            if is_waiting && !is_entry(&object[1..]) {
                waiting.remove(id);
                *unreadable += 1;
                return false;
            }
            is_waiting
        });
    }

    /// A line of the trail, with or without its newline: the entry in it is not pending any more. Costs one look-up.
    pub fn pass(&mut self, line: &[u8]) {
        if let Some(id) = body_of(line).and_then(id_of) {
            self.waiting.remove(&id);
        }
    }

    /// The number of the first line that was not looked at: earlier ones need not be told of.
    #[must_use]
    pub fn looked_to(&self) -> u64 {
        self.looked_to
    }

    /// What remains, in order: each the line it will be, without `"seq"` and without a newline.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().filter(|(id, _)| self.waiting.contains(id)).map(|(_, object)| &**object)
    }

    /// How many remain.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the trail holds everything that was accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many records of the journal are no entries: something wrote to its memory. They will not get into the trail.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }
}
