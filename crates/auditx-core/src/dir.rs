//! A directory, and the files in it by name.
//!
//! The logger holds its directory open and resolves every name below it from that descriptor (`openat(2)`), so that neither
//! a `chdir` nor the renaming of a parent changes where things go. Programs that only read resolve the path at each call.
//!
//! Files are created 0640 and directories 0750 unless [`Modes`] says otherwise. A symlink, FIFO, device or another user's
//! file in the place of one of the trail's files is refused.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;

use crate::error::{Error, Kind};

/// The library's own directory inside a trail.
pub const OWN_DIR: &str = ".auditx";

/// Keys and the ring are for their owner only, whatever is configured.
const PRIVATE_FILE: RawMode = 0o600;
const PRIVATE_DIRECTORY: RawMode = 0o700;

/// Who may read what the library creates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    /// Exactly these permissions, whatever the umask; `None`: 0640 less the umask.
    pub(crate) file: Option<u32>,
    /// Exactly these permissions, whatever the umask; `None`: 0750 less the umask.
    pub(crate) directory: Option<u32>,
    /// The group that files and directories are given to; `None`: the process's, or the directory's where that is set-gid.
    pub(crate) group: Option<u32>,
}

impl Modes {
    const FILE: u32 = 0o640;
    const DIRECTORY: u32 = 0o750;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    flags: OFlags,
    is_private: bool,
}

impl Access {
    pub(crate) const READ: Self = Self::of(OFlags::RDONLY);
    pub(crate) const READ_WRITE: Self = Self::of(OFlags::RDWR);
    pub(crate) const WRITE: Self = Self::of(OFlags::WRONLY);
    pub(crate) const APPEND: Self = Self::of(OFlags::RDWR.union(OFlags::APPEND));

    const fn of(flags: OFlags) -> Self {
        Self { flags, is_private: false }
    }

    /// Creates the file where there is none.
    pub(crate) const fn or_create(self) -> Self {
        Self { flags: self.flags.union(OFlags::CREATE), ..self }
    }

    /// Creates the file; fails where there is one.
    pub(crate) const fn create_new(self) -> Self {
        Self { flags: self.flags.union(OFlags::CREATE).union(OFlags::EXCL), ..self }
    }

    const fn truncate(self) -> Self {
        Self { flags: self.flags.union(OFlags::TRUNC), ..self }
    }

    /// For a file that only this user may read.
    pub(crate) const fn private(self) -> Self {
        Self { is_private: true, ..self }
    }
}

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

