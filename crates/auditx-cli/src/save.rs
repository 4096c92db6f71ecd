//! Files that commands write outside of trails: whole or not at all, and safe on disk once it is said that they are written.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::terminal::harmless;

/// Keys are nobody else's business.
const PRIVATE_MODE: u32 = 0o600;

/// Writes a file, or puts it in the place of one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let temporary = temporary_for(path);
    let work = || -> io::Result<()> {
        if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(io::Error::other("something that is no regular file has this name"));
        }
        write_new(OpenOptions::new().write(true).create_new(true), &temporary, bytes)?;
        fs::rename(&temporary, path)?;
        sync_directory_of(path)
    };
    work().map_err(|error| {
        // It may never have been made; what counts is the error there was.
        drop(fs::remove_file(&temporary));
        failed(path, &error)
    })
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
