//! The ring's file, `.auditx/ring`. It is created with every block allocated, since a full disk must not
//! surface as a fault in a mapping.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Mutex, MutexGuard, PoisonError};

use auditx_format::id;
use auditx_format::{Error, Result};
use rustix::fs::{FlockOperation, flock};

use super::layout::{
    CONTROL, HEAD, HEADER_LEN, Header, INODE, LINES, REFUSED, REFUSED_FIRST, REFUSED_LAST, SLOTS, TAIL, WORD,
    records_at,
};
use super::map::Map;
use super::queue::Queue;
use super::salvage::{RingImage, Salvaged};
use super::slot_locks::SlotLocks;
use crate::dir::{AUDITX_DIR, Access, Dir, FileStat};
use crate::inherited::NotInherited;
use crate::kill_point::kill_point;

/// The file's name in the trail's directory.
pub(crate) const RING: &str = ".auditx/ring";

/// The file's name until it is complete.
pub(super) const NEW_RING: &str = ".auditx/ring.tmp";

/// File systems on which allocated blocks stay allocated, by their magic numbers (statfs(2)): ext2 to ext4,
/// XFS, tmpfs.
#[cfg(target_os = "linux")]
const ALLOWED: [u64; 3] = [0xEF53, 0x5846_5342, 0x0102_1994];

/// Returns why a ring cannot be used in this directory, or `None` if it can.
#[cfg(not(target_os = "linux"))]
pub(crate) fn unsupported_reason(_directory: &Dir) -> Option<String> {
    Some("this is not Linux".to_owned())
}

/// Returns why a ring cannot be used in this directory, or `None` if it can.
#[cfg(target_os = "linux")]
pub(crate) fn unsupported_reason(directory: &Dir) -> Option<String> {
    let opened = directory.open_directory(AUDITX_DIR).or_else(|_| directory.open_directory(""));
    let asked = opened.and_then(|opened| Ok(rustix::fs::fstatfs(opened.as_fd())?));
    match asked {
        Ok(found) => {
            let kind = u64::try_from(found.f_type).unwrap_or(0);
            (!ALLOWED.contains(&kind)).then(|| {
                format!(
                    "its file system (type {kind:#x}) does not keep allocated space: use ext4, XFS or tmpfs"
                )
            })
        }
        Err(error) => Some(format!("its file system cannot be examined: {error}")),
    }
}

/// What an earlier use of the ring left behind.
#[derive(Debug, Default)]
pub(crate) struct PreviousRing {
    pub(crate) salvaged: Salvaged,
    /// Entries that were refused and that no gap record covers yet: how many, and the times of the first and
    /// the last.
    pub(crate) refused: Option<(u64, u64, u64)>,
    /// A message about it for app.log.
    pub(crate) remark: Option<String>,
    /// Whether the file can be used again as it is.
    reusable: bool,
}

/// The ring in use.
#[derive(Debug)]
pub(crate) struct RingFile {
    pub(crate) queue: Queue<Map>,
    /// The trail that it belongs to.
    trail_id: [u8; 16],
    /// The file that is mapped, with the lock of this producer's slot.
    mapped: Mutex<Mapped>,
}

#[derive(Debug)]
pub(super) struct Mapped {
    /// `.auditx`, locked by all that use its ring, also one that lost its name.
    in_use: NotInherited<OwnedFd>,
    pub(super) stat: FileStat,
    pub(super) locks: SlotLocks,
    pub(super) slot: usize,
}

