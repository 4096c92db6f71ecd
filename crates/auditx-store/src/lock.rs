//! The lock of the process that writes the trail, and the name of its holder.
//!
//! Two things are locked: the trail's directory itself, a lock that removing or replacing a file cannot
//! break; and `.auditx/lock`, which contains the holder's name for people and for programs that only read.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use auditx_format::{Error, Result};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::dir::{Access, Dir, FileStat};
use crate::inherited::NotInherited;
use crate::segment::AUDITX_DIR;

/// The name of the lock file in the trail's directory.
pub(crate) const LOCK: &str = ".auditx/lock";

/// The temporary name of a new lock file, before it replaces a missing one.
const NEW_LOCK: &str = ".auditx/lock.tmp";

/// The lock of the writer, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    directory: Dir,
    file: NotInherited<File>,
    /// A descriptor of the trail's directory, locked; `None` on file systems that do not lock directories.
    held: Option<NotInherited<OwnedFd>>,
    holder: String,
}

/// Takes the lock of the trail in `directory`.
///
/// # Errors
/// `is_locked`, with the holder, if another writer has it.
pub(crate) fn lock(directory: &Dir, instance: &str) -> Result<Lock> {
    directory.create_directory(AUDITX_DIR).map_err(|error| {
        Error::storage("cannot create the trail's directory", directory.join(AUDITX_DIR), error)
    })?;
    lock_existing(directory, instance)
}

/// Like [`lock`], and creates no directory.
pub(crate) fn lock_existing(directory: &Dir, instance: &str) -> Result<Lock> {
    let path = directory.join(LOCK);
    let failed = |error| Error::storage("cannot lock the trail", &path, error);
    let file = directory.open(LOCK, Access::READ_WRITE.or_create()).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(locked(directory, &file)),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let held = match lock_directory(directory) {
        Ok(held) => held,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(locked(directory, &file)),
        Err(error) => return Err(failed(error)),
    };
    let name = if instance.is_empty() { String::new() } else { format!(" (instance {instance})") };
    let holder = format!("process {}{name}\n", std::process::id());
    let file = NotInherited::new(file);
    let lock = Lock { directory: directory.clone(), file, held: held.map(NotInherited::new), holder };
    lock.write_holder().map_err(failed)?;
    Ok(lock)
}

/// Locks a descriptor of the directory itself; `None` if the file system does not support it (NFS).
fn lock_directory(directory: &Dir) -> io::Result<Option<OwnedFd>> {
    let opened = directory.open_directory("")?;
    match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(opened)),
        Err(Errno::WOULDBLOCK) => Err(Errno::WOULDBLOCK.into()),
        Err(_) => Ok(None),
    }
}

fn locked(directory: &Dir, mut file: &File) -> Error {
    let mut holder = String::new();
    // The holder wrote its name into the file. The trail is locked even if the name cannot be read.
    if file.read_to_string(&mut holder).is_err() || holder.is_empty() {
        holder = "another process".to_owned();
    }
    let what = format!(
        "the trail is being written by {}, and this process cannot join it; close that process, \
         or give this one its own trail with Config::instance",
        holder.trim()
    );
    Error::locked(what).at(directory.path())
}

impl Lock {
    fn write_holder(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        (&*self.file).write_all(self.holder.as_bytes())
    }

    /// Restores the lock file if another program removed or replaced it. Returns whether it did. No other
    /// process can have locked the trail in the meantime, since its directory is locked as well.
    pub(crate) fn restore(&mut self) -> io::Result<bool> {
        let named = self.directory.stat(LOCK)?;
        let ours = FileStat::of(&*self.file)?;
        if self.held.is_none() || named.is_some_and(|named| named.is_same(&ours)) {
            return Ok(false);
        }
        let file = self.directory.open(NEW_LOCK, Access::READ_WRITE.or_create())?;
        file.try_lock()?;
        let removed = std::mem::replace(&mut self.file, NotInherited::new(file));
        self.write_holder()?;
        self.directory.rename_over(NEW_LOCK.as_ref(), LOCK.as_ref())?;
        removed.unlock()?;
        Ok(true)
    }

    /// Releases the trail.
    pub(crate) fn release(&mut self) {
        // Clear the name, so that it is not read when it is stale. Unlock instead of only closing: a child
        // that another thread forks at this moment has a copy of the descriptor until it executes, and would
        // keep the trail locked. If either fails, closing still releases the lock.
        drop(self.file.set_len(0).and_then(|()| self.file.unlock()));
        if let Some(held) = &self.held {
            rustix::fs::flock(&**held, FlockOperation::Unlock).unwrap_or(());
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.release();
    }
}

/// Returns the holder of a trail's lock, by the name it wrote into the lock file; `None` if the trail is not
/// locked.
///
/// # Errors
/// `is_storage` if the lock cannot be read.
pub fn lock_holder(directory: impl Into<Dir>) -> Result<Option<String>> {
    let directory = directory.into();
    let unreadable = |error| Error::storage("cannot read the trail's lock", directory.join(LOCK), error);
    let mut file = match directory.open(LOCK, Access::READ) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(unreadable)?;
            Ok(Some(holder.trim().to_owned()))
        }
        Err(TryLockError::Error(error)) => Err(unreadable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::Modes;

    fn dir(directory: &tempfile::TempDir) -> Dir {
        Dir::hold(directory.path(), Modes::default()).unwrap()
    }

    #[test]
    fn a_descriptor_copy_in_a_forked_child_does_not_hold_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(&dir(&directory), "").unwrap();
        let _copies = (first.file.try_clone().unwrap(), first.held.as_ref().unwrap().try_clone().unwrap());
        assert!(lock(&dir(&directory), "").unwrap_err().is_locked());
        assert_eq!(
            lock_holder(directory.path()).unwrap().unwrap(),
            format!("process {}", std::process::id())
        );
        drop(first);
        assert_eq!(lock_holder(directory.path()).unwrap(), None);
        drop(lock(&dir(&directory), "").unwrap());
    }

    #[test]
    fn a_removed_lock_file_is_restored_and_the_lock_holds() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = lock(&dir(&directory), "shop").unwrap();
        assert!(!first.restore().unwrap());
        for replace in [false, true] {
            std::fs::remove_file(directory.path().join(LOCK)).unwrap();
            if replace {
                std::fs::create_dir(directory.path().join(LOCK)).unwrap();
            } else {
                assert!(lock(&dir(&directory), "").unwrap_err().is_locked());
            }
            assert!(first.restore().unwrap());
            let holder = lock_holder(directory.path()).unwrap().unwrap();
            assert!(holder.ends_with("(instance shop)"), "{holder}");
            assert!(lock(&dir(&directory), "").unwrap_err().to_string().contains("(instance shop)"));
        }
        drop(first);
        assert_eq!(lock_holder(directory.path()).unwrap(), None);
        drop(lock(&dir(&directory), "").unwrap());
    }
}
