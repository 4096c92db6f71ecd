//! Keeps the checkpoints that witnesses cosigned, in `.auditx/cosigned`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use auditx_reader::cosigned_checkpoints;
use auditx_store::{checkpoint_history, checkpoint_path, cosigned_history};
use auditx_tlog::{SignedCheckpoint, WitnessKey};

/// Stores a checkpoint, then removes older ones that no longer say anything: those whose witnesses all
/// cosigned this one too, except at the end of a segment.
pub(crate) fn keep(trail: &Path, checkpoint: &SignedCheckpoint, keys: &[WitnessKey]) -> io::Result<()> {
    let directory = cosigned_history(trail);
    let mode = fs::metadata(checkpoint_path(trail)).map_or(0o640, |metadata| metadata.mode() & 0o777);
    match fs::create_dir(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let path = directory.join(checkpoint.size().to_string());
    // Each process has a name of its own.
    let unfinished = directory.join(format!("{}.{}.tmp", checkpoint.size(), std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&unfinished)?;
    file.write_all(checkpoint.as_str().as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    File::open(&directory)?.sync_all()?;
    let boundaries = checkpoint_history(trail);
    for older in cosigned_checkpoints(trail).unwrap_or_default() {
        let is_older = older.size() < checkpoint.size();
        let is_boundary = || boundaries.join(older.size().to_string()).exists();
        let says_more = || {
            keys.iter().any(|key| older.cosigned_at(key).is_some() && checkpoint.cosigned_at(key).is_none())
        };
        if is_older && !is_boundary() && !says_more() {
            fs::remove_file(directory.join(older.size().to_string()))?;
        }
    }
    Ok(())
}

/// Returns the checkpoint with the cosignatures that it has already in the trail.
pub(crate) fn with_kept(trail: &Path, checkpoint: SignedCheckpoint, keys: &[WitnessKey]) -> SignedCheckpoint {
    let kept = cosigned_checkpoints(trail).unwrap_or_default();
    let Some(same) = kept.into_iter().find(|kept| {
        (kept.origin(), kept.size(), kept.root())
            == (checkpoint.origin(), checkpoint.size(), checkpoint.root())
    }) else {
        return checkpoint;
    };
    keys.iter().fold(checkpoint, |checkpoint, key| {
        checkpoint.with_cosignature(same.as_str(), key).unwrap_or(checkpoint)
    })
}
