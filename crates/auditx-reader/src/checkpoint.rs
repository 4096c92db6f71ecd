//! Reads the latest checkpoint of a trail, those that witnesses cosigned, and time stamps. Signatures are not
//! checked here.

use std::path::Path;

use auditx_store::{checkpoint_path, cosigned_history, kept_sizes, timestamp_history};
use auditx_tlog::SignedCheckpoint;

use crate::error::{Error, Result};
use crate::file;

/// Returns the latest signed checkpoint of the trail in `directory`, unchecked: check its signatures with
/// [`SignedCheckpoint::verify`] and a key that you trust.
///
/// # Errors
/// `is_missing` if the directory does not exist or holds no checkpoint; `is_corrupt` if the checkpoint cannot
/// be parsed; `is_refused` or `is_storage` if it cannot be read.
pub fn latest_checkpoint(directory: &Path) -> Result<SignedCheckpoint> {
    let path = checkpoint_path(directory);
    let Some(note) = file::read_small(&path)? else {
        let message = if directory.exists() {
            "there is no checkpoint in the directory: nothing was signed"
        } else {
            "there is no such directory"
        };
        return Err(Error::missing(message, directory));
    };
    SignedCheckpoint::parse(&note).map_err(|error| Error::corrupt(error.to_string(), &path))
}

/// Returns the checkpoints of the trail in `directory` that witnesses cosigned, largest first, unchecked:
/// check them with [`Policy::witnessed_at`](auditx_tlog::Policy::witnessed_at). Files that are no checkpoints
/// are left out.
///
/// # Errors
/// `is_storage` if they cannot be listed.
pub fn cosigned_checkpoints(directory: &Path) -> Result<Vec<SignedCheckpoint>> {
    let sizes = cosigned_sizes(directory)?;
    Ok(sizes.into_iter().filter_map(|size| read_cosigned(directory, size).ok().flatten()).collect())
}

/// Returns the sizes of the checkpoints that witnesses cosigned, largest first, according to the names of
/// their files: one for each segment, and a few more.
///
/// # Errors
/// `is_storage` if they cannot be listed.
pub(crate) fn cosigned_sizes(trail: &Path) -> Result<Vec<u64>> {
    // The lock and an unfinished file have other names.
    let directory = cosigned_history(trail);
    let sizes = kept_sizes(&directory, "");
    let mut sizes =
        sizes.map_err(|error| Error::storage("cannot list the cosigned checkpoints", &directory, error))?;
    sizes.reverse();
    Ok(sizes)
}

/// The file is not the checkpoint that its name says, or cannot be read.
#[derive(Debug)]
pub(crate) struct Unusable;

/// Reads the checkpoint of this size that witnesses cosigned; `None` if there is no such file.
pub(crate) fn read_cosigned(
    trail: &Path,
    size: u64,
) -> std::result::Result<Option<SignedCheckpoint>, Unusable> {
    let note = file::read_small(&cosigned_history(trail).join(size.to_string())).map_err(|_| Unusable)?;
    let Some(note) = note else { return Ok(None) };
    let checkpoint = SignedCheckpoint::parse(&note).map_err(|_| Unusable)?;
    if checkpoint.size() == size { Ok(Some(checkpoint)) } else { Err(Unusable) }
}

/// A time stamp as it is kept with a trail. Nothing of it is verified.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptStamp {
    /// The number of lines that the checkpoint names, from the name of the file.
    pub size: u64,
    /// The note that was stamped; empty if its file cannot be read.
    pub checkpoint: Vec<u8>,
    /// The answer of the authority (`TimeStampResp` of RFC 3161).
    pub response: Vec<u8>,
}

/// Returns the sizes of the checkpoints that have a time stamp, smallest first, according to the names of the
/// files.
///
/// # Errors
/// `is_storage` if they cannot be listed.
pub fn stamp_sizes(trail: &Path) -> Result<Vec<u64>> {
    let directory = timestamp_history(trail);
    let sizes = kept_sizes(&directory, ".tsr");
    sizes.map_err(|error| Error::storage("cannot list the time stamps", &directory, error))
}

/// Reads the time stamp of the checkpoint of this size. What cannot be read is empty.
#[must_use]
pub fn kept_stamp(trail: &Path, size: u64) -> KeptStamp {
    let directory = timestamp_history(trail);
    let read = |name: String| file::read_small(&directory.join(name)).ok().flatten().unwrap_or_default();
    KeptStamp { size, checkpoint: read(format!("{size}.checkpoint")), response: read(format!("{size}.tsr")) }
}
