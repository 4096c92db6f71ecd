//! Sealing, and what comes after it: making sealed segments and the active one durable, and signing the boundaries.
//!
//! A seal is a rename. The fdatasync of a whole segment and the signature take milliseconds, so they are done later, by whoever
//! syncs, and without the appender's lock; recovery looks for unsigned lines in sealed segments too.

use std::io;
use std::sync::Arc;

use super::{Appender, MOST_UNSETTLED, SEAL_RETRY_BYTES, Start, Synced};
use crate::checkpoint_signer::{CheckpointSigner, Occasion};
use crate::control_record::ControlRecord;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::key::Signer;
use crate::kill_point::kill_point;
use crate::segment::{ACTIVE, sealed_name};
use crate::storage::{Storage, StorageFile};
use crate::tree::CompactRange;
use crate::watermark::Reach;

/// A segment that was sealed: its file, and the tree up to its end.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) file: Arc<dyn StorageFile>,
    pub(super) len: u64,
    pub(super) first_seq: u64,
    pub(super) frontier: CompactRange,
}

/// All that is not durable yet, as of one moment.
#[derive(Debug)]
pub(crate) struct Unsettled {
    sealed: Vec<Arc<Sealed>>,
    file: Arc<dyn StorageFile>,
    first_seq: u64,
    len: u64,
    pub(crate) reach: Reach,
    pub(crate) frontier: CompactRange,
    storage: Arc<dyn Storage>,
    directory: Dir,
}

impl Unsettled {
    /// fdatasync for each segment, oldest first, so that what is durable has no hole.
    ///
    /// # Errors
    /// `is_storage` where the disk refused: the kernel may have dropped what it could not write.
    pub(crate) fn sync(&self) -> Result<()> {
        for segment in &self.sealed {
            sync_file(&*segment.file)?;
        }
        if !self.sealed.is_empty() {
            self.storage
                .sync_directory(&self.directory)
                .map_err(|error| Error::storage("cannot sync the directory", self.directory.path(), error))?;
        }
        sync_file(&*self.file)
    }

    /// Signs the boundaries of the segments that were synced. One that cannot be signed is signed later, with what follows.
    ///
    /// # Errors
    /// Why a boundary could not be signed.
    pub(crate) fn sign_boundaries(&self, checkpoint_signer: &CheckpointSigner) -> Result<()> {
        self.sealed
            .iter()
            .try_for_each(|segment| checkpoint_signer.sign(&segment.frontier, Occasion::Boundary))
    }
}

fn sync_file(file: &dyn StorageFile) -> Result<()> {
    file.sync_data().map_err(|error| {
        Error::storage("cannot sync the active segment; the trail takes no more entries", ACTIVE, error)
    })
}

impl Appender {
    /// What is to be synced now.
    pub(crate) fn unsettled(&mut self) -> Result<Unsettled> {
        self.flush_tiles();
        self.check()?;
        Ok(Unsettled {
            sealed: self.unsettled.clone(),
            file: self.active.file.clone(),
            first_seq: self.active.first_seq,
            len: self.active.len,
            reach: self.reach(),
            frontier: self.tree.frontier().clone(),
            storage: self.means.storage.clone(),
            directory: self.means.directory.clone(),
        })
    }

    /// Forgets the segments that were synced, and tells whoever waits for sealed ones.
    pub(crate) fn settle(&mut self, synced: &Unsettled) {
        if synced.reach.lines > self.synced.reach.lines {
            let Unsettled { first_seq, len, reach, frontier, .. } = synced;
            self.synced =
                Synced { first_seq: *first_seq, len: *len, reach: *reach, frontier: frontier.clone() };
        }
        let before = self.unsettled.len();
        self.unsettled.retain(|segment| !synced.sealed.iter().any(|other| Arc::ptr_eq(other, segment)));
        if self.unsettled.len() < before {
            self.means.sealed.ring();
        }
    }

