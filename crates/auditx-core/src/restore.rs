//! A trail made of lines that were kept elsewhere: to be verified and searched, never to be continued.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::checkpoint::SignedCheckpoint;
use crate::checkpoint_signer::{CHECKPOINT, CHECKPOINTS};
use crate::control_record::FORMAT_VERSION;
use crate::dir::{Dir, Modes};
use crate::error::{Error, Result};
use crate::identity::{IDENTITY, TrailIdentity};
use crate::segment::{ACTIVE, AUDITX_DIR};
use crate::tiles::GrowingTree;
use crate::tree::{CompactRange, Hash};

/// A trail in the making. There is no key in it, so no logger goes on with it.
///
/// Nothing is checked here: what was altered elsewhere is found by whoever verifies the result.
pub struct RestoredTrail {
    directory: Dir,
    lines: BufWriter<File>,
    /// Absent where the lines do not begin with the first: then nobody here knows what came before.
    tree: Option<GrowingTree>,
}

impl fmt::Debug for RestoredTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoredTrail").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl RestoredTrail {
    /// Begins one in a directory that is empty or not there yet. `origin` is the name under which the trail's tree heads are signed,
    /// `first` the number of the line that comes first.
    ///
    /// # Errors
    /// `is_invalid` where the directory holds something, or the name is none of a trail; `is_storage` where it cannot be written.
    pub fn create(directory: &Path, origin: &str, first: u64) -> Result<Self> {
        let (origin, trail_id) = origin
            .split_once("/auditx/")
            .ok_or_else(|| Error::invalid(format!("{origin:?} is not the name of a trail's log")))?;
        let failed = |error| Error::storage("cannot make a trail", directory, error);
        let target = Dir::hold(directory, Modes::default()).map_err(failed)?;
        if !target.list("").map_err(failed)?.is_empty() {
            return Err(Error::invalid("a trail is restored into an empty directory").at(directory));
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

    /// Adds a line, without its newline, and what was kept beside it as its leaf: with that, whoever verifies can name the line that
    /// was altered.
    ///
    /// # Errors
    /// `is_storage` where it cannot be written.
    pub fn push(&mut self, line: &[u8], leaf: Hash) -> Result<()> {
        let written = self.lines.write_all(line).and_then(|()| self.lines.write_all(b"\n"));
        let grown = written.and_then(|()| self.tree.as_mut().map_or(Ok(()), |tree| tree.push(leaf)));
        grown.map_err(|error| Error::storage("cannot write the trail", self.directory.path(), error))
    }

    /// Ends it with the notes that were kept elsewhere.
    ///
    /// # Errors
    /// `is_storage` where they cannot be written.
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
