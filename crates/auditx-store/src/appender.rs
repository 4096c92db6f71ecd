//! Appends to a trail: sequence numbers, the active segment, the tree, and sealing. Every journal drives it.
//!
//! It never leaves part of a line behind: a failed write is rolled back, and the next entry gets the same
//! seq. Sealing costs a rename; the thread that syncs makes the sealed segment durable and signs it.

mod batch;
mod restore;
mod rewind;
mod seal;
mod staged;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use auditx_format::clock::Timestamp;
use auditx_format::control_record::ControlRecord;
use auditx_format::{Error, Result};
use auditx_tlog::CompactRange;

use crate::checkpoint_signer::CheckpointSigner;
use crate::history::Line;
use crate::reach::Reach;
use crate::segment::{ACTIVE, Fingerprint};
use crate::sensitive::may_be_sensitive;
use crate::storage::StorageFile;
use crate::tiles::GrowingTree;
use crate::trail::Trail;
use crate::watermark::Watermark;

pub(crate) use batch::Batch;
pub(crate) use restore::RecentEntries;
use seal::Sealed;
use staged::Staged;

/// After a failed seal the segment grows by this much, or by another maximum age, before the next attempt.
const SEAL_RETRY_BYTES: u64 = 1024 * 1024;

/// The state an appender starts from, as recovery found it.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) file: Arc<dyn StorageFile>,
    /// Bytes in the active segment, all of them whole lines.
    pub(crate) len: u64,
    pub(crate) first_seq: u64,
    pub(crate) next_seq: u64,
    pub(crate) began: SystemTime,
}

/// How many control records are kept: those of several segments of the usual size.
const MAX_CONTROL_LINES: usize = 256;

/// How many sealed segments may wait for their fdatasync and signature. With more of them the active segment
/// keeps growing.
const MAX_UNSYNCED: usize = 32;

/// Entries that were refused since the last one that was written.
#[derive(Debug, Clone)]
pub(crate) struct Missed {
    pub(crate) count: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) why: String,
}

#[derive(Debug)]
pub(crate) struct Appender {
    trail: Arc<Trail>,
    active: Start,
    /// Every entry before this position in the journal is written.
    position: u64,
    /// Sealed segments that are not known to be durable, or not signed.
    unsynced: Vec<Arc<Sealed>>,
    /// What is known to be durable.
    synced: Synced,
    /// The tree over every written line.
    tree: GrowingTree,
    checkpoint_signer: Arc<CheckpointSigner>,
    staged: Staged,
    /// Of what was written to the active segment; `None` if it held lines when it was opened.
    fingerprint: Option<Fingerprint>,
    seal_at: u64,
    /// The last control records, so that they can be restored.
    control_lines: VecDeque<Vec<u8>>,
    /// What else still holds written entries.
    recent: Option<Weak<dyn RecentEntries>>,
    /// The records of seals that are not written yet.
    rotated: Vec<ControlRecord>,
    missed: Option<Missed>,
    poison: Option<Error>,
}

/// How far the trail was when it was last synced.
#[derive(Debug, Clone)]
struct Synced {
    /// The segment that was active then, and its length.
    first_seq: u64,
    len: u64,
    reach: Reach,
    frontier: CompactRange,
}

impl Appender {
    pub(crate) fn new(
        trail: Arc<Trail>,
        start: Start,
        tree: GrowingTree,
        checkpoint_signer: Arc<CheckpointSigner>,
    ) -> Self {
        let seal_at = trail.config.max_file_bytes;
        trail.sensitive.begin(start.next_seq);
        let has_no_lines = start.len == 0;
        let synced = Synced {
            first_seq: start.first_seq,
            len: start.len,
            reach: Reach { lines: start.next_seq, position: start.next_seq },
            frontier: tree.frontier().clone(),
        };
        Self {
            trail,
            position: start.next_seq,
            synced,
            active: start,
            unsynced: Vec::new(),
            tree,
            checkpoint_signer,
            staged: Staged::default(),
            fingerprint: has_no_lines.then(Fingerprint::default),
            seal_at,
            control_lines: VecDeque::new(),
            recent: None,
            rotated: Vec::new(),
            missed: None,
            poison: None,
        }
    }

    pub(crate) fn watermark(&self) -> &Arc<Watermark> {
        &self.trail.watermark
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.active.first_seq
    }

    pub(crate) fn reach(&self) -> Reach {
        Reach { lines: self.active.next_seq, position: self.position }
    }

    /// Sets the position of the next entry, for a journal that counts otherwise than in lines.
    pub(crate) fn set_position(&mut self, position: u64) {
        self.position = position;
        self.synced.reach.position = self.synced.reach.position.min(position);
    }

    /// Names what holds entries for a while after they were written.
    pub(crate) fn set_recent_entries(&mut self, recent: Weak<dyn RecentEntries>) {
        self.recent = Some(recent);
    }

    /// Notes that nothing before this position is left to be written.
    pub(crate) fn advance_to(&mut self, position: u64) {
        self.position = position;
    }

    /// Writes the tile cache's buffered nodes to their files.
    fn flush_tiles(&mut self) {
        if self.tree.flush().is_err() {
            self.trail.counters.tile_failures.add(1);
        }
    }

    /// Refuses all further entries, since written bytes may be lost, and fails all waiters.
    fn poison(&mut self, error: &Error) {
        self.refuse_entries(error);
        self.trail.watermark.poison(error);
    }

    /// Refuses all further entries, without failing the waiters.
    pub(crate) fn refuse_entries(&mut self, error: &Error) {
        self.poison.get_or_insert_with(|| error.duplicate());
    }

