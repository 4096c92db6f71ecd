//! Which file a name leads to.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::{Dir, absent_as_none};
use crate::error::{Error, Kind};

/// What stat(2) says about a file.
#[derive(Clone, Copy)]
pub(crate) struct FileStat(Stat);

impl fmt::Debug for FileStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStat").field("inode", &self.0.st_ino).field("len", &self.len()).finish()
    }
}

impl FileStat {
    /// Asks an open file.
    pub(crate) fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(Self(rustix::fs::fstat(file)?))
    }

    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.0.st_size).unwrap_or(0)
    }

    /// Whether both are the same file: device and inode.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.0.st_dev, self.0.st_ino) == (other.0.st_dev, other.0.st_ino)
    }

    /// Whether no name leads to the file any more.
    pub(crate) fn is_unlinked(&self) -> bool {
        self.0.st_nlink == 0
    }

    pub(crate) fn is_file(&self) -> bool {
        FileType::from_raw_mode(self.0.st_mode) == FileType::RegularFile
    }
}

impl Dir {
    /// What stands at a name, itself and not where a symlink leads; `None` where nothing does.
    pub(crate) fn stat(&self, name: impl AsRef<Path>) -> io::Result<Option<FileStat>> {
        let found =
            self.resolve(name.as_ref(), |at, name| rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW));
        absent_as_none(found.map(FileStat))
    }

    /// Whether the directory's path still leads to it. Always so where it is not held open.
    pub(crate) fn is_reachable(&self) -> bool {
        let Some(held) = self.descriptor() else { return true };
        match (FileStat::of(held), rustix::fs::stat(&self.0.path)) {
            (Ok(held), Ok(named)) => held.is_same(&FileStat(named)),
            (_, Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => false,
            // A process that gave up privileges may not be allowed to look.
            _ => true,
        }
    }

    /// What stands at a name, reached through the directory's path and not through its descriptor: what other programs see.
    pub(crate) fn stat_by_path(&self, name: impl AsRef<Path>) -> io::Result<Option<FileStat>> {
        match rustix::fs::lstat(self.join(&name)) {
            // A process that gave up privileges may not be allowed to look.
            Err(Errno::ACCESS | Errno::PERM) => self.stat(name),
            found => absent_as_none(found.map(FileStat).map_err(io::Error::from)),
        }
    }

    /// The error where the path no longer leads to the directory.
    pub(crate) fn unreachable(&self) -> Error {
        let now = self
            .current_path()
            .map_or_else(|| "it was removed".to_owned(), |path| format!("it is now `{}`", path.display()));
        Error::new(
            Kind::Storage,
            format!(
                "the log directory was moved or removed by another program: {now}; the trail takes no more entries; \
                 move it back and open the trail again"
            ),
        )
        .at(self.path())
    }

    /// Where the held directory is now; `None` if it was removed, or the system does not tell.
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

    /// When a name in it was last created, renamed or removed.
    pub(crate) fn modified(&self) -> io::Result<SystemTime> {
        File::from(self.open_directory("")?).metadata()?.modified()
    }
}
