//! Keeps the checkpoints that witnesses cosigned, in `.auditx/cosigned`.
//!
//! Several processes may submit the same trail, also to other witnesses. Each keeps what the others obtained.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use auditx_store::{checkpoint_history, checkpoint_path, cosigned_history};
use auditx_tlog::SignedCheckpoint;
use rustix::fs::{FlockOperation, OFlags, flock};

/// The file whose lock one process has at a time.
const LOCK: &str = "lock";

/// The new file before it has its name.
const UNFINISHED: &str = "unfinished";

/// How many older files are considered for removal. There are few, besides those at ends of segments.
const OLDER: usize = 8;

/// Stores a checkpoint, with the signatures that its file has already, then removes older ones that say no
/// more: those whose witnesses all cosigned this one too, except at the end of a segment. Returns what was
/// stored.
pub(crate) fn keep(trail: &Path, checkpoint: &SignedCheckpoint) -> io::Result<SignedCheckpoint> {
    let directory = cosigned_history(trail);
    let model = fs::metadata(checkpoint_path(trail)).map_or(0o640, |metadata| metadata.mode() & 0o777);
    let mut builder = fs::DirBuilder::new();
    // Who may read the files may search their directory.
    match builder.mode(model | 0o100 | (model & 0o044) >> 2).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let lock = created(&directory.join(LOCK), model)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let checkpoint = with_kept(trail, checkpoint.clone());
    let mut file = created(&directory.join(UNFINISHED), model)?;
    file.set_permissions(Permissions::from_mode(model))?;
    file.set_len(0)?;
    file.write_all(checkpoint.as_str().as_bytes())?;
    file.sync_all()?;
    fs::rename(directory.join(UNFINISHED), directory.join(checkpoint.size().to_string()))?;
    File::open(&directory)?.sync_all()?;
    remove_older(trail, &directory, &checkpoint);
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
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = names.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    let mut older: Vec<u64> = sizes.filter(|size| *size < checkpoint.size()).collect();
    older.sort_unstable_by(|a, b| b.cmp(a));
    let boundaries = checkpoint_history(trail);
    for size in older.into_iter().take(OLDER) {
        let is_boundary = boundaries.join(size.to_string()).exists();
        let says_more = read(directory, size).is_none_or(|older| !checkpoint.has_signers_of(&older));
        if !is_boundary && !says_more {
            fs::remove_file(directory.join(size.to_string())).ok();
        }
    }
}

fn read(directory: &Path, size: u64) -> Option<SignedCheckpoint> {
    let note = fs::read(directory.join(size.to_string())).ok()?;
    SignedCheckpoint::parse(&note).ok().filter(|checkpoint| checkpoint.size() == size)
}

/// Opens or creates a file in the directory for writing.
fn created(path: &Path, mode: u32) -> io::Result<File> {
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(mode).custom_flags(no_link).open(path)
}
