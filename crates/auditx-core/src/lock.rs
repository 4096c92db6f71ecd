//! One writer per trail: the lock file, and who holds it.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::segment::OWN_DIR;
use crate::storage::{create_directory, open_own, own_options};

/// The single writer's lock, held for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// Takes the lock of the trail in `directory`.
///
/// # Errors
/// `is_locked`, naming the holder, where another writer has it.
pub(crate) fn lock(directory: &Path, instance: &str) -> Result<Lock> {
    let own = directory.join(OWN_DIR);
    create_directory(&own)
        .map_err(|error| Error::storage("cannot make the trail's directory", &own, error))?;
    let path = own.join("lock");
    let mut file = open_own(&path, own_options().read(true).write(true).create(true).truncate(false))
        .map_err(|error| Error::storage("cannot open the trail's lock", &path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Whoever holds the lock wrote its name into it; an unreadable name changes nothing about the answer.
            if file.read_to_string(&mut holder).is_err() || holder.is_empty() {
                holder = "another process".to_owned();
            }
            return Err(Error::new(
                Kind::Locked,
                format!(
                    "the trail is being written by {}; close that one, or give this process a trail of its own with Config::instance",
                    holder.trim()
                ),
            )
            .at(directory));
        }
        Err(TryLockError::Error(error)) => return Err(Error::storage("cannot lock the trail", &path, error)),
    }
    let name = if instance.is_empty() { String::new() } else { format!(" (instance {instance})") };
    let holder = format!("process {}{name}\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.write_all(holder.as_bytes()))
        .map_err(|error| Error::storage("cannot name the holder of the trail's lock", &path, error))?;
    Ok(Lock { file })
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody is to read a stale name. Unlocking beats closing: a child forked by anybody at this moment has a copy of
        // the descriptor until it executes, and would keep the trail locked. Should either fail, closing remains.
        drop(self.file.set_len(0).and_then(|()| self.file.unlock()));
    }
}

/// Who holds the lock of a trail, as it named itself; none where nobody does.
///
/// # Errors
/// `is_storage` where the lock cannot be read.
pub fn lock_holder(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(OWN_DIR).join("lock");
    let unreadable = |error| Error::storage("cannot read the trail's lock", &path, error);
    let mut file = match open_own(&path, own_options().read(true)) {
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

    #[test]
    fn a_copy_of_the_descriptor_in_a_forked_child_does_not_keep_the_trail_locked() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path(), "").unwrap();
        let _copy = first.file.try_clone().unwrap();
        assert!(lock(directory.path(), "").unwrap_err().is_locked());
        assert_eq!(
            lock_holder(directory.path()).unwrap().unwrap(),
            format!("process {}", std::process::id())
        );
        drop(first);
        assert_eq!(lock_holder(directory.path()).unwrap(), None);
        drop(lock(directory.path(), "").unwrap());
    }
}