impl RingFile {
    /// Reads what is left in this trail's ring. Changes nothing, except that a file that is not this trail's
    /// ring is moved aside.
    ///
    /// # Errors
    /// `is_storage` if the file cannot be read.
    pub(crate) fn salvage(directory: &Dir, trail_id: [u8; 16]) -> Result<PreviousRing> {
        let path = directory.join(RING);
        let failed = |error| Error::storage("cannot read the journal's ring", &path, error);
        let mut file = match directory.open(RING, Access::READ) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PreviousRing::default()),
            Err(error) => return Err(failed(error)),
        };
        let len = file.metadata().map_err(failed)?.len();
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(CONTROL as u64).read_to_end(&mut bytes).map_err(failed)?;
        let header = RingImage::new(&bytes).map(|image| *image.header());
        let Some(header) = header.filter(|header| header.trail_id == trail_id) else {
            let aside = directory
                .set_aside(RING)
                .map_err(|error| Error::storage("cannot put a foreign ring aside", &path, error))?;
            let remark =
                format!("the journal's ring belonged to another trail; it was moved to {}", aside.display());
            return Ok(PreviousRing { remark: Some(remark), ..PreviousRing::default() });
        };
        let expected = header.file_len();
        let remark = (len != expected)
            .then(|| format!("the journal's ring was truncated: it has {len} bytes instead of {expected}"));
        let mut left = PreviousRing {
            remark,
            reusable: len == expected && header.slots == SLOTS,
            ..PreviousRing::default()
        };
        if RingImage::new(&bytes).is_none_or(|image| !image.is_drained(is_this_boot(&header))) {
            file.read_to_end(&mut bytes).map_err(failed)?;
        }
        if let Some(image) = RingImage::new(&bytes) {
            left.take_from(&image);
        }
        Ok(left)
    }

    /// Starts an empty ring at a position after everything an earlier use left, so that none of it is found
    /// again. The trail has `lines` lines.
    ///
    /// # Errors
    /// `is_storage` if there is not enough space or the file cannot be mapped.
    pub(crate) fn initialize(
        directory: &Dir,
        (capacity, is_exclusive): (u64, bool),
        trail_id: [u8; 16],
        left: &PreviousRing,
        lines: u64,
        alone: Option<SlotLocks>,
    ) -> Result<Self> {
        let failed = |what: &str, error: io::Error| Error::storage(what, directory.join(RING), error);
        let len = records_at(SLOTS) as u64 + capacity;
        let has_length =
            || directory.stat(RING).is_ok_and(|found| found.is_some_and(|found| found.len() == len));
        let mut alone = alone;
        if !left.reusable || !has_length() {
            make(directory, len).map_err(|error| failed("cannot create the journal's ring", error))?;
            // A process that has opened the old file finds that it lost its name.
            alone = None;
        }
        let locks = match alone {
            Some(locks) => locks,
            None => open(directory).map_err(|error| failed("cannot open the journal's ring", error))?,
        };
        let salt = {
            let mut bytes = [0; 8];
            id::fill(&mut bytes);
            u64::from_ne_bytes(bytes)
        };
        let header = Header { capacity, salt, trail_id, boot_id: boot_id(), slots: SLOTS };
        write_control(locks.file(), &header, left.salvaged.end, lines)
            .map_err(|error| failed("cannot write the journal's ring", error))?;
        let queue =
            map(locks.file(), &header).map_err(|error| failed("cannot map the journal's ring", error))?;
        let slot = free_slot(&queue, &locks)
            .and_then(|slot| slot.ok_or_else(|| io::Error::other("all its slots are in use")))
            .map_err(|error| failed("cannot lock the journal's ring", error))?;
        let file = Self::of(directory, trail_id, queue, (locks, slot))
            .map_err(|error| failed("cannot examine the journal's ring", error))?;
        if !is_exclusive {
            file.share().map_err(|error| failed("cannot lock the journal's ring", error))?;
        } else if !file.try_alone().map_err(|error| failed("cannot lock the journal's ring", error))? {
            return Err(Error::locked("another process has just joined the trail").at(directory.path()));
        }
        Ok(file)
    }

    pub(super) fn of(
        directory: &Dir,
        trail_id: [u8; 16],
        queue: Queue<Map>,
        (locks, slot): (SlotLocks, usize),
    ) -> io::Result<Self> {
        let in_use = NotInherited::new(directory.open_directory(AUDITX_DIR)?);
        // File systems that do not lock directories have no ring.
        flock(&*in_use, FlockOperation::NonBlockingLockShared)?;
        let stat = FileStat::of(locks.file())?;
        Ok(Self { queue, trail_id, mapped: Mutex::new(Mapped { in_use, stat, locks, slot }) })
    }

    pub(super) fn mapped(&self) -> MutexGuard<'_, Mapped> {
        self.mapped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn trail_id(&self) -> [u8; 16] {
        self.trail_id
    }

    /// Whether the process of another slot lives.
    pub(crate) fn is_alive(&self, slot: usize) -> bool {
        self.mapped().locks.is_locked(slot)
    }

    /// Locks all slots. Returns `false` if another process uses the ring.
    pub(crate) fn try_alone(&self) -> io::Result<bool> {
        self.mapped().locks.try_lock_all()
    }

    /// Undoes [`RingFile::try_alone`].
    pub(crate) fn share(&self) -> io::Result<()> {
        let mapped = self.mapped();
        mapped.locks.keep_only(mapped.slot)
    }

    /// Gives up the slot. No thread of this producer may push any more.
    pub(crate) fn give_up_slot(&self) -> io::Result<()> {
        let mapped = self.mapped();
        mapped.locks.unlock_all()?;
        Ok(flock(&*mapped.in_use, FlockOperation::Unlock)?)
    }

    /// Whether the mapped file still has its name.
    pub(crate) fn is_named(&self, directory: &Dir) -> io::Result<bool> {
        Ok(directory.stat(RING)?.is_some_and(|named| named.is_same(&self.mapped().stat)))
    }

    /// Removes a ring whose entries are durable in the trail.
    ///
    /// # Errors
    /// `is_storage` if the file cannot be removed.
    pub(crate) fn remove(directory: &Dir) -> Result<()> {
        match directory.remove(RING) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::storage("cannot remove the journal's ring", directory.join(RING), error))
            }
            _ => Ok(()),
        }
    }

    /// Calls msync(2): afterwards the disk holds nothing older.
    ///
    /// # Errors
    /// `is_storage` if msync(2) failed.
    pub(crate) fn flush(&self) -> Result<()> {
        self.queue.flush().map_err(|error| Error::storage("cannot sync the journal's ring", RING, error))
    }
}

