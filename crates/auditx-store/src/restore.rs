//! Rebuilds a trail from lines that were stored elsewhere, to be verified and searched, but never continued.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use auditx_format::control_record::FORMAT_VERSION;
use auditx_format::{Error, Result};
use auditx_tlog::{CompactRange, Hash, SignedCheckpoint};

use crate::checkpoint_signer::{CHECKPOINT, CHECKPOINTS};
use crate::dir::{Dir, Modes};
use crate::identity::{IDENTITY, TrailIdentity};
use crate::segment::{ACTIVE, AUDITX_DIR};
use crate::tiles::GrowingTree;

/// A trail that is being restored. It contains no key, so no logger can continue it.
///
/// Nothing is checked here; verify the result to find alterations.
pub struct RestoredTrail {
    directory: Dir,
    lines: BufWriter<File>,
    /// `None` if the lines do not begin with line 0, since the hashes of the earlier ones are unknown.
    tree: Option<GrowingTree>,
}

impl fmt::Debug for RestoredTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoredTrail").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl RestoredTrail {
    /// Creates a trail in a directory that is empty or does not exist. `origin` is the name under which the
    /// trail's tree heads are signed, and `first` is the sequence number of the first line.
    ///
    /// # Errors
    /// `is_invalid` if the directory is not empty, or the name is not that of a trail; `is_storage` if it
    /// cannot be written.
    pub fn create(directory: &Path, origin: &str, first: u64) -> Result<Self> {
        let (origin, trail_id) = origin
            .split_once("/auditx/")
            .ok_or_else(|| Error::invalid(format!("{origin:?} is not the name of a trail's log")))?;
        let failed = |error| Error::storage("cannot create the trail", directory, error);
        let target = Dir::hold(directory, Modes::default()).map_err(failed)?;
        if !target.list("").map_err(failed)?.is_empty() {
            return Err(
                Error::invalid("cannot restore a trail into a directory that is not empty").at(directory)
            );
        }
        target
            .create_directory(AUDITX_DIR)
            .and_then(|()| target.create_directory(CHECKPOINTS))
            .map_err(failed)?;
        let identity = TrailIdentity {
            format: FORMAT_VERSION,
            trail_id: trail_id.to_owned(),
            origin: origin.to_owned(),
        };
        let identity = serde_json::to_vec_pretty(&identity).map_err(|error| failed(error.into()))?;
        target.put(IDENTITY, &identity).map_err(failed)?;
        let lines = BufWriter::with_capacity(1 << 18, target.create(ACTIVE, false).map_err(failed)?);
        let tree = if first == 0 { Some(GrowingTree::open(&target, CompactRange::new(0))?) } else { None };
        Ok(Self { directory: target, lines, tree })
    }

    /// Appends a line without its newline, and the leaf hash that was stored with it. The leaf hashes let
    /// verification identify an altered line.
    ///
    /// # Errors
    /// `is_storage` if it cannot be written.
    pub fn push(&mut self, line: &[u8], leaf: Hash) -> Result<()> {
        let written = self.lines.write_all(line).and_then(|()| self.lines.write_all(b"\n"));
        let grown = written.and_then(|()| self.tree.as_mut().map_or(Ok(()), |tree| tree.push(leaf)));
        grown.map_err(|error| Error::storage("cannot write the trail", self.directory.path(), error))
    }

    /// Finishes the trail with the checkpoints that were stored elsewhere.
    ///
    /// # Errors
    /// `is_storage` if they cannot be written.
    pub fn finish(
        mut self,
        checkpoint: Option<&SignedCheckpoint>,
        boundaries: &[SignedCheckpoint],
    ) -> Result<()> {
        self.write_rest(checkpoint, boundaries)
            .map_err(|error| Error::storage("cannot write the trail", self.directory.path(), error))
    }

    fn write_rest(
        &mut self,
        checkpoint: Option<&SignedCheckpoint>,
        boundaries: &[SignedCheckpoint],
    ) -> io::Result<()> {
        self.lines.flush()?;
        if let Some(tree) = &mut self.tree {
            tree.flush()?;
        }
        for boundary in boundaries {
            self.directory.put(format!("{CHECKPOINTS}/{}", boundary.size()), boundary.as_str().as_bytes())?;
        }
        checkpoint.map_or(Ok(()), |note| self.directory.put(CHECKPOINT, note.as_str().as_bytes()))
    }
}
