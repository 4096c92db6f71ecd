//! Atomic, durable writes of the files that commands write outside of trails.
//!
//! A file has no name until it is complete (`O_TMPFILE`), so nothing of it remains if the process ends early.
//! It gets its name with `linkat`; to replace an existing file, it gets a temporary name that is immediately
//! renamed over the old one. On file systems without `O_TMPFILE` the file has a temporary name from the
//! start. A signal that ends the process removes it; `kill -9` does not.

mod unfinished;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::terminal::sanitized;
use unfinished::Unfinished;

/// For keys: only the owner may read them.
const PRIVATE_MODE: u32 = 0o600;

/// For content of a trail: the same mode as the files of the trail, further restricted by the umask.
const MODE: u32 = 0o640;

/// For files that contain no entries.
const PUBLIC_MODE: u32 = 0o644;

/// The path that means standard output.
const STANDARD: &str = "-";

/// Returns `true` if the path means standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == STANDARD
}

/// Writes a file atomically, replacing one of the same name.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_file(NewFile::open(path, MODE, false), path, bytes)
}

/// Like [`replace`], for a file that programs of other users read.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_file(NewFile::open(path, PUBLIC_MODE, false), path, bytes)
}

fn write_file(file: io::Result<NewFile>, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = file.map_err(|error| failed(path, &error))?;
    file.write_all(bytes).map_err(|error| failed(path, &error))?;
    file.finish()
}

/// A file that gets its name when it is complete. If it is dropped before that, nothing of it remains.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: BufWriter<File>,
    staging: Staging,
    path: PathBuf,
}

/// Where the bytes are until the file is complete.
#[derive(Debug)]
enum Staging {
    /// In a file without a name.
    Nameless,
    /// Under a temporary name.
    Named(Unfinished),
    /// In a file without a name that is copied to standard output at the end, because some formats need
    /// seeks.
    Standard,
}

impl NewFile {
    /// Begins a file that will replace an existing one of this name and keep its mode. `-` is standard
    /// output.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        Self::open(path, MODE, true).map_err(|error| failed(path, &error))
    }

    fn open(path: &Path, mode: u32, is_watched: bool) -> io::Result<Self> {
        if is_standard_output(path) {
            let file = BufWriter::new(tempfile::tempfile()?);
            return Ok(Self { file, staging: Staging::Standard, path: path.to_owned() });
        }
        let replaced = fs::symlink_metadata(path).ok();
        if replaced.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            return Err(io::Error::other("the path exists and is not a regular file"));
        }
        let (file, staging) = match nameless(directory_of(path), mode) {
            Some(file) => (file, Staging::Nameless),
            None => named(path, mode, is_watched)?,
        };
        if let Some(metadata) = replaced {
            file.set_permissions(fs::Permissions::from_mode(metadata.permissions().mode()))?;
        }
        Ok(Self { file: BufWriter::new(file), staging, path: path.to_owned() })
    }

    /// Syncs the file and gives it its name, replacing an existing file.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if let Staging::Standard = self.staging {
            return self.print();
        }
        let mut work = || -> io::Result<()> {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            match &mut self.staging {
                Staging::Named(temporary) => temporary.rename(&self.path)?,
                Staging::Nameless | Staging::Standard => name(self.file.get_ref(), &self.path)?,
            }
            sync_directory_of(&self.path)
        };
        work().map_err(|error| failed(&self.path, &error))
    }

    /// Copies the file to standard output.
    fn print(&mut self) -> Result<(), Failure> {
        self.file.rewind()?;
        let mut out = io::stdout().lock();
        io::copy(self.file.get_mut(), &mut out)?;
        Ok(out.flush()?)
    }
}

/// Creates a file without a name. `None` if the file system does not support it, or `/proc` is not mounted,
/// which is needed to name it.
#[cfg(target_os = "linux")]
fn nameless(directory: &Path, mode: u32) -> Option<File> {
    use rustix::fs::{Mode, OFlags};

    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(directory, flags, Mode::from_raw_mode(mode)).ok()?);
    link_of(&file).exists().then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &Path, _: u32) -> Option<File> {
    None
}

/// Returns the path of an open file in `/proc`.
fn link_of(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd;

    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Names a nameless file, replacing an existing file of that name.
fn name(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};

    let link = |name: &Path| linkat(CWD, link_of(file), CWD, name, AtFlags::SYMLINK_FOLLOW);
    match link(path) {
        Err(rustix::io::Errno::EXIST) => {
            let temporary = temporary_for(path);
            link(&temporary)?;
            Unfinished::new(temporary).rename(path)
        }
        outcome => Ok(outcome?),
    }
}

fn named(path: &Path, mode: u32, is_watched: bool) -> io::Result<(File, Staging)> {
    let temporary = temporary_for(path);
    if is_watched {
        unfinished::watch()?;
    }
    let file = OpenOptions::new().write(true).read(true).create_new(true).mode(mode).open(&temporary)?;
    Ok((file, Staging::Named(Unfinished::new(temporary))))
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for NewFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Writes a new file that only this user may read. Fails if the file exists.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let outcome = write_new(options.write(true).create_new(true).mode(PRIVATE_MODE), path, bytes);
    outcome.and_then(|()| sync_directory_of(path)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(format!(
            "{} already exists, and a key is never overwritten: choose another name",
            sanitized(&path.to_string_lossy())
        )),
        _ => failed(path, &error),
    })
}

fn write_new(options: &OpenOptions, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_for(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(format!(".{}.tmp", std::process::id()));
    name.into()
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", sanitized(&path.to_string_lossy())))
}

#[cfg(test)]
mod tests;
