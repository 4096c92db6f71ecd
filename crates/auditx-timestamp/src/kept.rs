//! Keeps time stamps with the trail, in `.auditx/timestamps`: `<size>.checkpoint`, what was stamped, and
//! `<size>.tsr`, the answer of the authority. Other tools read both.
//!
//! Several processes may obtain stamps of the same trail. A stamp is never replaced: it is evidence.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use auditx_store::{checkpoint_path, timestamp_history};
use rustix::fs::{FlockOperation, OFlags, flock};

/// The file whose lock one process has at a time.
const LOCK: &str = "lock";

/// A new file before it has its name.
const UNFINISHED: &str = "unfinished";

/// Stores a stamp. If there is one of the same size already, it remains.
///
/// # Errors
/// If a file cannot be written, or the trail had another checkpoint of this size that was stamped.
pub(crate) fn keep(trail: &Path, size: u64, stamped: &str, response: &[u8]) -> io::Result<()> {
    let directory = timestamp_history(trail);
    let model = fs::metadata(checkpoint_path(trail)).map_or(0o640, |metadata| metadata.mode() & 0o777);
    let mut builder = fs::DirBuilder::new();
    // Who may read the files may search their directory.
    match builder.mode(model | 0o100 | (model & 0o044) >> 2).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let lock = created(&directory.join(LOCK), model)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let (checkpoint, answer) = (format!("{size}.checkpoint"), format!("{size}.tsr"));
    if directory.join(&answer).exists() {
        return match fs::read(directory.join(&checkpoint)) {
            Ok(kept) if kept == stamped.as_bytes() => Ok(()),
            _ => Err(io::Error::other(format!(
                "another checkpoint of {size} lines was stamped before: verify the trail"
            ))),
        };
    }
    // The answer comes last, so that it never lacks what was stamped.
    for (name, bytes) in [(checkpoint, stamped.as_bytes()), (answer, response)] {
        let mut file = created(&directory.join(UNFINISHED), model)?;
        file.set_permissions(Permissions::from_mode(model))?;
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(directory.join(UNFINISHED), directory.join(name))?;
        File::open(&directory)?.sync_all()?;
    }
    Ok(())
}

/// Opens or creates a file in the directory for writing.
fn created(path: &Path, mode: u32) -> io::Result<File> {
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(mode).custom_flags(no_link).open(path)
}
