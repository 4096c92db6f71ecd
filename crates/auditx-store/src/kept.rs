//! Files that other programs add beside a trail: checkpoints that witnesses cosigned, time stamps.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::checkpoint_signer::checkpoint_path;

/// The lock file: one process at a time adds files.
const LOCK: &str = "lock";

/// The name of a file until it is complete.
const UNFINISHED: &str = "unfinished";

/// More than any checkpoint or time stamp has.
const MAX_BYTES: u64 = 1 << 20;

/// A directory below `.auditx`, locked against other processes that add files to it.
#[derive(Debug)]
pub struct KeptFiles {
    directory: PathBuf,
    /// That of the trail's checkpoint.
    mode: u32,
    _lock: File,
}

impl KeptFiles {
    /// Creates the directory if necessary, and waits for its lock. The files get the mode of the trail's
    /// checkpoint, so the same users can read them.
    ///
    /// # Errors
    /// If the directory or its lock cannot be created.
    pub fn lock(trail: &Path, directory: PathBuf) -> io::Result<Self> {
        let mode = fs::metadata(checkpoint_path(trail)).map_or(0o640, |metadata| metadata.mode() & 0o777);
        // Who may read the files may search their directory.
        match DirBuilder::new().mode(mode | 0o100 | (mode & 0o044) >> 2).create(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => {
                if let Some(parent) = directory.parent() {
                    File::open(parent)?.sync_all()?;
                }
            }
        }
        let lock = created(&directory.join(LOCK), mode)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(Self { directory, mode, _lock: lock })
    }

    /// Writes or replaces a file, complete and durable when this returns. A crash leaves the old one.
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

/// Returns the sizes that name the files with this suffix in a directory, smallest first; none if it does not
/// exist. Other names, and other spellings of a size, are left out.
///
/// # Errors
/// If it cannot be listed.
pub fn kept_sizes(directory: &Path, suffix: &str) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let size = |name: &str| {
        let digits = name.strip_suffix(suffix)?;
        digits.parse().ok().filter(|size: &u64| size.to_string() == digits)
    };
    let mut sizes = Vec::new();
    for entry in entries {
        sizes.extend(entry?.file_name().to_str().and_then(size));
    }
    sizes.sort_unstable();
    Ok(sizes)
}

/// Reads a kept file; `None` if it does not exist. Does not follow a link, nor wait for a pipe.
///
/// # Errors
/// If it cannot be read, is no regular file, or has more than 1 MiB.
pub fn read_kept(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match OpenOptions::new().read(true).custom_flags(plain()).open(path) {
        Ok(file) => regular(file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(Some(bytes))
}

/// Opens or creates a file for writing. Does not follow a link, nor wait for a pipe.
fn created(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file =
        options.write(true).create(true).truncate(false).mode(mode).custom_flags(plain()).open(path)?;
    regular(file)
}

fn plain() -> i32 {
    i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0)
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}