impl PreviousRing {
    fn take_from(&mut self, image: &RingImage<'_>) {
        self.salvaged = image.salvage(is_this_boot(image.header()));
        let count = image.refused(REFUSED);
        self.refused =
            (count > 0).then(|| (count, image.refused(REFUSED_FIRST), image.refused(REFUSED_LAST)));
    }
}

pub(super) fn is_this_boot(header: &Header) -> bool {
    header.boot_id == boot_id() && header.boot_id != [0; 16]
}

/// Creates the file under another name first: a crash leaves either the whole file or none.
fn make(directory: &Dir, len: u64) -> io::Result<()> {
    const CHUNK: usize = 1 << 20;
    let mut file = directory.create(NEW_RING, true)?;
    let made = (|| {
        #[cfg(target_os = "linux")]
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len)?;
        let zeros = vec![0; CHUNK];
        let mut left = len;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            file.write_all(&zeros[..part])?;
            left -= part as u64;
        }
        file.sync_all()
    })();
    if let Err(error) = made {
        // Gives the space back: the disk may be full.
        drop(directory.remove(NEW_RING));
        return Err(error);
    }
    directory.rename_over(NEW_RING.as_ref(), RING.as_ref())?;
    directory.sync(AUDITX_DIR)
}

/// Stores an empty ring at a position that no record carries. The positions come first, so that losing the
/// header in a crash loses no entry.
fn write_control(file: &File, header: &Header, position: u64, lines: u64) -> io::Result<()> {
    let position = position.to_ne_bytes();
    for word in [TAIL, HEAD] {
        file.write_all_at(&position, (word * WORD) as u64)?;
    }
    file.write_all_at(&lines.to_ne_bytes(), (LINES * WORD) as u64)?;
    let rest = vec![0; records_at(header.slots) - REFUSED * WORD];
    file.write_all_at(&rest, (REFUSED * WORD) as u64)?;
    mark_original(file)?;
    kill_point("ring: positions written");
    file.write_all_at(&header.encode(), 0)?;
    kill_point("ring: header written");
    file.sync_data()
}

/// Opens the ring for a producer.
pub(super) fn open(directory: &Dir) -> io::Result<SlotLocks> {
    directory.open(RING, Access::READ_WRITE).map(SlotLocks::new)
}

/// Whether a file is the one for which a ring was made, and not a copy of it.
pub(super) fn is_original(file: &File) -> io::Result<bool> {
    let mut inode = [0; WORD];
    file.read_exact_at(&mut inode, (INODE * WORD) as u64)?;
    Ok(u64::from_ne_bytes(inode) == file.metadata()?.ino())
}

/// Stores that a ring is in this file.
pub(super) fn mark_original(file: &File) -> io::Result<()> {
    file.write_all_at(&file.metadata()?.ino().to_ne_bytes(), (INODE * WORD) as u64)
}

pub(super) fn read_header(file: &File) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_LEN];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        other => other.map(|()| Header::decode(&bytes)),
    }
}

pub(super) fn map(file: &File, header: &Header) -> io::Result<Queue<Map>> {
    let len = usize::try_from(header.file_len()).map_err(io::Error::other)?;
    Ok(Queue::new(Map::new(file, len)?, header.capacity, header.salt, header.slots))
}

/// Locks the first slot that no producer uses or has left unclean.
pub(super) fn free_slot(queue: &Queue<Map>, locks: &SlotLocks) -> io::Result<Option<usize>> {
    for slot in 0..SLOTS {
        if locks.try_lock(slot)? {
            if queue.take_slot(slot) {
                return Ok(Some(slot));
            }
            // Left locked, it would look alive to the writer, which would then never clear it.
            locks.unlock(slot)?;
        }
    }
    Ok(None)
}

/// Returns the id of this boot of the machine, or zeros if it is unknown.
fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    uuid::Uuid::try_parse(text.trim()).map(uuid::Uuid::into_bytes).unwrap_or_default()
}

/// Makes a ring look as it does after the machine was restarted.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn of_another_boot(ring: &mut [u8]) {
    let header = Header::decode(ring).expect("a ring");
    let encoded = Header { boot_id: [7; 16], ..header }.encode();
    ring[..encoded.len()].copy_from_slice(&encoded);
}

/// Makes a ring one of version 1: without slots.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn of_version_1(ring: &mut Vec<u8>) {
    let header = Header::decode(ring).expect("a ring");
    ring.drain(CONTROL..header.records_at());
    let encoded = header.encode_version_1();
    ring[..encoded.len()].copy_from_slice(&encoded);
}
