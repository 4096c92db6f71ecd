//! The one place that grows a trail: sequence numbers, the active segment, the tree, sealing. Every journal drives it.
//!
//! It never leaves half a line behind: a write that fails is taken back, and the next entry gets the same number.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::bell::Bell;
use crate::clock::{Clock, Timestamp};
use crate::encode::Envelope;
use crate::error::{Error, Result};
use crate::key::Signer;
use crate::line::SEQ_PREFIX;
use crate::metrics::Counters;
use crate::notary::{Notary, Occasion};
use crate::own_record::OwnRecord;
use crate::segment::{ACTIVE, sealed_name};
use crate::storage::{Storage, StorageFile};
use crate::tiles::GrowingTree;
use crate::tree::{CompactRange, Hash, leaf_hash};

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

/// What an appender works with.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) directory: PathBuf,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) max_file_bytes: u64,
    pub(crate) max_age: Option<Duration>,
    /// Rung at each seal.
    pub(crate) sealed: Arc<Bell>,
}

/// Entries that were refused since the last one that was written.
#[derive(Debug)]
struct Missed {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    why: String,
}

#[derive(Debug)]
pub(crate) struct Appender {
    means: Means,
    active: Start,
    /// Over every line that is written.
    tree: GrowingTree,
    notary: Arc<Notary>,
    /// Lines that wait for the next write, and their hashes.
    batch: Vec<u8>,
    leaves: Vec<Hash>,
    seal_at: u64,
    /// Of the last seal, until it is written.
    rotated: Option<OwnRecord>,
    missed: Option<Missed>,
    poison: Option<Error>,
}

impl Appender {
    pub(crate) fn new(means: Means, start: Start, tree: GrowingTree, notary: Arc<Notary>) -> Self {
        let seal_at = means.max_file_bytes;
        Self {
            means,
            active: start,
            tree,
            notary,
            batch: Vec::new(),
            leaves: Vec::new(),
            seal_at,
            rotated: None,
            missed: None,
            poison: None,
        }
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.active.next_seq
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.active.first_seq
    }

    /// The active file and the length it must have at least.
    pub(crate) fn active_file(&self) -> (Arc<dyn StorageFile>, u64) {
        (self.active.file.clone(), self.active.len)
    }

    /// The tree over all lines so far.
    pub(crate) fn frontier(&self) -> &CompactRange {
        self.tree.frontier()
    }

    /// Hands what the cache of nodes keeps back to the kernel.
    pub(crate) fn flush_tiles(&mut self) {
        if self.tree.flush().is_err() {
            self.means.counters.tile_failures.add(1);
        }
    }

    /// Refuses all further entries: what was written can no longer be trusted to stay.
    pub(crate) fn poison(&mut self, error: &Error) {
        self.poison.get_or_insert_with(|| error.duplicate());
    }

    /// Appends one entry with one write(2) and seals the segment when it is due.
    pub(crate) fn append(&mut self, body: &[u8]) -> Result<(u64, Hash)> {
        let recorded = self.append_line(body);
        if let (Err(error), None) = (&recorded, &self.poison) {
            self.note_missed(error);
        }
        recorded
    }

    /// Appends a record of the library's own. One that is refused is no missing entry.
    pub(crate) fn append_own(&mut self, record: &OwnRecord) -> Result<u64> {
        let body = record.encode(&self.means.envelope, &*self.means.clock)?;
        self.append_line(&body).map(|(seq, _)| seq)
    }

