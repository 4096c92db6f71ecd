//! A test storage whose space, writes and syncs fail on demand.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::{Disk, Storage, StorageFile};
use crate::dir::{Dir, FileStat};

/// The faults to inject, shared with the test. ORDERING: SeqCst throughout; no data depends on these numbers,
/// so Relaxed would do.
pub struct Faults {
    /// The number of bytes that can be written before ENOSPC. A write that crosses the limit is short.
    pub space: AtomicU64,
    /// Whether syncs fail.
    pub fail_sync: AtomicBool,
    /// The number of next file syncs that fail.
    pub failing_syncs: AtomicU64,
    /// The number of file syncs that can be made before all fail.
    pub syncs: AtomicU64,
    /// Whether renaming a file fails.
    pub fail_rename: AtomicBool,
    /// Whether replacing a file fails.
    pub fail_replace: AtomicBool,
    /// The operations, in order.
    pub operations: Mutex<Vec<String>>,
    /// Called before the next truncation of a file.
    pub before_truncate: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("space", &self.space).finish_non_exhaustive()
    }
}

impl Faults {
    fn note(&self, what: &str, name: &str) {
        let name = name.rsplit('/').next().unwrap_or(name);
        self.operations.lock().unwrap().push(format!("{what} {name}"));
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            space: AtomicU64::new(u64::MAX),
            fail_sync: AtomicBool::new(false),
            failing_syncs: AtomicU64::new(0),
            syncs: AtomicU64::new(u64::MAX),
            fail_rename: AtomicBool::new(false),
            fail_replace: AtomicBool::new(false),
            operations: Mutex::default(),
            before_truncate: Mutex::default(),
        }
    }
}

/// The real disk with [`Faults`].
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk(pub Arc<Faults>);

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn StorageFile>,
    name: String,
    faults: Arc<Faults>,
}

impl StorageFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let space = self.faults.space.load(Ordering::SeqCst);
        let fits = usize::try_from(space).unwrap_or(usize::MAX).min(bytes.len());
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if space != u64::MAX {
            self.faults.space.fetch_sub(fits as u64, Ordering::SeqCst);
        }
        self.faults.note("append", &self.name);
        self.file.append(&bytes[..fits])
    }

    fn sync_data(&self) -> io::Result<()> {
        let count_down = |left: &AtomicU64| {
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        let Faults { failing_syncs, syncs, fail_sync, .. } = &*self.faults;
        if count_down(failing_syncs) || !count_down(syncs) || fail_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected fsync failure"));
        }
        self.faults.note("sync", &self.name);
        self.file.sync_data()
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.file.stat()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if let Some(before_truncate) = self.faults.before_truncate.lock().unwrap().take() {
            before_truncate();
        }
        self.file.set_len(len)
    }
}

impl Storage for FaultyDisk {
    fn open_append(&self, dir: &Dir, name: &str, create_new: bool) -> io::Result<Arc<dyn StorageFile>> {
        let file = Disk.open_append(dir, name, create_new)?;
        Ok(Arc::new(FaultyFile { file, name: name.to_owned(), faults: self.0.clone() }))
    }

    fn rename(&self, dir: &Dir, from: &str, to: &str) -> io::Result<()> {
        if self.0.fail_rename.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected rename failure"));
        }
        Disk.rename(dir, from, to)
    }

    fn remove(&self, dir: &Dir, name: &str) -> io::Result<()> {
        Disk.remove(dir, name)
    }

    fn replace(&self, dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.0.fail_replace.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected replace failure"));
        }
        self.0.note("replace", name);
        Disk.replace(dir, name, bytes)
    }

    fn put(&self, dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.note("put", name);
        Disk.put(dir, name, bytes)
    }

    fn sync_directory(&self, dir: &Dir) -> io::Result<()> {
        Disk.sync_directory(dir)
    }
}
