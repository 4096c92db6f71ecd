//! Seals segments, makes sealed segments and the active one durable, and signs the boundaries.
//!
//! A seal is a rename. The fdatasync of a whole segment and the signature take milliseconds, so the thread
//! that syncs does them later and without the appender's lock; recovery looks for unsigned lines in sealed
//! segments too.

use std::io;
use std::sync::Arc;

use auditx_format::control_record::ControlRecord;
use auditx_format::{Error, Result};
use auditx_tlog::{CompactRange, Signer};

use super::{Appender, MAX_UNSYNCED, SEAL_RETRY_BYTES, Start, Synced};
use crate::checkpoint_signer::{CheckpointSigner, Occasion};
use crate::dir::Dir;
use crate::kill_point::kill_point;
use crate::reach::Reach;
use crate::segment::{ACTIVE, Fingerprint, sealed_name};
use crate::storage::{Storage, StorageFile};

/// A sealed segment: its file, and the tree up to its end.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) file: Arc<dyn StorageFile>,
    pub(super) len: u64,
    pub(super) first_seq: u64,
    pub(super) frontier: CompactRange,
}

/// Everything that is not durable at one moment.
#[derive(Debug)]
pub(crate) struct Unsynced {
    sealed: Vec<Arc<Sealed>>,
    file: Arc<dyn StorageFile>,
    first_seq: u64,
    len: u64,
    pub(crate) reach: Reach,
    pub(crate) frontier: CompactRange,
    storage: Arc<dyn Storage>,
    directory: Dir,
}

impl Unsynced {
    /// Calls fdatasync(2) for each segment, oldest first, so that what is durable has no hole.
    ///
    /// # Errors
    /// `is_storage` if it fails: the kernel may have dropped what it could not write.
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

    /// Signs the boundaries of the segments that were synced. One that cannot be signed is signed later, with
    /// what follows.
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
    /// Returns what must be synced now.
    pub(crate) fn unsynced(&mut self) -> Result<Unsynced> {
        self.flush_tiles();
        self.check()?;
        Ok(Unsynced {
            sealed: self.unsynced.clone(),
            file: self.active.file.clone(),
            first_seq: self.active.first_seq,
            len: self.active.len,
            reach: self.reach(),
            frontier: self.tree.frontier().clone(),
            storage: self.trail.storage.clone(),
            directory: self.trail.directory.clone(),
        })
    }

    /// Notes what was synced, and notifies maintenance if it includes sealed segments.
    pub(crate) fn mark_synced(&mut self, synced: &Unsynced) {
        if synced.reach.lines > self.synced.reach.lines {
            let Unsynced { first_seq, len, reach, frontier, .. } = synced;
            self.synced =
                Synced { first_seq: *first_seq, len: *len, reach: *reach, frontier: frontier.clone() };
        }
        let before = self.unsynced.len();
        self.unsynced.retain(|segment| !synced.sealed.iter().any(|other| Arc::ptr_eq(other, segment)));
        if self.unsynced.len() < before {
            self.trail.sealed.notify();
        }
    }

    /// Makes every line durable, and signs the boundaries of sealed segments.
    fn sync(&mut self) -> Result<Unsynced> {
        let unsynced = self.unsynced()?;
        unsynced.sync().and_then(|()| self.check_names()).inspect_err(|error| self.poison(error))?;
        self.mark_synced(&unsynced);
        unsynced.sign_boundaries(&self.checkpoint_signer)?;
        Ok(unsynced)
    }

    /// Makes every line durable and signs it.
    pub(crate) fn sign(&mut self) -> Result<()> {
        let synced = self.sync()?;
        self.checkpoint_signer.sign(&synced.frontier, Occasion::Boundary)
    }

    /// Makes every line durable and signs it with the current key and with the one that signs from here on.
    pub(crate) fn rotate_key(&mut self, next: Arc<dyn Signer>) -> Result<()> {
        let synced = self.sync()?;
        self.checkpoint_signer.hand_over(&synced.frontier, next)
    }

    /// Seals the active segment, durable and signed.
    pub(crate) fn seal_now(&mut self) -> Result<()> {
        self.check()?;
        self.seal_and_record()?;
        self.sign()
    }

    /// Seals the active segment. If that fails the segment keeps growing, and the failure is counted.
    pub(super) fn try_seal(&mut self) {
        if self.unsynced.len() < MAX_UNSYNCED {
            match self.seal_and_record() {
                Ok(()) => return,
                Err(error) => {
                    self.trail.counters.seal_failures.add(1);
                    self.trail.app_log.report(&format!("{error}; the active segment keeps growing"));
                }
            }
        }
        self.seal_at = self.active.len + SEAL_RETRY_BYTES;
        self.active.began = self.trail.config.clock.now();
    }

    pub(super) fn seal_and_record(&mut self) -> Result<()> {
        self.seal()?;
        self.seal_at = self.trail.config.max_file_bytes;
        self.trail.counters.seals.add(1);
        // If the write fails, the record comes with the next line that is written.
        drop(self.append_pending());
        Ok(())
    }

    /// Renames the active segment and creates the next one. The record of it is pending afterwards.
    fn seal(&mut self) -> Result<()> {
        let (storage, directory) = (self.trail.storage.clone(), self.trail.directory.clone());
        let sealed = sealed_name(self.active.first_seq);
        let failed =
            |what: &str, name: &str, error: io::Error| Error::storage(what, directory.join(name), error);
        let found = directory.stat(&sealed);
        if found.map_err(|error| failed("cannot examine the sealed segment", &sealed, error))?.is_some() {
            let what = "a sealed segment of this name exists already; move it out of the trail's directory";
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
                    // Without an active segment the trail cannot be followed.
                    self.poison(&failed("cannot undo the seal", ACTIVE, undo));
                }
                return Err(error);
            }
        };
        let fingerprint = self.fingerprint.replace(Fingerprint::default());
        self.trail.registry.add(self.active.first_seq, fingerprint.map(|fingerprint| fingerprint.value()));
        kill_point("seal: begun anew");
        self.rotated.push(ControlRecord::Rotated {
            segment: sealed,
            first_seq: self.active.first_seq,
            last_seq: self.active.next_seq - 1,
            bytes: self.active.len,
        });
        let next_seq = self.active.next_seq;
        let began = self.trail.config.clock.now();
        let next = Start { file, len: 0, first_seq: next_seq, next_seq, began };
        let full = std::mem::replace(&mut self.active, next);
        let frontier = self.tree.frontier().clone();
        let Start { file, len, first_seq, .. } = full;
        self.unsynced.push(Arc::new(Sealed { file, len, first_seq, frontier }));
        Ok(())
    }
}
