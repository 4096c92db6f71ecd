//! Locks of the ring's slots: one byte of the ring's file each, far beyond its end.
//!
//! They belong to an open file description (fcntl(2), F_OFD_SETLK), so the kernel frees them when the last
//! descriptor is closed, at the latest at the death of the process. Process ids would not do: containers
//! number processes each for themselves.

#![expect(unsafe_code, reason = "fcntl(2) takes a pointer")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::layout::SLOTS;
use crate::inherited::NotInherited;

/// Where the bytes begin.
const BEGIN: i64 = 1 << 40;

/// The locks that one open file description holds.
#[derive(Debug)]
pub(crate) struct SlotLocks(NotInherited<File>);

impl SlotLocks {
    /// The file must be open for writing, and not shared with others who lock it.
    pub(crate) fn new(file: File) -> Self {
        Self(NotInherited::new(file))
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }

    /// Locks a slot. Returns `false` if another one holds it.
    pub(crate) fn try_lock(&self, slot: usize) -> io::Result<bool> {
        self.set(libc::F_WRLCK, slot..slot + 1)
    }

    /// Locks all slots. Returns `false`, and changes nothing, if another one holds one of them.
    pub(crate) fn try_lock_all(&self) -> io::Result<bool> {
        self.set(libc::F_WRLCK, 0..SLOTS)
    }

    pub(crate) fn unlock(&self, slot: usize) -> io::Result<()> {
        self.set(libc::F_UNLCK, slot..slot + 1).map(drop)
    }

    /// Unlocks all slots but this one.
    pub(crate) fn keep_only(&self, slot: usize) -> io::Result<()> {
        self.set(libc::F_UNLCK, 0..slot)?;
        self.set(libc::F_UNLCK, slot + 1..SLOTS).map(drop)
    }

    pub(crate) fn unlock_all(&self) -> io::Result<()> {
        self.set(libc::F_UNLCK, 0..SLOTS).map(drop)
    }

    /// Whether another one holds the lock of a slot. If that cannot be found out, it is assumed.
    pub(crate) fn is_locked(&self, slot: usize) -> bool {
        let mut lock = request(libc::F_WRLCK, slot..slot + 1);
        // SAFETY: F_OFD_GETLK reads and writes one `flock`, which `lock` is, and which lives until the call
        // returns; the descriptor is open while `self` lives.
        let outcome = unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
        outcome != 0 || i32::from(lock.l_type) != libc::F_UNLCK
    }

    fn set(&self, kind: i32, slots: std::ops::Range<usize>) -> io::Result<bool> {
        if slots.is_empty() {
            // A length of zero would mean everything up to the end.
            return Ok(true);
        }
        let lock = request(kind, slots);
        // SAFETY: F_OFD_SETLK reads one `flock`, which `lock` is, and which lives until the call returns; the
        // descriptor is open while `self` lives.
        if unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } == 0 {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            error if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            error => Err(error),
        }
    }
}

fn request(kind: i32, slots: std::ops::Range<usize>) -> libc::flock {
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "small constants")]
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: BEGIN + slots.start as i64,
        l_len: slots.len() as i64,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_held_by_one_description_until_it_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || SlotLocks::new(file.reopen().unwrap());
        let (one, other) = (open(), open());
        assert!(one.try_lock(3).unwrap() && !other.try_lock(3).unwrap());
        assert!(other.is_locked(3) && !other.is_locked(4) && !one.is_locked(3));
        assert!(!other.try_lock_all().unwrap() && !one.is_locked(4), "nothing changes");
        assert!(one.try_lock_all().unwrap() && !other.try_lock(4).unwrap());
        one.keep_only(3).unwrap();
        assert!(other.try_lock(4).unwrap() && !other.try_lock(3).unwrap());
        drop(one);
        assert!(other.try_lock(3).unwrap());
    }
}
