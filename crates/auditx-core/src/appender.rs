//! The one place that grows a trail: sequence numbers, the active segment, the tree, sealing. Every journal drives it.
//!
//! It never leaves half a line behind: a write that fails is taken back, and the next entry gets the same number. Sealing costs
//! a rename; making the sealed segment durable and signing it is left to whoever syncs.

mod heal;
mod rewind;
mod settle;
mod staged;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use crate::bell::Bell;
use crate::checkpoint_signer::CheckpointSigner;
use crate::clock::{Clock, Timestamp};
use crate::control_record::ControlRecord;
use crate::dir::Dir;
use crate::encode::Envelope;
use crate::error::{Error, Result};
use crate::history::Line;
use crate::metrics::Counters;
use crate::segment::{ACTIVE, Registry};
use crate::storage::{Storage, StorageFile};
use crate::tiles::GrowingTree;
use crate::tree::CompactRange;
use crate::watermark::{Reach, Watermark};

pub(crate) use heal::Recall;
use settle::Sealed;
use staged::Staged;

/// One write(2) takes about this much at most.
const BATCH: usize = 1024 * 1024;

/// After a failed seal the segment grows by this much, or by another maximum age, before the next attempt.
const SEAL_RETRY_BYTES: u64 = 1024 * 1024;

/// What an appender starts from; found by recovery.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) file: Arc<dyn StorageFile>,
    /// Bytes in the active segment, all of them whole lines.
    pub(crate) len: u64,
    pub(crate) first_seq: u64,
    pub(crate) next_seq: u64,
    pub(crate) began: SystemTime,
}

/// Control records that are remembered: those of some segments of the usual size.
const MOST_OWN_LINES: usize = 256;

/// Segments that wait for their fdatasync and their signature; with more of them the active one goes on growing.
const MOST_UNSETTLED: usize = 32;

/// What an appender works with.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) directory: Dir,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) max_file_bytes: u64,
    pub(crate) max_age: Option<Duration>,
    /// The sealed segments, so that one that goes away is noticed.
    pub(crate) registry: Arc<Registry>,
    /// Rung when a sealed segment is settled.
    pub(crate) sealed: Arc<Bell>,
    /// Told of every line and of every failure.
    pub(crate) watermark: Arc<Watermark>,
}

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
    means: Means,
    active: Start,
    /// Every entry before this position in the journal is written.
    position: u64,
    /// Sealed, and neither durable for certain nor signed.
    unsettled: Vec<Arc<Sealed>>,
    /// What is durable for certain.
    synced: Synced,
    /// Over every line that is written.
    tree: GrowingTree,
    checkpoint_signer: Arc<CheckpointSigner>,
    staged: Staged,
    seal_at: u64,
    /// The last control records, so that they can be restored.
    own_lines: VecDeque<Vec<u8>>,
    /// What else still holds entries.
    recall: Option<Weak<dyn Recall>>,
    /// Of the last seals, until they are written.
    rotated: Vec<ControlRecord>,
    missed: Option<Missed>,
    poison: Option<Error>,
}

/// How far the trail was when it was last synced.
#[derive(Debug, Clone)]
struct Synced {
    /// Of the segment that was active then, and its length.
    first_seq: u64,
    len: u64,
    reach: Reach,
    frontier: CompactRange,
}

impl Appender {
    pub(crate) fn new(
        means: Means,
        start: Start,
        tree: GrowingTree,
        checkpoint_signer: Arc<CheckpointSigner>,
    ) -> Self {
        let seal_at = means.max_file_bytes;
        let synced = Synced {
            first_seq: start.first_seq,
            len: start.len,
            reach: Reach { lines: start.next_seq, position: start.next_seq },
            frontier: tree.frontier().clone(),
        };
        Self {
            means,
            position: start.next_seq,
            synced,
            active: start,
            unsettled: Vec::new(),
            tree,
            checkpoint_signer,
            staged: Staged::default(),
            seal_at,
            own_lines: VecDeque::new(),
            recall: None,
            rotated: Vec::new(),
            missed: None,
            poison: None,
        }
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.active.first_seq
    }

