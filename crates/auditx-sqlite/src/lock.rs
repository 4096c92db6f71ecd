//! The lock by which a database has one collector at a time.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use auditx_capture::{Error, Result};

/// What the name of the locked file has after that of the database.
const SUFFIX: &str = "-auditx";

/// A lock of the operating system, which ends with the process at the latest.
///
/// It is on a file beside the database: to close the database's own file would release SQLite's locks of this
/// process. The file remains, because a collector that is just starting may have it open.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks a database; the path has no symbolic links, so that all processes lock the same file.
    pub(crate) fn take(database: &Path) -> Result<Self> {
        let path = beside(database, SUFFIX);
        let failed =
            |error: std::io::Error| Error::database(format!("cannot lock `{}`: {error}", path.display()));
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(database, &path, &mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(std::process::id().to_string().as_bytes())
        };
        note(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn taken(database: &Path, path: &Path, file: &mut File) -> Error {
    let mut process = String::new();
    // The process is only part of the message.
    let holder = match file.read_to_string(&mut process) {
        Ok(_) if !process.is_empty() => format!("process {process}"),
        _ => "another process".to_owned(),
    };
    Error::taken(format!(
        "the database `{}` has a collector already: {holder} has locked `{}`",
        database.display(),
        path.display()
    ))
}

/// Returns the path of a file that belongs to a database.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    name.into()
}
