//! Goes back to what is known to be durable after a failed fdatasync, in a new file.
//!
//! The kernel may have dropped what it could not write and call it clean (Rebello et al., *Can Applications
//! Recover from fsync Failures?*, USENIX ATC 2020). So nothing that was not synced before is trusted; the
//! journal still holds it, and it is written again.

use auditx_format::control_record::ControlRecord;
use auditx_format::{Error, Result};

use super::{Appender, Start, Synced};
use crate::kill_point::kill_point;
use crate::segment::{ACTIVE, sealed_name, sealed_segments};
use crate::tiles::GrowingTree;

impl Appender {
    /// Whether everything that is not durable comes after this position in the journal, which then still
    /// holds it.
    pub(crate) fn can_rewind(&self, released: u64) -> bool {
        self.poison.is_none() && released <= self.synced.reach.position
    }

    /// Replaces the active segment by a copy of the durable lines and continues from there.
    ///
    /// # Errors
    /// `is_storage` if that fails as well: nothing may follow then.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        let Synced { first_seq, len, reach, frontier } = self.synced.clone();
        let lost = self.active.next_seq - reach.lines;
        let directory = self.trail.directory.clone();
        let from =
            if first_seq == self.active.first_seq { ACTIVE.to_owned() } else { sealed_name(first_seq) };
        let failed = |what: &str, error| Error::storage(what, directory.join(&from), error);
        let mut durable =
            directory.read(&from).map_err(|error| failed("cannot read the durable lines", error))?;
        durable.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        let storage = self.trail.storage.clone();
        storage
            .replace(&directory, ACTIVE, &durable)
            .map_err(|error| failed("cannot write a copy of the durable lines", error))?;
        self.trail.watermark.count_rollback();
        kill_point("rewind: copied");
        for segment in sealed_segments(&directory)? {
            // What was sealed since is written again. After a kill here, recovery moves it aside.
            if segment.first_seq >= first_seq {
                self.trail.registry.remove(segment.first_seq);
                storage
                    .remove(&directory, &segment.name())
                    .map_err(|error| failed("cannot remove a segment that will be written again", error))?;
            }
        }
        kill_point("rewind: removed");
        storage.sync_directory(&directory).map_err(|error| failed("cannot sync the directory", error))?;
        let file = storage
            .open_append(&directory, ACTIVE, false)
            .map_err(|error| failed("cannot open the active segment", error))?;
        let began = self.active.began;
        self.active = Start { file, len, first_seq, next_seq: reach.lines, began };
        self.fingerprint = None;
        self.position = reach.position;
        self.tree = GrowingTree::open(&directory, frontier)?;
        self.unsynced.clear();
        self.rotated.clear();
        self.trail.watermark.history.remove_after(reach.position);
        self.trail.sensitive.remove_from(reach.lines);
        self.append_control_record(&ControlRecord::Recovered {
            torn: None,
            unsigned_lines: lost,
            replayed: 0,
        })
        .map(drop)
    }
}