    pub(crate) fn reach(&self) -> Reach {
        Reach { lines: self.active.next_seq, position: self.position }
    }

    /// Where the next entry's position is counted from, in a journal that counts otherwise than in lines.
    pub(crate) fn count_from(&mut self, position: u64) {
        self.position = position;
        self.synced.reach.position = self.synced.reach.position.min(position);
    }

    /// Names what holds entries for a while after they were written.
    pub(crate) fn recall_from(&mut self, recall: Weak<dyn Recall>) {
        self.recall = Some(recall);
    }

    /// Nothing before this position is left to be written.
    pub(crate) fn pass(&mut self, position: u64) {
        self.position = position;
    }

    /// Hands what the cache of nodes keeps back to the kernel.
    fn flush_tiles(&mut self) {
        if self.tree.flush().is_err() {
            self.means.counters.tile_failures.add(1);
        }
    }

    /// Refuses all further entries: what was written can no longer be trusted to stay.
    fn poison(&mut self, error: &Error) {
        self.close_to(error);
        self.means.watermark.poison(error);
    }

    /// The same, without telling anybody who waits.
    pub(crate) fn close_to(&mut self, error: &Error) {
        self.poison.get_or_insert_with(|| error.duplicate());
    }

    /// Appends one entry with one write(2) and seals the segment when it is due. Its position is the number of lines then.
    pub(crate) fn append(&mut self, body: &[u8]) -> Result<u64> {
        let mut next = Some(body);
        let outcome = self.append_all(&mut |lines, out| {
            next.take().map(|body| {
                out.extend_from_slice(body);
                lines + 1
            })
        });
        match outcome {
            Ok(_) => Ok(self.position),
            Err(error) => {
                if self.poison.is_none() {
                    let now = Timestamp::of(self.means.clock.now());
                    self.miss(Missed { count: 1, first: now, last: now, why: error.to_string() });
                }
                Err(error)
            }
        }
    }

    /// Appends entries with one write(2), all of them or none, and seals the segment when it is due. `next` appends a body to
    /// what it is given, which it must not look at, and names the entry's position; or says that there is none. It is told how
    /// many lines come before. Gives how many entries it took: a full segment or a large batch ends early.
    pub(crate) fn append_all(
        &mut self,
        next: &mut dyn FnMut(u64, &mut Vec<u8>) -> Option<u64>,
    ) -> Result<usize> {
        let taken = self.write(|appender| appender.stage_all(next))?;
        if self.active.len >= self.seal_at {
            self.try_seal();
        }
        Ok(taken)
    }

    /// Appends a record of the library's own. One that is refused is no missing entry.
    pub(crate) fn append_own(&mut self, record: &ControlRecord) -> Result<u64> {
        let body = record.encode(&self.means.envelope, &*self.means.clock)?;
        let seq = self.write(|appender| {
            appender.stage(&body);
            appender.active.next_seq - 1
        })?;
        if self.active.len >= self.seal_at {
            self.try_seal();
        }
        Ok(seq)
    }

