//! Pending entries: those that a process has accepted but not yet written to its trail, for programs that
//! read while it runs.
//!
//! They are read from the journal's ring. Reading takes no lock, writes nothing, and does not affect the
//! process.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use auditx_format::{Error, Result};

use crate::dir::Dir;
use crate::entry_id::{Id, body_of, id_of};
use crate::identity::TrailIdentity;
use crate::recover::is_entry;
use crate::ring;
use crate::segment::{AUDITX_DIR, TrailReader};

/// How long entries in the ring may take to reach the trail before they are reported as pending. The drain
/// checks the ring every few milliseconds.
const CATCH_UP: Duration = Duration::from_millis(20);

const RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// Entries that are accepted but not yet in the trail, in the order in which they will be written.
#[derive(Debug, Clone, Default)]
pub struct PendingEntries {
    /// Each entry as a JSON object.
    entries: Vec<(Id, Vec<u8>)>,
    /// The ids that were not found in a line.
    waiting: HashSet<Id>,
    unreadable: usize,
    scanned_to: u64,
}

/// Returns the entries that were accepted before this call and are only in the trail's journal, because the
/// disk is full or the process was stopped or killed. If the process is running, the function waits a few
/// milliseconds for them to be written, so usually no entries are pending.
///
/// Pending entries have no sequence number yet, but may get one at any moment. To read every entry exactly
/// once, call this function first, then read the trail to its end and pass each line to
/// [`PendingEntries::remove`]. The remaining entries follow the last line. Lines that were read before the
/// call need not be passed, since the trail did not contain any of these entries then.
///
/// Costs reading one page if the journal is empty; otherwise about twice the journal's contents and as much
/// of the trail's end. Without a ring (another operating system, `JournalKind::Direct`) there are no pending
/// entries.
///
/// # Errors
/// `is_storage` if the journal or the end of the trail cannot be read; only their owner may read them.
/// `is_corrupt` if the journal belongs to another trail or is damaged, or if the end of the trail is damaged.
pub fn pending_entries(directory: impl Into<Dir>) -> Result<PendingEntries> {
    let directory = &directory.into();
    let Some(snapshot) = ring::snapshot(directory)? else { return Ok(PendingEntries::default()) };
    let is_foreign = |identity: TrailIdentity| identity.id() != snapshot.trail_id;
    if snapshot.held.entries.is_empty() {
        // The empty ring of another trail may have replaced one with entries.
        if TrailIdentity::read_foreign(directory).is_some_and(is_foreign) {
            return Err(foreign(directory));
        }
        return Ok(PendingEntries::default());
    }
    if is_foreign(TrailIdentity::read(directory)?) {
        return Err(foreign(directory));
    }
    let mut pending = PendingEntries::of(snapshot.held.entries);
    pending.scanned_to = snapshot.held.lines;
    pending.catch_up(&mut TrailReader::new(directory, snapshot.held.lines), Instant::now() + CATCH_UP)?;
    pending.check();
    Ok(pending)
}

fn foreign(directory: &Dir) -> Error {
    Error::corrupt("the journal's ring belongs to another trail").at(&directory.join(AUDITX_DIR))
}

impl PendingEntries {
    fn of(bodies: Vec<Vec<u8>>) -> Self {
        let found = bodies.len();
        let entries: Vec<_> =
            bodies.into_iter().filter_map(|body| Some((id_of(&body)?, [b"{", &*body].concat()))).collect();
        let unreadable = found - entries.len();
        let waiting = entries.iter().map(|(id, _)| *id).collect();
        Self { entries, waiting, unreadable, scanned_to: 0 }
    }

    /// Removes the entries that reach the trail before `deadline`.
    fn catch_up(&mut self, reader: &mut TrailReader, deadline: Instant) -> Result<()> {
        loop {
            while let Some((seq, line)) = reader.next_line()? {
                self.remove(line);
                self.scanned_to = seq + 1;
            }
            if self.is_empty() || Instant::now() >= deadline {
                return Ok(());
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Removes entries that cannot be lines, since other code may have overwritten the ring's memory.
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

    /// Removes the entry in a line of the trail, which is no longer pending. The newline may be present or
    /// not. Costs one lookup.
    pub fn remove(&mut self, line: &[u8]) {
        if let Some(id) = body_of(line).and_then(id_of) {
            self.waiting.remove(&id);
        }
    }

    /// Returns the sequence number of the first line that was not read. Earlier lines need not be passed to
    /// [`PendingEntries::remove`].
    #[must_use]
    pub fn scanned_to(&self) -> u64 {
        self.scanned_to
    }

    /// Iterates over the pending entries in order, each as its future line without `"seq"` and without a
    /// newline.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().filter(|(id, _)| self.waiting.contains(id)).map(|(_, object)| &**object)
    }

    /// Returns the number of pending entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns whether no entries are pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the number of journal records that are not entries, because other code overwrote their memory.
    /// They will not reach the trail.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }
}
