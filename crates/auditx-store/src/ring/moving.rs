//! Whether other processes use the ring; joining them, and following them to another file.
//!
//! If another program renames or removes the ring's file, the writer continues in a copy of it. The old file
//! then says that it has moved, and the other producers follow.

use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use auditx_format::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::file::{
    self, NEW_RING, RING, RingFile, free_slot, is_original, is_this_boot, mark_original, read_header,
};
use super::layout::{CONTROL, Header, SLOTS, records_at};
use super::slot_locks::SlotLocks;
use crate::dir::{AUDITX_DIR, Access, Dir, FileStat};
use crate::kill_point::kill_point;

/// What a process finds in the place of the ring.
#[derive(Debug)]
pub(crate) enum Found {
    /// No process uses it, and none can join until the locks are dropped. `None` if there is no ring that
    /// another process could use.
    Alone(Option<SlotLocks>),
    /// Other processes use it.
    Shared,
}

impl RingFile {
    /// Locks the ring if no process uses it.
    ///
    /// # Errors
    /// `is_storage` if it cannot be opened or locked.
    pub(crate) fn find(directory: &Dir, trail_id: Option<[u8; 16]>) -> Result<Found> {
        let find = || -> io::Result<Found> {
            if !is_unused(directory)? {
                return Ok(Found::Shared);
            }
            let locks = match file::open(directory) {
                Ok(locks) => locks,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Alone(None)),
                Err(error) => return Err(error),
            };
            if !locks.try_lock_all()? {
                return Ok(Found::Shared);
            }
            let header = read_header(locks.file())?;
            let is_usable = |header: &Header| {
                header.slots == SLOTS && is_this_boot(header) && Some(header.trail_id) == trail_id
            };
            let is_usable = header.is_some_and(|header| is_usable(&header));
            Ok(Found::Alone(is_usable.then_some(locks)))
        };
        find().map_err(|error| Error::storage("cannot open the journal's ring", directory.join(RING), error))
    }

    /// Joins the processes that use the ring of this trail; `is_writer` if this one holds the trail's lock.
    /// Returns `None` if it cannot be joined now: it is being created or closed, or all its slots are in use.
    ///
    /// # Errors
    /// `is_storage` if it cannot be opened or mapped.
    pub(crate) fn join(directory: &Dir, trail_id: [u8; 16], is_writer: bool) -> Result<Option<Self>> {
        let join = || -> io::Result<Option<Self>> {
            let locks = match file::open(directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                other => other?,
            };
            let Some(header) = read_header(locks.file())? else { return Ok(None) };
            let len = locks.file().metadata()?.len();
            if header.slots != SLOTS
                || !is_this_boot(&header)
                || header.trail_id != trail_id
                || len != header.file_len()
                || !is_original(locks.file())?
            {
                return Ok(None);
            }
            let queue = file::map(locks.file(), &header)?;
            let Some(slot) = free_slot(&queue, &locks)? else { return Ok(None) };
            // The header is read again, and the name compared, under the lock: nobody starts the ring again
            // or replaces it while a slot is locked.
            let is_same = read_header(locks.file())? == Some(header);
            let file = match Self::of(directory, trail_id, queue, (locks, slot)) {
                // Another process is finding out whether the ring is in use.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                other => other?,
            };
            let joins = is_same && (is_writer || !file.queue.is_closed()) && file.is_named(directory)?;
            Ok(joins.then_some(file))
        };
        join().map_err(|error| Error::storage("cannot join the journal's ring", directory.join(RING), error))
    }

    /// Continues in a copy of the mapped file, which gets its name. The ring is paused, and everything in it
    /// is drained.
    pub(crate) fn restore(&self, directory: &Dir) -> io::Result<()> {
        let has_begun = self.queue.begin_move();
        let outcome = self.move_to_copy(directory);
        if has_begun {
            self.queue.end_move();
        }
        outcome
    }

    fn move_to_copy(&self, directory: &Dir) -> io::Result<()> {
        let mut mapped = self.mapped();
        let mut copy = directory.create(NEW_RING, true)?;
        self.queue.for_each_chunk(|bytes| copy.write_all(bytes))?;
        // The lanes of threads that are only about to see that the ring is paused.
        copy.write_all_at(&vec![0; records_at(SLOTS) - CONTROL], CONTROL as u64)?;
        copy.sync_all()?;
        let locks = SlotLocks::new(directory.open(NEW_RING, Access::READ_WRITE)?);
        mark_original(locks.file())?;
        // All of them: nobody joins before this process uses the file.
        if !locks.try_lock_all()? {
            return Err(io::Error::other("another program has locked the new file"));
        }
        if directory.stat(RING)?.is_some() {
            directory.set_aside(RING)?;
        }
        // Before the copy has the name: a process that finds the copy must not push into it while others push
        // into the old file.
        self.queue.set_moved(true);
        kill_point("ring: moved");
        let moved = directory
            .rename_over(NEW_RING.as_ref(), RING.as_ref())
            .and_then(|()| directory.sync(AUDITX_DIR))
            .and_then(|()| FileStat::of(locks.file()))
            .inspect(|_| {
                kill_point("ring: renamed");
                self.queue.tell_all();
            })
            .and_then(|stat| self.queue.remap(locks.file()).map(|()| stat));
        match moved {
            Ok(stat) => {
                (mapped.stat, mapped.locks) = (stat, locks);
                Ok(())
            }
            Err(error) => {
                self.queue.set_moved(false);
                Err(error)
            }
        }
    }

    /// In a producer: continues in the file that has taken the place of the mapped one. Returns `false` if
    /// there is none yet.
    pub(crate) fn follow(&self, directory: &Dir) -> io::Result<bool> {
        if !self.queue.begin_move() {
            return Ok(false);
        }
        let outcome = self.move_to_named(directory);
        self.queue.end_move();
        outcome
    }

    fn move_to_named(&self, directory: &Dir) -> io::Result<bool> {
        let mut mapped = self.mapped();
        let locks = match file::open(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let stat = FileStat::of(locks.file())?;
        let Some(header) = read_header(locks.file())? else { return Ok(false) };
        let is_same_layout = header.slots == SLOTS && header.capacity == self.queue.capacity();
        let is_ours = is_same_layout && is_this_boot(&header) && is_original(locks.file())?;
        if stat.is_same(&mapped.stat) || !is_ours {
            return Ok(false);
        }
        let Some(slot) = free_slot(&file::map(locks.file(), &header)?, &locks)? else { return Ok(false) };
        self.queue.remap(locks.file())?;
        self.queue.set_salt(header.salt);
        // It is locked, and was clean.
        self.queue.take_slot(slot);
        (mapped.stat, mapped.locks, mapped.slot) = (stat, locks, slot);
        Ok(true)
    }
}

/// Whether no process uses a ring of this trail, with or without a name.
fn is_unused(directory: &Dir) -> io::Result<bool> {
    let opened = match directory.open_directory(AUDITX_DIR) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        // A file system that does not lock directories has no ring.
        Err(_) => Ok(true),
    }
}
