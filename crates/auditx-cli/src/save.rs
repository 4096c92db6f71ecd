//! Files that commands write outside of trails: whole or not at all, and safe on disk once it is said that they are written.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::terminal::harmless;

/// Keys are nobody else's business.
const PRIVATE_MODE: u32 = 0o600;

/// Writes a file, or puts it in the place of one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes).map_err(|error| failed(path, &error))?;
    file.finish()
}

/// A file that is being written, and gets its name when it is whole. Left before that, nothing of it remains.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let begin = || -> io::Result<Self> {
            if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
                return Err(io::Error::other("something that is no regular file has this name"));
            }
            let temporary = temporary_for(path);
            let file = OpenOptions::new().write(true).read(true).create_new(true).open(&temporary)?;
            Ok(Self { file: BufWriter::new(file), temporary, path: path.to_owned() })
        };
        begin().map_err(|error| failed(path, &error))
    }

    /// Safe on disk, and in the place of what had its name before.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let path = self.path.clone();
        let mut work = || -> io::Result<()> {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            fs::rename(&self.temporary, &self.path)?;
            sync_directory_of(&self.path)
        };
        work().map_err(|error| failed(&path, &error))
    }
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

impl Drop for NewFile {
    fn drop(&mut self) {
        // Once it has its name there is none any more; where that failed, the error is told already.
        drop(fs::remove_file(&self.temporary));
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
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn temporary_for(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(format!(".{}.tmp", std::process::id()));
    name.into()
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::said(format!("cannot write {}: {error}", harmless(&path.to_string_lossy())))
}