    fn append_line(&mut self, body: &[u8]) -> Result<(u64, Hash)> {
        let recorded = self.write(|appender| appender.stage(body))?;
        if self.active.len >= self.seal_at {
            self.try_seal();
        }
        Ok(recorded)
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

    /// Seals whatever the active segment holds.
    pub(crate) fn seal_now(&mut self) -> Result<()> {
        self.check()?;
        self.seal_and_tell()
    }

    /// Makes every line durable and signs it.
    pub(crate) fn sign(&mut self) -> Result<()> {
        self.sync("cannot sync the active segment")?;
        self.notary.sign(self.tree.frontier(), Occasion::Boundary)
    }

    /// The same, with the key so far and the one that signs from here on.
    pub(crate) fn hand_over(&mut self, next: Arc<dyn Signer>) -> Result<()> {
        self.sync("cannot sync the active segment")?;
        self.notary.hand_over(self.tree.frontier(), next)
    }

    fn stage(&mut self, body: &[u8]) -> (u64, Hash) {
        let seq = self.active.next_seq;
        let start = self.batch.len();
        self.batch.extend_from_slice(SEQ_PREFIX);
        self.batch.extend_from_slice(itoa::Buffer::new().format(seq).as_bytes());
        self.batch.push(b',');
        self.batch.extend_from_slice(body);
        let hash = leaf_hash(&self.batch[start..]);
        self.batch.push(b'\n');
        self.leaves.push(hash);
        self.active.next_seq += 1;
        (seq, hash)
    }

    /// What must be said before anything else: that a segment was sealed, and how much was lost since the last line.
    fn stage_pending(&mut self) {
        let gap = self.missed.as_ref().map(|missed| OwnRecord::Gap {
            count: missed.count,
            first: missed.first,
            last: missed.last,
            why: missed.why.clone(),
        });
        for record in self.rotated.clone().into_iter().chain(gap) {
            // A record of ours always encodes: its fields are short.
            if let Ok(body) = record.encode(&self.means.envelope, &*self.means.clock) {
                self.stage(&body);
            }
        }
    }

    fn note_missed(&mut self, error: &Error) {
        let now = Timestamp::of(self.means.clock.now());
        let missed = self.missed.get_or_insert_with(|| Missed {
            count: 0,
            first: now,
            last: now,
            why: error.to_string(),
        });
        missed.count += 1;
        missed.last = now;
    }

    /// Writes what is pending and what `stage` adds, all of it or nothing.
    fn write<T>(&mut self, stage: impl FnOnce(&mut Self) -> T) -> Result<T> {
        self.check()?;
        let before = self.active.next_seq;
        self.stage_pending();
        let staged = stage(self);
        let outcome = self.write_batch();
        let bytes = self.batch.len() as u64;
        self.batch.clear();
        match outcome {
            Ok(()) => {
                self.active.len += bytes;
                self.grow_tree();
                self.means.counters.bytes.add(bytes);
                (self.rotated, self.missed) = (None, None);
                Ok(staged)
            }
            Err(error) => {
                self.active.next_seq = before;
                self.leaves.clear();
                Err(self.take_back(error))
            }
        }
    }

    fn grow_tree(&mut self) {
        for leaf in self.leaves.drain(..) {
            if self.tree.push(leaf).is_err() {
                self.means.counters.tile_failures.add(1);
            }
        }
    }

    fn take_back(&mut self, error: io::Error) -> Error {
        self.means.counters.write_failures.add(1);
        let path = self.active_path();
        if let Err(undo) = self.active.file.set_len(self.active.len) {
            // Half a line that cannot be taken back: nothing may follow it.
            self.poison(&Error::storage("cannot take back half a line after a failed write", &path, undo));
        }
        Error::storage("cannot append to the active segment", &path, error)
    }

    fn write_batch(&self) -> io::Result<()> {
        let mut rest = self.batch.as_slice();
        while !rest.is_empty() {
            match self.active.file.append(rest)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => rest = &rest[written..],
            }
        }
        Ok(())
    }

    /// Seals; where that fails the segment simply goes on growing, and the failure is counted.
    fn try_seal(&mut self) {
        if self.seal_and_tell().is_err() {
            self.seal_at = self.active.len + SEAL_RETRY_BYTES;
            self.active.began = self.means.clock.now();
            self.means.counters.seal_failures.add(1);
        }
    }

    fn seal_and_tell(&mut self) -> Result<()> {
        self.seal()?;
        self.seal_at = self.means.max_file_bytes;
        self.means.counters.seals.add(1);
        self.means.sealed.ring();
        // Where it is refused it is told with the next line that is not.
        drop(self.write(|_| ()));
        Ok(())
    }

    /// Makes every line durable. Hands what the cache of nodes keeps back to the kernel, too.
    fn sync(&mut self, what: &str) -> Result<()> {
        self.flush_tiles();
        self.active.file.sync_data().map_err(|error| {
            // After a failed fdatasync the kernel may have dropped what it could not write: nothing may follow it.
            let error = Error::storage(what, self.active_path(), error);
            self.poison(&error);
            error
        })
    }

    /// fdatasync, checkpoint, rename, create the next, fsync the directory. What is to be told of it is pending then.
    fn seal(&mut self) -> Result<()> {
        let (storage, directory) = (self.means.storage.clone(), self.means.directory.clone());
        let active = self.active_path();
        let sealed = directory.join(sealed_name(self.active.first_seq));
        let failed = |what: &str, path: &Path, error: io::Error| Error::storage(what, path, error);
        self.sync("cannot sync the segment to seal")?;
        // Whatever is sealed is signed: recovery looks for unsigned lines in the active segment only.
        self.notary.sign(self.tree.frontier(), Occasion::Boundary)?;
        storage
            .rename(&active, &sealed)
            .map_err(|error| failed("cannot name the sealed segment", &sealed, error))?;
        let file = match storage.open_append(&active, true) {
            Ok(file) => file,
            Err(error) => {
                let error = failed("cannot begin a new segment", &active, error);
                if let Err(undo) = storage.rename(&sealed, &active) {
                    // Without an active segment of its name the trail cannot be followed.
                    self.poison(&failed("cannot take the seal back", &active, undo));
                }
                return Err(error);
            }
        };
        self.rotated = Some(OwnRecord::Rotated {
            segment: sealed_name(self.active.first_seq),
            first_seq: self.active.first_seq,
            last_seq: self.active.next_seq - 1,
            bytes: self.active.len,
        });
        let next_seq = self.active.next_seq;
        self.active = Start { file, len: 0, first_seq: next_seq, next_seq, began: self.means.clock.now() };
        storage.sync_directory(&directory).map_err(|error| {
            // Whatever the new segment is given, the disk may never know its name.
            let error = failed("cannot sync the directory", &directory, error);
            self.poison(&error);
            error
        })
    }

    fn active_path(&self) -> PathBuf {
        self.means.directory.join(ACTIVE)
    }
}

#[cfg(test)]
mod tests;
