//! The latest checkpoint of a trail, read from beside its lines. No signature of it is checked here.

use std::path::Path;

use auditx_core::{SignedCheckpoint, checkpoint_path};

use crate::error::{Error, Result};
use crate::file;

/// The latest signed checkpoint of the trail in `directory`, as it stands there: whether to believe it is for whoever has
/// the key ([`SignedCheckpoint::verify`]).
///
/// # Errors
/// `is_missing` where there is no such directory or no checkpoint in it, `is_corrupt` where it is no checkpoint,
/// `is_refused` or `is_storage` where it cannot be read.
pub fn latest_checkpoint(directory: &Path) -> Result<SignedCheckpoint> {
    let path = checkpoint_path(directory);
    let Some(note) = file::read_small(&path)? else {
        let message = if directory.exists() {
            "there is no checkpoint of a trail: nothing was signed here"
        } else {
            "there is no such directory"
        };
        return Err(Error::missing(message, directory));
    };
    SignedCheckpoint::parse(&note).map_err(|error| Error::corrupt(error.to_string(), &path))
}
