//! A trail's directory, and access to the files in it by name.
//!
//! The logger holds its directory open and resolves every name below it from that descriptor (`openat(2)`),
//! so that neither a `chdir` nor renaming a parent changes which files it uses. Programs that only read
//! resolve the path at each call.
//!
//! Files are created with mode 0640 and directories with 0750, unless [`Modes`] states otherwise. A symlink,
//! a FIFO, a device or another user's file under the name of one of the trail's files is rejected.

mod access;
mod replace;
mod stat;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawMode};
use rustix::io::Errno;

pub(crate) use access::{Access, Modes};
use access::{PRIVATE_DIRECTORY, PRIVATE_FILE, raw, set_owner};
pub use stat::FileStat;

/// The library's own directory inside a trail.
pub const AUDITX_DIR: &str = ".auditx";

/// The directory of a trail, as taken by functions that read one. It is created from a path, which is
/// resolved at each call.
///
/// A logger holds its directory open instead. Cloning is cheap.
#[derive(Clone)]
pub struct Dir(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// `None`: names are resolved through the path.
    held: Option<OwnedFd>,
    modes: Modes,
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dir").field(&self.0.path).finish()
    }
}

impl From<&Path> for Dir {
    fn from(path: &Path) -> Self {
        Self::from(path.to_path_buf())
    }
}

impl From<&PathBuf> for Dir {
    fn from(path: &PathBuf) -> Self {
        Self::from(path.clone())
    }
}

impl From<PathBuf> for Dir {
    /// Creates a directory whose names are resolved through its path at each call.
    fn from(path: PathBuf) -> Self {
        Self(Arc::new(Inner { path, held: None, modes: Modes::default() }))
    }
}

impl From<&Dir> for Dir {
    fn from(dir: &Dir) -> Self {
        dir.clone()
    }
}

impl Dir {
    /// Creates the directory and its parents if they are missing, and holds it open.
    pub(crate) fn hold(path: &Path, modes: Modes) -> io::Result<Self> {
        create_all(path, modes)?;
        let path = std::fs::canonicalize(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let held = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self(Arc::new(Inner { path, held: Some(held), modes })))
    }

    /// Creates the directory and its parents if they are missing.
    pub(crate) fn create_all(&self) -> io::Result<()> {
        create_all(&self.0.path, self.0.modes)
    }

