//! Lines out of the trail, as far as they are signed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use auditx_core::{Hash, SignedCheckpoint, Tiles, TrailReader, checkpoint_path, leaf_of};

use crate::batch::Shipped;
use crate::destination::TrailId;
use crate::error::{Error, Result};

#[derive(Debug)]
pub(crate) struct Feed {
    directory: PathBuf,
    reader: TrailReader,
    signed: Option<(TrailId, SignedCheckpoint)>,
}

impl Feed {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf(), reader: TrailReader::new(directory, 0), signed: None }
    }

    /// Looks what is signed by now; none before anything is.
    ///
    /// # Errors
    /// Where the checkpoint cannot be read, or is one of another trail than before.
    pub(crate) fn look(&mut self) -> Result<Option<&(TrailId, SignedCheckpoint)>> {
        let path = checkpoint_path(&self.directory);
        let note = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.signed.as_ref()),
            other => {
                other.map_err(|error| Error::trail(format!("cannot read {}: {error}", path.display())))?
            }
        };
        let checkpoint = SignedCheckpoint::parse(&note).map_err(Error::trail)?;
        let trail: TrailId = checkpoint.origin().rsplit('/').next().unwrap_or_default().parse()?;
        if self.signed.as_ref().is_some_and(|(known, _)| *known != trail) {
            return Err(Error::trail(format!(
                "another trail, {trail}, was put in {}",
                self.directory.display()
            )));
        }
        Ok(Some(self.signed.insert((trail, checkpoint))))
    }

    pub(crate) fn go_to(&mut self, next: u64) {
        self.reader.restart(next);
    }

    /// The lines from where it stands, up to the end of what is signed.
    pub(crate) fn read(&mut self, most_lines: usize, most_bytes: usize) -> Result<Vec<Shipped>> {
        let end = self.signed.as_ref().map_or(0, |(_, checkpoint)| checkpoint.size());
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while self.reader.position() < end && lines.len() < most_lines && bytes < most_bytes {
            let Some((seq, line)) = self.reader.next_line().map_err(Error::trail)? else { break };
            let (Some(leaf), Ok(text)) = (leaf_of(line), std::str::from_utf8(line)) else {
                return Err(Error::trail(format!("line {seq} is damaged: see `auditx verify`")));
            };
            bytes += text.len();
            lines.push(Shipped { seq, leaf_hash: leaf.hash, line: text.to_owned() });
        }
        Ok(lines)
    }

    /// The leaf of a line, if it is signed: of the line, or of the tree where the line is retired.
    pub(crate) fn leaf(&self, seq: u64) -> Result<Option<Hash>> {
        if self.signed.as_ref().is_none_or(|(_, checkpoint)| seq >= checkpoint.size()) {
            return Ok(None);
        }
        let mut reader = TrailReader::new(&self.directory, seq);
        if let Some((found, line)) = reader.next_line().map_err(Error::trail)?
            && found == seq
        {
            return Ok(leaf_of(line).map(|leaf| leaf.hash));
        }
        let mut leaf = [Hash::default()];
        Ok((Tiles::open(&self.directory).leaves(seq, &mut leaf) == 1).then_some(leaf[0]))
    }
}