    /// Begins a batch of lines.
    ///
    /// # Errors
    /// If nothing can be appended any more.
    pub(crate) fn batch(&mut self) -> Result<Batch<'_>> {
        Batch::begin(self)
    }

    /// Appends one entry with one write(2), and seals the segment if that is due. Returns its position, which
    /// is the number of lines afterwards.
    pub(crate) fn append(&mut self, body: &[u8]) -> Result<u64> {
        let outcome = self.batch().and_then(|mut batch| {
            batch.add(body, batch.lines() + 1);
            batch.write()
        });
        match outcome {
            Ok(()) => Ok(self.position),
            Err(error) => {
                if self.poison.is_none() {
                    let now = Timestamp::of(self.trail.config.clock.now());
                    self.add_missed(Missed { count: 1, first: now, last: now, why: error.to_string() });
                }
                Err(error)
            }
        }
    }

    /// Appends a control record. A refused one does not count as a missing entry.
    pub(crate) fn append_control_record(&mut self, record: &ControlRecord) -> Result<u64> {
        let body = record.encode(&self.trail.envelope, &*self.trail.config.clock)?;
        let mut batch = self.batch()?;
        let seq = batch.lines();
        batch.add_control_record(&body);
        batch.write()?;
        Ok(seq)
    }

    /// Adds refused entries, which the next write records as a gap.
    pub(crate) fn add_missed(&mut self, more: Missed) {
        if more.count == 0 {
            return;
        }
        match &mut self.missed {
            Some(missed) => {
                missed.count += more.count;
                missed.last = more.last;
            }
            None => self.missed = Some(more),
        }
    }

    /// Writes pending control records, if there are any.
    pub(crate) fn append_pending(&mut self) -> Result<()> {
        self.batch()?.write_without_seal()
    }

    /// Seals the active segment if it has reached its maximum age. Returns whether that was due.
    pub(crate) fn seal_if_old(&mut self) -> bool {
        let is_due = self.poison.is_none() && self.age_left() == Some(Duration::ZERO);
        if is_due {
            self.try_seal();
        }
        is_due
    }

    /// Returns the time until the active segment is sealed for its age; `None` if it holds only its opening
    /// record.
    pub(crate) fn age_left(&self) -> Option<Duration> {
        let holds_entries = self.active.next_seq > self.active.first_seq + 1;
        let age = self.trail.config.clock.now().duration_since(self.active.began).unwrap_or(Duration::ZERO);
        self.trail.config.max_age.filter(|_| holds_entries).map(|max_age| max_age.saturating_sub(age))
    }

    /// Fails if nothing can be appended any more.
    pub(crate) fn check(&self) -> Result<()> {
        self.poison.as_ref().map_or(Ok(()), |poison| Err(poison.duplicate()))
    }

    /// Writes the staged lines, all of them or none. `before` is the number of lines before them.
    fn write_staged(&mut self, before: u64) -> Result<()> {
        let outcome = write_all(&*self.active.file, &self.staged.bytes);
        match outcome {
            Ok(()) => {
                let bytes = self.staged.bytes.len() as u64;
                self.active.len += bytes;
                if let Some(fingerprint) = &mut self.fingerprint {
                    fingerprint.update(&self.staged.bytes);
                }
                self.trail.counters.bytes.add(bytes);
                self.grow_tree(before);
                self.rotated.clear();
                self.missed = None;
            }
            Err(_) => self.active.next_seq = before,
        }
        self.staged.clear();
        outcome.map_err(|error| self.roll_back(error))
    }

    fn grow_tree(&mut self, first_seq: u64) {
        self.staged.hash();
        let Staged { ends, leaves, .. } = &self.staged;
        for line in self.staged.control_records() {
            remember(&mut self.control_lines, line.to_vec());
        }
        if self.tree.extend(leaves).is_err() {
            self.trail.counters.tile_failures.add(1);
        }
        let positions = ends.iter().zip(leaves).zip(first_seq..);
        let entries = positions.filter_map(|(((_, position), leaf), seq)| {
            position.map(|position| Line { position, seq, leaf_hash: *leaf })
        });
        self.trail.watermark.history.add(entries);
        let is_sensitive = |(line, seq): (&[u8], u64)| may_be_sensitive(line).then_some(seq);
        self.trail.sensitive.add(self.staged.lines().zip(first_seq..).filter_map(is_sensitive));
        if let Some(position) = ends.iter().rev().find_map(|(_, position)| *position) {
            self.position = position;
        }
    }

    fn roll_back(&mut self, error: io::Error) -> Error {
        self.trail.counters.write_failures.add(1);
        let path = self.trail.directory.join(ACTIVE);
        if let Err(undo) = self.active.file.set_len(self.active.len) {
            // Part of a line cannot be rolled back: nothing may follow it.
            self.poison(&Error::storage("cannot roll back part of a line after a failed write", &path, undo));
        }
        self.trail.watermark.count_rollback();
        Error::storage("cannot append to the active segment", &path, error)
    }
}

fn write_all(file: &dyn StorageFile, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.append(rest)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => rest = &rest[written..],
        }
    }
    Ok(())
}

/// Keeps a control record, and removes the oldest if there are too many.
fn remember(control_lines: &mut VecDeque<Vec<u8>>, line: Vec<u8>) {
    if control_lines.len() == MAX_CONTROL_LINES {
        control_lines.pop_front();
    }
    control_lines.push_back(line);
}

#[cfg(test)]
mod tests;
