//! Files that commands write outside of trails: whole or not at all, and durable once the command reports
//! that they are written.
//!
//! A file has no name until it is whole, so that nothing of it remains however the process ends. It is named
//! with `linkat`, or, in the place of another file, by renaming a second name over it, which is there for an
//! instant. File systems without nameless files get a temporary name from the beginning; a signal that ends
//! the process removes it, and `kill -9` does not.

mod unfinished;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::terminal::harmless;
use unfinished::Unfinished;

/// Keys are for their owner alone.
const PRIVATE_MODE: u32 = 0o600;

/// What a trail says is for those who may read the trail: the mode of its files, which the umask narrows.
const MODE: u32 = 0o640;

/// What says nothing of entries is for everybody.
const PUBLIC_MODE: u32 = 0o644;

/// The name of standard output.
const STANDARD: &str = "-";

/// Whether standard output is meant.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == STANDARD
}

/// Writes a file, or puts it in the place of one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_whole(NewFile::begin(path, MODE, false), path, bytes)
}

/// The same for a file that programs of other users read.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_whole(NewFile::begin(path, PUBLIC_MODE, false), path, bytes)
}

fn write_whole(file: io::Result<NewFile>, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = file.map_err(|error| failed(path, &error))?;
    file.write_all(bytes).map_err(|error| failed(path, &error))?;
    file.finish()
}

/// A file that is being written, and gets its name when it is whole. Dropped before that, nothing of it
/// remains.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: BufWriter<File>,
    place: Place,
    path: PathBuf,
}

/// Where the bytes are until they are whole.
#[derive(Debug)]
enum Place {
    /// In a file without a name.
    Nameless,
    /// Under a temporary name.
    Named(Unfinished),
    /// In a file without a name, and on standard output at the end: some formats are written with seeks.
    Standard,
}

impl NewFile {
    /// In the place of the file that has this name, if there is one: with its mode. `-` is standard output.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        Self::begin(path, MODE, true).map_err(|error| failed(path, &error))
    }

    fn begin(path: &Path, mode: u32, is_watched: bool) -> io::Result<Self> {
        if is_standard_output(path) {
            let file = BufWriter::new(tempfile::tempfile()?);
            return Ok(Self { file, place: Place::Standard, path: path.to_owned() });
        }
        let replaced = fs::symlink_metadata(path).ok();
        if replaced.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            return Err(io::Error::other("something that is no regular file has this name"));
        }
        let (file, place) = match nameless(directory_of(path), mode) {
            Some(file) => (file, Place::Nameless),
            None => named(path, mode, is_watched)?,
        };
        if let Some(metadata) = replaced {
            file.set_permissions(fs::Permissions::from_mode(metadata.permissions().mode()))?;
        }
        Ok(Self { file: BufWriter::new(file), place, path: path.to_owned() })
    }

    /// Safe on disk, and in the place of what had its name before.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if let Place::Standard = self.place {
            return self.print();
        }
        let mut work = || -> io::Result<()> {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            match &mut self.place {
                Place::Named(temporary) => temporary.rename(&self.path)?,
                Place::Nameless | Place::Standard => name(self.file.get_ref(), &self.path)?,
            }
            sync_directory_of(&self.path)
        };
        work().map_err(|error| failed(&self.path, &error))
    }

    /// Writes all of it to standard output.
    fn print(&mut self) -> Result<(), Failure> {
        self.file.rewind()?;
        let mut out = io::stdout().lock();
        io::copy(self.file.get_mut(), &mut out)?;
        Ok(out.flush()?)
    }
}

/// A file without a name. `None` if the file system has none, or nothing could name it later.
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

/// How an open file is named where it has no name.
fn link_of(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd;

    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Names a nameless file, in the place of what has the name.
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

fn named(path: &Path, mode: u32, is_watched: bool) -> io::Result<(File, Place)> {
    let temporary = temporary_for(path);
    if is_watched {
        unfinished::watch()?;
    }
    let file = OpenOptions::new().write(true).read(true).create_new(true).mode(mode).open(&temporary)?;
    Ok((file, Place::Named(Unfinished::new(temporary))))
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

/// Writes a file that only this user may read, where there is none of that name yet.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let outcome = write_new(options.write(true).create_new(true).mode(PRIVATE_MODE), path, bytes);
    outcome.and_then(|()| sync_directory_of(path)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::said(format!(
            "{} is there already, and a key is never written over: choose another name",
            harmless(&path.to_string_lossy())
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
    Failure::said(format!("cannot write {}: {error}", harmless(&path.to_string_lossy())))
}

#[cfg(test)]
mod tests;