    /// Entries that were refused; said with the next line.
    pub(crate) fn miss(&mut self, more: Missed) {
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

    /// Writes what is pending, if anything is.
    pub(crate) fn append_pending(&mut self) -> Result<()> {
        self.write(|_| ())
    }

    /// Seals by age.
    pub(crate) fn seal_if_old(&mut self) {
        if self.poison.is_none() && self.age_left() == Some(Duration::ZERO) {
            self.try_seal();
        }
    }

    /// How long until the active segment is to be sealed for its age; none where it holds nothing but its opening
    /// record.
    pub(crate) fn age_left(&self) -> Option<Duration> {
        let holds_entries = self.active.next_seq > self.active.first_seq + 1;
        let age = self.means.clock.now().duration_since(self.active.began).unwrap_or(Duration::ZERO);
        self.means.max_age.filter(|_| holds_entries).map(|max_age| max_age.saturating_sub(age))
    }

    /// Why nothing can be appended any more, if so.
    pub(crate) fn check(&self) -> Result<()> {
        self.poison.as_ref().map_or(Ok(()), |poison| Err(poison.duplicate()))
    }

    fn stage_all(&mut self, next: &mut dyn FnMut(u64, &mut Vec<u8>) -> Option<u64>) -> usize {
        let mut taken = 0;
        loop {
            let begin = self.staged.begin_line(self.active.next_seq);
            let Some(position) = next(self.active.next_seq, &mut self.staged.bytes) else {
                self.staged.bytes.truncate(begin);
                return taken;
            };
            self.end_line(Some(position));
            taken += 1;
            let staged = self.staged.bytes.len();
            if staged >= BATCH || self.active.len + staged as u64 >= self.seal_at {
                return taken;
            }
        }
    }

    fn stage(&mut self, body: &[u8]) {
        self.staged.begin_line(self.active.next_seq);
        self.staged.bytes.extend_from_slice(body);
        self.end_line(None);
    }

    fn end_line(&mut self, position: Option<u64>) {
        self.staged.end_line(position);
        self.active.next_seq += 1;
    }

    /// What must be said before anything else: that segments were sealed, and how much was lost since the last line.
    fn stage_pending(&mut self) {
        let gap = self.missed.clone().map(|Missed { count, first, last, why }| ControlRecord::Gap {
            count,
            first,
            last,
            why,
        });
        for record in self.rotated.clone().into_iter().chain(gap) {
            // A record of ours always encodes: its fields are short.
            if let Ok(body) = record.encode(&self.means.envelope, &*self.means.clock) {
                self.stage(&body);
            }
        }
    }

    /// Writes what is pending and what `stage` adds, all of it or nothing.
    fn write<T>(&mut self, stage: impl FnOnce(&mut Self) -> T) -> Result<T> {
        self.check()?;
        let before = self.active.next_seq;
        if !self.rotated.is_empty() || self.missed.is_some() {
            self.stage_pending();
        }
        let staged = stage(self);
        let outcome = self.write_staged();
        match outcome {
            Ok(()) => {
                let bytes = self.staged.bytes.len() as u64;
                self.active.len += bytes;
                self.means.counters.bytes.add(bytes);
                self.grow_tree(before);
                self.rotated.clear();
                self.missed = None;
            }
            Err(_) => self.active.next_seq = before,
        }
        self.staged.clear();
        outcome.map_err(|error| self.take_back(error)).map(|()| staged)
    }

    fn grow_tree(&mut self, first_seq: u64) {
        self.staged.hash();
        let Staged { lines, leaves, .. } = &self.staged;
        for line in self.staged.control_records() {
            remember(&mut self.own_lines, line.to_vec());
        }
        if self.tree.extend(leaves).is_err() {
            self.means.counters.tile_failures.add(1);
        }
        let positions = lines.iter().zip(leaves).zip(first_seq..);
        let entries = positions.filter_map(|(((_, position), leaf), seq)| {
            position.map(|position| Line { position, seq, leaf_hash: *leaf })
        });
        self.means.watermark.history.note(entries);
        if let Some(position) = lines.iter().rev().find_map(|(_, position)| *position) {
            self.position = position;
        }
    }

    fn take_back(&mut self, error: io::Error) -> Error {
        self.means.counters.write_failures.add(1);
        let path = self.means.directory.join(ACTIVE);
        if let Err(undo) = self.active.file.set_len(self.active.len) {
            // Half a line that cannot be taken back: nothing may follow it.
            self.poison(&Error::storage("cannot take back half a line after a failed write", &path, undo));
        }
        self.means.watermark.note_take_back();
        Error::storage("cannot append to the active segment", &path, error)
    }

    fn write_staged(&self) -> io::Result<()> {
        let mut rest = self.staged.bytes.as_slice();
        while !rest.is_empty() {
            match self.active.file.append(rest)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => rest = &rest[written..],
            }
        }
        Ok(())
    }
}

/// Keeps a control record, and forgets the oldest where there are too many.
fn remember(own_lines: &mut VecDeque<Vec<u8>>, line: Vec<u8>) {
    if own_lines.len() == MOST_OWN_LINES {
        own_lines.pop_front();
    }
    own_lines.push_back(line);
}

#[cfg(test)]
mod tests;