    /// Makes every line durable, and signs the boundaries of sealed segments.
    fn sync(&mut self) -> Result<Unsettled> {
        let unsettled = self.unsettled()?;
        unsettled.sync().and_then(|()| self.check_names()).inspect_err(|error| self.poison(error))?;
        self.settle(&unsettled);
        unsettled.sign_boundaries(&self.checkpoint_signer)?;
        Ok(unsettled)
    }

    /// Makes every line durable and signs it.
    pub(crate) fn sign(&mut self) -> Result<()> {
        let synced = self.sync()?;
        self.checkpoint_signer.sign(&synced.frontier, Occasion::Boundary)
    }

    /// The same, with the key so far and the one that signs from here on.
    pub(crate) fn hand_over(&mut self, next: Arc<dyn Signer>) -> Result<()> {
        let synced = self.sync()?;
        self.checkpoint_signer.hand_over(&synced.frontier, next)
    }

    /// Seals whatever the active segment holds, durable and signed.
    pub(crate) fn seal_now(&mut self) -> Result<()> {
        self.check()?;
        self.seal_and_tell()?;
        self.sign()
    }

    /// Seals; where that fails the segment simply goes on growing, and the failure is counted.
    pub(super) fn try_seal(&mut self) {
        if self.unsettled.len() < MOST_UNSETTLED && self.seal_and_tell().is_ok() {
            return;
        }
        if self.unsettled.len() < MOST_UNSETTLED {
            self.means.counters.seal_failures.add(1);
        }
        self.seal_at = self.active.len + SEAL_RETRY_BYTES;
        self.active.began = self.means.clock.now();
    }

    pub(super) fn seal_and_tell(&mut self) -> Result<()> {
        self.seal()?;
        self.seal_at = self.means.max_file_bytes;
        self.means.counters.seals.add(1);
        // Where it is refused it is told with the next line that is not.
        drop(self.append_pending());
        Ok(())
    }

    /// Renames the active segment and creates the next. What is to be told of it is pending then.
    fn seal(&mut self) -> Result<()> {
        let (storage, directory) = (self.means.storage.clone(), self.means.directory.clone());
        let sealed = sealed_name(self.active.first_seq);
        let failed =
            |what: &str, name: &str, error: io::Error| Error::storage(what, directory.join(name), error);
        if directory.stat(&sealed).map_or(true, |found| found.is_some()) {
            let what = "a sealed segment of this name is there already";
            return Err(Error::corrupt(what).at(&directory.join(&sealed)));
        }
        storage
            .rename(&directory, ACTIVE, &sealed)
            .map_err(|error| failed("cannot name the sealed segment", &sealed, error))?;
        kill_point("seal: renamed");
        let file = match storage.open_append(&directory, ACTIVE, true) {
            Ok(file) => file,
            Err(error) => {
                let error = failed("cannot begin a new segment", ACTIVE, error);
                if let Err(undo) = storage.rename(&directory, &sealed, ACTIVE) {
                    // Without an active segment of its name the trail cannot be followed.
                    self.poison(&failed("cannot undo the seal", ACTIVE, undo));
                }
                return Err(error);
            }
        };
        self.means.registry.add(self.active.first_seq);
        kill_point("seal: begun anew");
        self.rotated.push(ControlRecord::Rotated {
            segment: sealed_name(self.active.first_seq),
            first_seq: self.active.first_seq,
            last_seq: self.active.next_seq - 1,
            bytes: self.active.len,
        });
        let next_seq = self.active.next_seq;
        let began = self.means.clock.now();
        let next = Start { file, len: 0, first_seq: next_seq, next_seq, began };
        let full = std::mem::replace(&mut self.active, next);
        let frontier = self.tree.frontier().clone();
        let Start { file, len, first_seq, .. } = full;
        self.unsettled.push(Arc::new(Sealed { file, len, first_seq, frontier }));
        Ok(())
    }
}
