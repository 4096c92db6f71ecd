//! Keeps the checkpoints that witnesses cosigned, in `.auditx/cosigned`.
//!
//! Several processes may submit the same trail, also to other witnesses. Each keeps what the others obtained.

use std::fs;
use std::io;
use std::path::Path;

use auditx_store::{KeptFiles, checkpoint_history, cosigned_history, kept_sizes, read_kept};
use auditx_tlog::SignedCheckpoint;

/// How many older files are considered for removal. There are few, besides those at ends of segments.
const OLDER: usize = 8;

/// Stores a checkpoint, with the signatures that its file has already, then removes older ones that say no
/// more: those whose witnesses all cosigned this one too, except at the end of a segment. Returns what was
/// stored.
pub(crate) fn keep(trail: &Path, checkpoint: &SignedCheckpoint) -> io::Result<SignedCheckpoint> {
    let kept = KeptFiles::lock(trail, cosigned_history(trail))?;
    let checkpoint = with_kept(trail, checkpoint.clone());
    kept.write(&checkpoint.size().to_string(), checkpoint.as_str().as_bytes())?;
    remove_older(trail, &cosigned_history(trail), &checkpoint);
    Ok(checkpoint)
}

/// Returns the checkpoint with the signatures that its file has already.
pub(crate) fn with_kept(trail: &Path, checkpoint: SignedCheckpoint) -> SignedCheckpoint {
    match read(&cosigned_history(trail), checkpoint.size()) {
        Some(kept) => checkpoint.merged(&kept).unwrap_or(checkpoint),
        None => checkpoint,
    }
}

/// A file that cannot be removed is left.
fn remove_older(trail: &Path, directory: &Path, checkpoint: &SignedCheckpoint) {
    let sizes = kept_sizes(directory, "").unwrap_or_default().into_iter().rev();
    let boundaries = checkpoint_history(trail);
    for size in sizes.filter(|size| *size < checkpoint.size()).take(OLDER) {
        let is_boundary = boundaries.join(size.to_string()).exists();
        let says_more = read(directory, size).is_none_or(|older| !checkpoint.has_signers_of(&older));
        if !is_boundary && !says_more {
            fs::remove_file(directory.join(size.to_string())).ok();
        }
    }
}

fn read(directory: &Path, size: u64) -> Option<SignedCheckpoint> {
    let note = read_kept(&directory.join(size.to_string())).ok()??;
    SignedCheckpoint::parse(&note).ok().filter(|checkpoint| checkpoint.size() == size)
}