/// A directory that files are opened in. Clones share the descriptor.
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
    /// A directory whose names are resolved through its path at each call.
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
    /// Creates the directory and its parents where they are missing, and holds it open.
    pub(crate) fn hold(path: &Path, modes: Modes) -> io::Result<Self> {
        create_all(path, modes)?;
        let path = std::fs::canonicalize(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let held = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self(Arc::new(Inner { path, held: Some(held), modes })))
    }

    /// Where it was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The path of a file in it, for messages.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path.join(name)
    }

    /// The descriptor, where it is held open.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.held.as_ref().map(AsFd::as_fd)
    }

    /// Calls `with` with what a name is resolved from, and the name as it is spelled from there.
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
        // A symlink is not followed, and a FIFO is not waited for.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        self.resolve(name, |at, name| rustix::fs::openat(at, name, flags, Mode::from_raw_mode(mode)))
            .map(File::from)
    }

    /// Gives a file that it creates exactly the permissions and the group that were configured.
    fn open_or_create(&self, name: &Path, access: Access) -> io::Result<File> {
        let flags = access.flags;
        match self.open_raw(name, flags | OFlags::EXCL, access.is_private) {
            Ok(file) => {
                adopt(&file, self.0.modes.file, self.0.modes.group)?;
                Ok(file)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !flags.contains(OFlags::EXCL) => {
                self.open_raw(name, flags.difference(OFlags::CREATE), access.is_private)
            }
            Err(error) => Err(error),
        }
    }

    /// The bytes of a file that belongs to this user.
    pub(crate) fn read(&self, name: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(name, Access::READ)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

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

    /// The names in a directory below this one; of this one itself where `name` is empty.
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
            // Both names are spelled from the same place.
            let to = if self.descriptor().is_some() { to.as_ref().to_path_buf() } else { self.join(to) };
            rustix::fs::renameat(at, from, at, to)
        })
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: impl AsRef<Path>) -> io::Result<()> {
        self.resolve(name.as_ref(), |at, name| rustix::fs::unlinkat(at, name, AtFlags::empty()))
    }

    /// Removes a directory below this one and the files in it; nothing where there is none.
    pub(crate) fn remove_directory(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = name.as_ref();
        let Some(names) = absent_as_none(self.list(name))? else { return Ok(()) };
        for file in names {
            self.remove(name.join(file))?;
        }
        self.resolve(name, |at, name| rustix::fs::unlinkat(at, name, AtFlags::REMOVEDIR))
    }

    /// Creates a directory below this one where there is none yet; not its parents, which may have been moved away.
    pub(crate) fn create_directory(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let Modes { directory, group, .. } = self.0.modes;
        self.make_directory(name.as_ref(), raw(directory.unwrap_or(Modes::DIRECTORY)), directory, group)
    }

    /// The same, and moves aside what another program put there instead.
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

    /// The same as [`Dir::create_directory`] for one that only this user may enter.
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
            Ok(()) => adopt(self.open_directory(name)?, exact, group),
            // Fails where it is something else.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.open_directory(name).map(drop),
            Err(error) => Err(error),
        }
    }

    /// fsync(2) of a directory, of this one where `name` is empty: afterwards its renames and new files survive a power loss.
    pub(crate) fn sync(&self, name: impl AsRef<Path>) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.open_directory(name)?)?)
    }

    /// Opens a directory below this one; this one itself where `name` is empty.
    pub(crate) fn open_directory(&self, name: impl AsRef<Path>) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.resolve(name.as_ref(), |at, name| rustix::fs::openat(at, name, flags, Mode::empty()))
    }

    /// Creates or empties a file to be written.
    pub(crate) fn create(&self, name: impl AsRef<Path>, is_private: bool) -> io::Result<File> {
        let access = Access::WRITE.or_create().truncate();
        self.open(name, if is_private { access.private() } else { access })
    }

    /// Replaces a file's bytes: temporary file, fsync, rename, fsync of the directory. At no moment the file is half written.
    pub(crate) fn replace(&self, name: impl AsRef<Path>, bytes: &[u8], is_private: bool) -> io::Result<()> {
        let name = name.as_ref();
        let (temporary, file) = self.write_beside(name, bytes, is_private)?;
        file.sync_all()?;
        self.take_place(&temporary, name)?;
        self.sync(name.parent().unwrap_or(Path::new("")))
    }

    /// The same without any fsync: a power loss may leave the old file, none, or an empty one.
    pub(crate) fn put(&self, name: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let name = name.as_ref();
        let (temporary, _) = self.write_beside(name, bytes, false)?;
        self.take_place(&temporary, name)
    }

    fn write_beside(&self, name: &Path, bytes: &[u8], is_private: bool) -> io::Result<(PathBuf, File)> {
        let temporary = beside(name, ".tmp");
        let mut file = self.create(&temporary, is_private)?;
        file.write_all(bytes)?;
        Ok((temporary, file))
    }

    /// Renames a new file to its name, where it replaces what is there. A directory that another program put there is moved aside.
    pub(crate) fn take_place(&self, temporary: &Path, name: &Path) -> io::Result<()> {
        match self.rename(temporary, name) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                self.set_aside(name)?;
                self.rename(temporary, name)
            }
            outcome => outcome,
        }
    }

    /// Renames whatever stands at a name to a free one beside it, and returns that.
    pub(crate) fn set_aside(&self, name: impl AsRef<Path>) -> io::Result<PathBuf> {
        let aside = self.free_name(&beside(name.as_ref(), ".aside"))?;
        self.rename(name, &aside)?;
        Ok(aside)
    }

    /// `name`, or the first of `name.1`, `name.2`, … that is free.
    pub(crate) fn free_name(&self, name: &Path) -> io::Result<PathBuf> {
        let mut candidate = name.to_path_buf();
        for number in 1_u64.. {
            if self.stat(&candidate)?.is_none() {
                break;
            }
            candidate = beside(name, &format!(".{number}"));
        }
        Ok(candidate)
    }
}

/// A name with something appended to it.
pub(crate) fn beside(name: &Path, suffix: &str) -> PathBuf {
    let mut name = name.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn absent_as_none<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Sets the permissions and the group of what was just created.
fn adopt(created: impl AsFd, mode: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let created = created.as_fd();
    if let Some(group) = group {
        rustix::fs::fchown(created, None, Some(Gid::from_raw(group)))?;
    }
    if let Some(mode) = mode {
        rustix::fs::fchmod(created, Mode::from_raw_mode(raw(mode)))?;
    }
    Ok(())
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

#[cfg(target_os = "linux")]
const fn raw(mode: u32) -> RawMode {
    mode & 0o7777
}

#[cfg(not(target_os = "linux"))]
fn raw(mode: u32) -> RawMode {
    RawMode::try_from(mode & 0o7777).unwrap_or(PRIVATE_FILE)
}

#[cfg(test)]
mod tests;