    /// Returns its path at the time it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns the path of a file in it, for messages.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path.join(name)
    }

    /// Returns the descriptor if the directory is held open.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.held.as_ref().map(AsFd::as_fd)
    }

    /// Calls `with` with the descriptor from which `name` is resolved, and the name relative to it.
    fn resolve<T>(
        &self,
        name: &Path,
        with: impl FnOnce(BorrowedFd<'_>, &Path) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let resolved = match self.descriptor() {
            Some(held) if name.as_os_str().is_empty() => with(held, Path::new(".")),
            Some(held) => with(held, name),
            None => with(CWD, &self.0.path.join(name)),
        };
        Ok(resolved?)
    }

    /// Opens a regular file that belongs to this user.
    pub(crate) fn open(&self, name: impl AsRef<Path>, access: Access) -> io::Result<File> {
        let file = self.open_foreign(name, access)?;
        let owner = file.metadata()?.uid();
        let us = rustix::process::geteuid().as_raw();
        if owner != us {
            return Err(io::Error::other(format!(
                "it belongs to user {owner}, and this process runs as user {us}"
            )));
        }
        Ok(file)
    }

    /// Opens a regular file of any owner.
    pub(crate) fn open_foreign(&self, name: impl AsRef<Path>, access: Access) -> io::Result<File> {
        let name = name.as_ref();
        let Modes { file: mode, group, .. } = self.0.modes;
        let has_exact_mode = !access.is_private && (mode.is_some() || group.is_some());
        let file = if access.flags.contains(OFlags::CREATE) && has_exact_mode {
            self.open_or_create(name, access)?
        } else {
            self.open_raw(name, access.flags, access.is_private)?
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(file)
    }

    fn open_raw(&self, name: &Path, flags: OFlags, is_private: bool) -> io::Result<File> {
        let mode = if is_private { PRIVATE_FILE } else { raw(self.0.modes.file.unwrap_or(Modes::FILE)) };
        // Does not follow a symlink, and does not block on a FIFO.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        self.resolve(name, |at, name| rustix::fs::openat(at, name, flags, Mode::from_raw_mode(mode)))
            .map(File::from)
    }

    /// Opens a file, and gives it exactly the configured permissions and group if it creates it.
    fn open_or_create(&self, name: &Path, access: Access) -> io::Result<File> {
        let flags = access.flags;
        match self.open_raw(name, flags | OFlags::EXCL, access.is_private) {
            Ok(file) => {
                set_owner(&file, self.0.modes.file, self.0.modes.group)?;
                Ok(file)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !flags.contains(OFlags::EXCL) => {
                self.open_raw(name, flags.difference(OFlags::CREATE), access.is_private)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a file that belongs to this user.
    pub(crate) fn read(&self, name: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(name, Access::READ)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Lists the names in a directory below this one, or in this one if `name` is empty.
    pub(crate) fn list(&self, name: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
        let opened = self.open_directory(name)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(opened)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_os_string());
            }
        }
        Ok(names)
    }

    pub(crate) fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        self.resolve(from.as_ref(), |at, from| {
            // Both names are relative to the same directory.
            let to = if self.descriptor().is_some() { to.as_ref().to_path_buf() } else { self.join(to) };
            rustix::fs::renameat(at, from, at, to)
        })
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: impl AsRef<Path>) -> io::Result<()> {
        self.resolve(name.as_ref(), |at, name| rustix::fs::unlinkat(at, name, AtFlags::empty()))
    }

    /// Removes a directory below this one and the files in it, if it exists.
    pub(crate) fn remove_directory(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = name.as_ref();
        let Some(names) = none_if_not_found(self.list(name))? else { return Ok(()) };
        for file in names {
            self.remove(name.join(file))?;
        }
        self.resolve(name, |at, name| rustix::fs::unlinkat(at, name, AtFlags::REMOVEDIR))
    }

    /// Creates a directory below this one if it does not exist, but not its parents, which may have been
    /// moved.
    pub(crate) fn create_directory(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let Modes { directory, group, .. } = self.0.modes;
        self.make_directory(name.as_ref(), raw(directory.unwrap_or(Modes::DIRECTORY)), directory, group)
    }

    /// Like [`Dir::create_directory`], but moves aside anything else that has the name.
    pub(crate) fn restore_directory(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = name.as_ref();
        match self.create_directory(name) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists) =>
            {
                self.set_aside(name)?;
                self.create_directory(name)
            }
            outcome => outcome,
        }
    }

    /// Like [`Dir::create_directory`], for a directory that only this user may enter.
    pub(crate) fn create_private_directory(&self, name: impl AsRef<Path>) -> io::Result<()> {
        self.make_directory(name.as_ref(), PRIVATE_DIRECTORY, None, None)
    }

    fn make_directory(
        &self,
        name: &Path,
        mode: RawMode,
        exact: Option<u32>,
        group: Option<u32>,
    ) -> io::Result<()> {
        match self.resolve(name, |at, name| rustix::fs::mkdirat(at, name, Mode::from_raw_mode(mode))) {
            Ok(()) if exact.is_none() && group.is_none() => Ok(()),
            Ok(()) => set_owner(self.open_directory(name)?, exact, group),
            // Fails if it is not a directory.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.open_directory(name).map(drop),
            Err(error) => Err(error),
        }
    }

    /// fsync(2) of a directory below this one, or of this one if `name` is empty: makes its renames and new
    /// files durable.
    pub(crate) fn sync(&self, name: impl AsRef<Path>) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.open_directory(name)?)?)
    }

    /// Opens a directory below this one, or this one if `name` is empty.
    pub(crate) fn open_directory(&self, name: impl AsRef<Path>) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.resolve(name.as_ref(), |at, name| rustix::fs::openat(at, name, flags, Mode::empty()))
    }
}

fn none_if_not_found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Creates a directory and its parents.
fn create_all(path: &Path, modes: Modes) -> io::Result<()> {
    let mut made = PathBuf::new();
    for component in path.components() {
        made.push(component);
        if matches!(component, Component::Normal(_)) && !made.is_dir() {
            let parent = Dir(Arc::new(Inner { path: PathBuf::new(), held: None, modes }));
            parent.create_directory(&made)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
