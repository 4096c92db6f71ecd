//! Reads the latest checkpoint of a trail. Its signatures are not checked here.

use std::path::Path;

use auditx_store::checkpoint_path;
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
