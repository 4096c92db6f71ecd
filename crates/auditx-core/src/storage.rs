//! The file system as the trail uses it: few operations behind a trait, so that a test can make each of them fail.
//!
//! Files are made 0640 and directories 0750 (the umask may narrow that); a symlink, FIFO, device or foreign owner in
//! the place of a file of ours is refused.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// For keys: nobody else's business.
const PRIVATE_FILE_MODE: u32 = 0o600;
const PRIVATE_DIRECTORY_MODE: u32 = 0o700;

/// An open file that is only ever appended to.
pub(crate) trait StorageFile: fmt::Debug + Send + Sync {
    /// One write(2); may be short.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    /// fdatasync(2): afterwards the bytes survive a power loss.
    fn sync_data(&self) -> io::Result<()>;
    /// Bytes in the file, whoever put or cut them.
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file, to take back half a write.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// What the trail needs of a file system.
pub(crate) trait Storage: fmt::Debug + Send + Sync {
    /// Opens for appending; with `create_new` the file must not exist, else it must.
    fn open_append(&self, path: &Path, create_new: bool) -> io::Result<Arc<dyn StorageFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Puts `bytes` in the place of a file: temporary file, fsync, rename, fsync of the directory.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// The same without any fsync: a power loss may leave the old file, none, or an empty one.
    fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// fsync(2) of a directory: afterwards its renames and new files survive a power loss.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// The operating system's file system.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Disk;

impl StorageFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        loop {
            match file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
}

impl Storage for Disk {
    fn open_append(&self, path: &Path, create_new: bool) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = own_options();
        options.append(true).create_new(create_new);
        Ok(Arc::new(open_own(path, &options)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        replace_with(path, bytes, own_options())
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (temporary, _) = write_beside(path, bytes, own_options())?;
        fs::rename(temporary, path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Options for a file of ours: its mode, no following of symlinks, no waiting on a FIFO.
pub(crate) fn own_options() -> OpenOptions {
    options_with(FILE_MODE)
}

/// The same for a file that only this user may read.
pub(crate) fn private_options() -> OpenOptions {
    options_with(PRIVATE_FILE_MODE)
}

fn options_with(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.mode(mode).custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    options
}

/// `name` in this directory, or the first of `name.1`, `name.2`, … that is not taken.
pub(crate) fn free_path(directory: &Path, name: &str) -> PathBuf {
    let numbered = (1..).map(|number: u64| format!("{name}.{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered).map(|name| directory.join(name));
    names.find(|path| !path.exists()).unwrap_or_else(|| directory.join(name))
}

/// Opens a regular file, whoever it belongs to.
pub(crate) fn open_regular(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// Opens a regular file that belongs to this user.
pub(crate) fn open_own(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let file = open_regular(path, options)?;
    let owner = file.metadata()?.uid();
    let us = rustix::process::geteuid().as_raw();
    if owner != us {
        return Err(io::Error::other(format!("it belongs to user {owner}, and we are user {us}")));
    }
    Ok(file)
}

/// The bytes of a file of ours.
pub(crate) fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_own(path, own_options().read(true))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes a directory that only this user may enter, and its parents.
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY_MODE).create(path)
}

/// Makes a directory and its parents.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Puts `bytes` in the place of a file that only this user may read.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, private_options())
}

fn replace_with(path: &Path, bytes: &[u8], options: OpenOptions) -> io::Result<()> {
    let (temporary, file) = write_beside(path, bytes, options)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    match path.parent() {
        Some(directory) => Disk.sync_directory(directory),
        None => Ok(()),
    }
}

/// Writes the bytes to a temporary file beside `path`.
fn write_beside(path: &Path, bytes: &[u8], mut options: OpenOptions) -> io::Result<(PathBuf, File)> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file = open_own(&temporary, options.write(true).create(true).truncate(true))?;
    file.write_all(bytes)?;
    Ok((temporary, file))
}

#[cfg(test)]
pub(crate) mod power;
#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_symlink_or_fifo_in_the_place_of_a_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        fs::write(&target, b"").unwrap();
        let link = directory.path().join("link");
        symlink(&target, &link).unwrap();
        assert!(Disk.open_append(&link, false).is_err());

        let fifo = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        assert!(Disk.open_append(&fifo, false).is_err());
    }

    #[test]
    fn files_and_directories_are_made_with_their_modes() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        create_directory(&directory).unwrap();
        let path = directory.join("file");
        Disk.open_append(&path, true).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory) & !0o750, 0);
        assert_eq!(mode(&path) & !0o640, 0);
        Disk.replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
