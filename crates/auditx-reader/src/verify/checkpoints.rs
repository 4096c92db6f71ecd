//! Reads the checkpoints and the log name from `.auditx`, before any line is read.
//!
//! Lines named by a checkpoint that is read first are on disk by the time the lines are read.

use std::fs;
use std::path::{Path, PathBuf};

use auditx_store::{checkpoint_history, checkpoint_path};
use auditx_tlog::SignedCheckpoint;

use super::fault::{Fault, FaultKind};
use crate::error::{Error, Result};
use crate::file;
use crate::identity::log_name;

/// How a signature line of a C2SP note begins.
const SIGNATURE: &str = "\u{2014} ";

/// The checkpoints of a trail and the name of its log.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// The latest checkpoint; `None` if the file does not exist.
    pub(super) latest: std::result::Result<Option<SignedCheckpoint>, Fault>,
    /// The checkpoints in `.auditx/checkpoints`, by size.
    pub(super) history: Vec<SignedCheckpoint>,
    /// The names of files there that cannot be read.
    pub(super) unusable: Vec<String>,
    /// The log name in `.auditx/trail.json`; `None` if that cannot be read.
    pub(super) log_name: Option<String>,
}

impl Checkpoints {
    /// # Errors
    /// `is_storage` if a file cannot be read.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let latest = read_latest(&checkpoint_path(directory))?;
        let mut checkpoints = Self { latest, history: Vec::new(), unusable: Vec::new(), log_name: None };
        checkpoints.read_history(&checkpoint_history(directory))?;
        checkpoints.log_name = log_name(directory);
        Ok(checkpoints)
    }

    fn read_history(&mut self, directory: &Path) -> Result<()> {
        let unreadable = |error| Error::storage("cannot list the checkpoints", directory, error);
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut named: Vec<(u64, PathBuf)> = Vec::new();
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            match entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                Some(size) => named.push((size, entry.path())),
                // A checkpoint that a writer has not renamed yet.
                None if entry.path().extension().is_some_and(|extension| extension == "tmp") => {}
                None => self.unusable.push(entry.file_name().to_string_lossy().into_owned()),
            }
        }
        named.sort();
        for (size, path) in named {
            let note = file::read_small(&path).ok().flatten();
            match note.and_then(|note| SignedCheckpoint::parse(&note).ok()) {
                Some(note) if note.size() == size => self.history.push(note),
                _ => self.unusable.push(size.to_string()),
            }
        }
        Ok(())
    }
}

fn read_latest(path: &Path) -> Result<std::result::Result<Option<SignedCheckpoint>, Fault>> {
    let bytes = match file::read_small(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Ok(None)),
        Err(error) if error.is_refused() => {
            return Ok(Err(Fault::new(
                FaultKind::NotAFile,
                format!("the checkpoint cannot be read: {}", error.why()),
            )));
        }
        Err(error) => return Err(error),
    };
    Ok(match SignedCheckpoint::parse(&bytes) {
        Ok(note) => Ok(Some(note)),
        Err(_) if is_unsigned(&bytes) => {
            Err(Fault::new(FaultKind::Unsigned, "the checkpoint has no signature"))
        }
        Err(error) => Err(Fault::new(FaultKind::MalformedCheckpoint, error.to_string())),
    })
}

/// Whether this is a tree head without signatures.
fn is_unsigned(note: &[u8]) -> bool {
    std::str::from_utf8(note).is_ok_and(|text| {
        text.trim_end().lines().count() == 3 && !text.lines().any(|line| line.starts_with(SIGNATURE))
    })
}
