//! File operations on segments and signed files, behind a trait so that tests can make each of them fail.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::dir::{Access, Dir};

pub use crate::dir::FileStat;

/// An open file that is only ever appended to.
pub trait StorageFile: fmt::Debug + Send + Sync {
    /// One write(2); may be short.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    /// fdatasync(2): makes the bytes durable.
    fn sync_data(&self) -> io::Result<()>;
    /// fstat(2): the identity and the length of the file.
    fn stat(&self) -> io::Result<FileStat>;
    /// Reads from the descriptor, even if the file was renamed; may be short.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Truncates the file, to roll back the unfinished end of a write.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// The file system operations of a trail. Names are relative to the trail's directory.
pub trait Storage: fmt::Debug + Send + Sync {
    /// Opens a file for appending. With `create_new` the file must not exist, otherwise it must.
    fn open_append(&self, dir: &Dir, name: &str, create_new: bool) -> io::Result<Arc<dyn StorageFile>>;
    /// Renames a file.
    fn rename(&self, dir: &Dir, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, dir: &Dir, name: &str) -> io::Result<()>;
    /// Replaces a file durably: temporary file, fsync, rename, fsync of the directory.
    fn replace(&self, dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Replaces a file without fsync. A power loss may leave the old file, none, or an empty one.
    fn put(&self, dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// fsync(2) of the trail's directory: makes its renames and new files durable.
    fn sync_directory(&self, dir: &Dir) -> io::Result<()>;
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

    fn stat(&self) -> io::Result<FileStat> {
        FileStat::of(self)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
}

impl Storage for Disk {
    fn open_append(&self, dir: &Dir, name: &str, create_new: bool) -> io::Result<Arc<dyn StorageFile>> {
        let access = if create_new { Access::APPEND.create_new() } else { Access::APPEND };
        Ok(Arc::new(dir.open(name, access)?))
    }

    fn rename(&self, dir: &Dir, from: &str, to: &str) -> io::Result<()> {
        dir.rename(from, to)
    }

    fn remove(&self, dir: &Dir, name: &str) -> io::Result<()> {
        dir.remove(name)
    }

    fn replace(&self, dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
        dir.replace(name, bytes, false)
    }

    fn put(&self, dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
        dir.put(name, bytes)
    }

    fn sync_directory(&self, dir: &Dir) -> io::Result<()> {
        dir.sync("")
    }
}

#[cfg(any(test, feature = "testing"))]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) mod power;
#[cfg(any(test, feature = "testing"))]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) mod testing;
