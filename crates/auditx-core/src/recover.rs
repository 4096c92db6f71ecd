//! Opening a trail: lock it, repair its torn tail, find the next sequence number. May itself be killed at any point
//! and be run again.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::appender::{Means, Start};
use crate::encode::MAX_LINE;
use crate::error::{Error, Kind, Result};
use crate::id;
use crate::line::parse_seq;
use crate::own_record::{FORMAT_VERSION, OwnRecord};
use crate::segment::{ACTIVE, OWN_DIR, first_seq_of, open_segment, sealed_segments};
use crate::storage::{create_directory, open_own, own_options, replace_file};

/// The single writer's lock, held for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// `.auditx/trail.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TrailIdentity {
    pub(crate) format: u32,
    pub(crate) trail_id: String,
    pub(crate) origin: String,
}

/// What opening found, and what the trail is to say about it.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) start: Start,
    pub(crate) records: Vec<OwnRecord>,
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

/// Finds where the trail ends and repairs its tail. The lock must be held.
pub(crate) fn recover(means: &Means, origin: &str) -> Result<Recovered> {
    let directory = &means.directory;
    let identity_path = directory.join(OWN_DIR).join("trail.json");
    let active = directory.join(ACTIVE);
    let sealed = sealed_segments(directory)?;
    let mut records = Vec::new();
    let torn = find_torn_tail(&active)?;

    let (first_seq, next_seq) = match (first_seq_of(&active)?, sealed.last()) {
        (Some(first), _) => (first, last_seq_of_plain(&active)? + 1),
        (None, Some(last)) => {
            let next = last_seq_of_sealed(&last.path, last.compressed)? + 1;
            (next, next)
        }
        (None, None) => (0, 0),
    };
    if next_seq == 0 {
        let mut trail_id = [0; 16];
        id::fill(&mut trail_id);
        let trail_id: String = trail_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let identity = TrailIdentity { format: FORMAT_VERSION, trail_id, origin: origin.to_owned() };
        let json = serde_json::to_vec_pretty(&identity)
            .map_err(|error| Error::storage("cannot encode the trail's identity", &identity_path, error))?;
        replace_file(&identity_path, &json)
            .map_err(|error| Error::storage("cannot write the trail's identity", &identity_path, error))?;
        records.push(OwnRecord::Genesis { trail_id: identity.trail_id, origin: identity.origin });
    } else {
        check_identity(&identity_path)?;
    }
    if let Some((torn, whole)) = torn {
        records.push(move_torn_tail(&active, &torn, whole, next_seq)?);
    }
    let file = match means.storage.open_append(&active, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => means.storage.open_append(&active, true),
        other => other,
    }
    .map_err(|error| Error::storage("cannot open the active segment", &active, error))?;
    // A killed process left lines that are the kernel's but not yet the disk's.
    file.sync_data().map_err(|error| Error::storage("cannot sync the active segment", &active, error))?;
    means
        .storage
        .sync_directory(directory)
        .map_err(|error| Error::storage("cannot sync the directory", directory, error))?;
    let metadata = fs::metadata(&active)
        .map_err(|error| Error::storage("cannot examine the active segment", &active, error))?;
    let began = metadata.created().unwrap_or_else(|_| SystemTime::now());
    Ok(Recovered { start: Start { file, len: metadata.len(), first_seq, next_seq, began }, records })
}

fn check_identity(path: &Path) -> Result<()> {
    let bytes =
        fs::read(path).map_err(|error| Error::storage("cannot read the trail's identity", path, error))?;
    let identity: TrailIdentity = serde_json::from_slice(&bytes)
        .map_err(|error| Error::corrupt("the trail's identity cannot be read").at(path).because(error))?;
    if identity.format != FORMAT_VERSION {
        return Err(Error::corrupt(format!(
            "the trail has format {}, and this version writes format {FORMAT_VERSION}: use the version that made it",
            identity.format
        ))
        .at(path));
    }
    Ok(())
}

/// Bytes after the last newline of a file, and where they begin.
fn find_torn_tail(active: &Path) -> Result<Option<(Vec<u8>, u64)>> {
    let mut file = match open_own(active, own_options().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::storage("cannot open the active segment", active, error)),
    };
    let (tail, start) = tail_of(&mut file)
        .map_err(|error| Error::storage("cannot read the active segment", active, error))?;
    let torn = &tail[memchr::memrchr(b'\n', &tail).map_or(0, |newline| newline + 1)..];
    let whole = start + (tail.len() - torn.len()) as u64;
    Ok((!torn.is_empty()).then(|| (torn.to_vec(), whole)))
}

/// Moves them into a file of their own: nothing is thrown away.
fn move_torn_tail(active: &Path, torn: &[u8], whole: u64, next_seq: u64) -> Result<OwnRecord> {
    let free = |number: &u32| {
        let name = if *number == 0 {
            format!("audit.torn-{next_seq}")
        } else {
            format!("audit.torn-{next_seq}.{number}")
        };
        (!active.with_file_name(&name).exists()).then_some(name)
    };
    let torn_file =
        (0..).find_map(|number| free(&number)).unwrap_or_else(|| format!("audit.torn-{next_seq}"));
    let torn_path = active.with_file_name(&torn_file);
    replace_file(&torn_path, torn)
        .map_err(|error| Error::storage("cannot save the torn tail", &torn_path, error))?;
    open_own(active, own_options().write(true))
        .and_then(|file| file.set_len(whole).and_then(|()| file.sync_all()))
        .map_err(|error| Error::storage("cannot cut the torn tail off the active segment", active, error))?;
    Ok(OwnRecord::Recovered { torn_bytes: torn.len() as u64, torn_file })
}

/// The end of a file, enough for one whole line and one torn one, and where it begins.
fn tail_of(file: &mut File) -> io::Result<(Vec<u8>, u64)> {
    let len = file.metadata()?.len();
    let start = len.saturating_sub(2 * MAX_LINE as u64 + 2);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut tail)?;
    Ok((tail, start))
}

fn last_seq_of_plain(path: &Path) -> Result<u64> {
    let mut file = open_own(path, own_options().read(true))
        .map_err(|error| Error::storage("cannot open a segment", path, error))?;
    let (tail, _) =
        tail_of(&mut file).map_err(|error| Error::storage("cannot read a segment", path, error))?;
    last_seq_in(&tail, path)
}

fn last_seq_of_sealed(path: &Path, compressed: bool) -> Result<u64> {
    if !compressed {
        return last_seq_of_plain(path);
    }
    let failed = |error| Error::storage("cannot read a sealed segment", path, error);
    let mut reader = open_segment(path, true).map_err(failed)?;
    let (mut line, mut last) = (Vec::new(), Vec::new());
    while io::BufRead::read_until(&mut reader, b'\n', &mut line).map_err(failed)? > 0 {
        std::mem::swap(&mut line, &mut last);
        line.clear();
    }
    last_seq_in(&last, path)
}

fn last_seq_in(tail: &[u8], path: &Path) -> Result<u64> {
    let whole = memchr::memrchr(b'\n', tail).map_or(tail, |newline| &tail[..newline]);
    let start = memchr::memrchr(b'\n', whole).map_or(0, |newline| newline + 1);
    parse_seq(&whole[start..]).ok_or_else(|| {
        Error::corrupt(
            "the last line of a segment has no sequence number: it was not written by auditx, or was altered",
        )
        .at(path)
    })
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
