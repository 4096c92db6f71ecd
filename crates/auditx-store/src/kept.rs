//! Files that other programs add beside a trail: checkpoints that witnesses cosigned, time stamps.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::checkpoint_signer::checkpoint_path;

/// The file whose lock one process has at a time.
const LOCK: &str = "lock";

/// A new file before it has its name.
const UNFINISHED: &str = "unfinished";

/// A directory below `.auditx`, locked against other processes that add files to it.
#[derive(Debug)]
pub struct KeptFiles {
    directory: PathBuf,
    /// That of the trail's checkpoint.
    mode: u32,
    _lock: File,
}

impl KeptFiles {
    /// Creates the directory if necessary, and waits for its lock. Who may read the checkpoint of the trail may
    /// read the files.
    ///
    /// # Errors
    /// If the directory or its lock cannot be created.
    pub fn lock(trail: &Path, directory: PathBuf) -> io::Result<Self> {
        let mode = fs::metadata(checkpoint_path(trail)).map_or(0o640, |metadata| metadata.mode() & 0o777);
        // Who may read the files may search their directory.
        match DirBuilder::new().mode(mode | 0o100 | (mode & 0o044) >> 2).create(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let lock = created(&directory.join(LOCK), mode)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(Self { directory, mode, _lock: lock })
    }

    /// Writes a file, or replaces it, so that it is complete and durable afterwards. A crash leaves the old one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.directory.join(UNFINISHED);
        let mut file = created(&unfinished, self.mode)?;
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(unfinished, self.directory.join(name))?;
        File::open(&self.directory)?.sync_all()
    }

    /// Returns the path of a file.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Opens or creates a file for writing. Does not follow a link.
fn created(path: &Path, mode: u32) -> io::Result<File> {
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(mode).custom_flags(no_link).open(path)
}
