//! Identity of files and directories: stat(2), and whether a path still leads to an open directory.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use auditx_format::Error;
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::{Dir, none_if_not_found};

/// The result of stat(2) for a file.
#[derive(Clone, Copy)]
pub struct FileStat(Stat);

impl fmt::Debug for FileStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStat").field("inode", &self.0.st_ino).field("len", &self.len()).finish()
    }
}

impl FileStat {
    /// Returns the result of fstat(2) for an open file.
    pub(crate) fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(Self(rustix::fs::fstat(file)?))
    }

    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.0.st_size).unwrap_or(0)
    }

    /// Returns whether both are the same file, by device and inode.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.0.st_dev, self.0.st_ino) == (other.0.st_dev, other.0.st_ino)
    }

    /// Returns whether the file has no name any more.
    pub(crate) fn is_unlinked(&self) -> bool {
        self.0.st_nlink == 0
    }

    pub(crate) fn is_file(&self) -> bool {
        FileType::from_raw_mode(self.0.st_mode) == FileType::RegularFile
    }
}

impl Dir {
    /// Returns the file under a name without following a symlink, or `None` if no file has it.
    pub(crate) fn stat(&self, name: impl AsRef<Path>) -> io::Result<Option<FileStat>> {
        let found =
            self.resolve(name.as_ref(), |at, name| rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW));
        none_if_not_found(found.map(FileStat))
    }

    /// Returns whether the directory's path still leads to it. Always true if it is not held open.
    pub(crate) fn is_reachable(&self) -> bool {
        let Some(held) = self.descriptor() else { return true };
        match (FileStat::of(held), rustix::fs::stat(&self.0.path)) {
            (Ok(held), Ok(named)) => held.is_same(&FileStat(named)),
            (_, Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => false,
            // A process that dropped privileges may lack the permission.
            _ => true,
        }
    }

    /// Returns the file under a name, resolved through the directory's path instead of its descriptor, as
    /// other programs see it.
    pub(crate) fn stat_by_path(&self, name: impl AsRef<Path>) -> io::Result<Option<FileStat>> {
        match rustix::fs::lstat(self.join(&name)) {
            // A process that dropped privileges may lack the permission.
            Err(Errno::ACCESS | Errno::PERM) => self.stat(name),
            found => none_if_not_found(found.map(FileStat).map_err(io::Error::from)),
        }
    }

    /// Returns the error for a path that no longer leads to the directory.
    pub(crate) fn unreachable(&self) -> Error {
        let now = self
            .current_path()
            .map_or_else(|| "it was removed".to_owned(), |path| format!("it is now `{}`", path.display()));
        Error::of_storage(format!(
            "the log directory was moved or removed by another program: {now}; the trail accepts no more \
             entries; move it back and open the trail again"
        ))
        .at(self.path())
    }

    /// Returns the current path of the held directory; `None` if it was removed, or the system cannot tell.
    #[cfg(target_os = "linux")]
    fn current_path(&self) -> Option<PathBuf> {
        let held = self.descriptor()?;
        if FileStat::of(held).ok()?.is_unlinked() {
            return None;
        }
        std::fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd())).ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn current_path(&self) -> Option<PathBuf> {
        None
    }

    /// Returns the time at which a name in the directory was last created, renamed or removed.
    pub(crate) fn modified(&self) -> io::Result<SystemTime> {
        File::from(self.open_directory("")?).metadata()?.modified()
    }
}
