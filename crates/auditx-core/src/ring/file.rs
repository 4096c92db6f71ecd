//! The ring's file: `.auditx/ring`. Made with every block allocated, since a full disk must not reach a mapping.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use super::layout::{
    CONTROL, HEAD, Header, LINES, REFUSED, REFUSED_AT, REFUSED_FIRST, REFUSED_LAST, TAIL, WORD,
};
use super::map::Map;
use super::queue::Queue;
use super::salvage::{Salvaged, Wreck};
use crate::dir::{AUDITX_DIR, Access, Dir, FileStat};
use crate::error::{Error, Result};
use crate::id;
use crate::kill_point::kill_point;

/// Its name in the trail's directory.
pub(crate) const RING: &str = ".auditx/ring";

/// A new one, until it is whole.
const NEW_RING: &str = ".auditx/ring.tmp";

/// File systems on which allocated blocks stay allocated, by their magic numbers (statfs(2)): ext2 to ext4, XFS, tmpfs.
#[cfg(target_os = "linux")]
const ALLOWED: [u64; 3] = [0xEF53, 0x5846_5342, 0x0102_1994];

/// Why a ring cannot be trusted in this directory; none where it can.
#[cfg(not(target_os = "linux"))]
pub(crate) fn refusal(_directory: &Dir) -> Option<String> {
    Some("this is not Linux".to_owned())
}

/// Why a ring cannot be trusted in this directory; none where it can.
#[cfg(target_os = "linux")]
pub(crate) fn refusal(directory: &Dir) -> Option<String> {
    let opened = directory.open_directory(AUDITX_DIR).or_else(|_| directory.open_directory(""));
    let asked = opened.and_then(|opened| Ok(rustix::fs::fstatfs(opened.as_fd())?));
    match asked {
        Ok(found) => {
            let kind = u64::try_from(found.f_type).unwrap_or(0);
            (!ALLOWED.contains(&kind)).then(|| {
                format!(
                    "its file system (type {kind:#x}) is not one that keeps promised space: ext4, XFS, tmpfs"
                )
            })
        }
        Err(error) => Some(format!("its file system cannot be asked: {error}")),
    }
}

/// What an earlier use of the ring left behind.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) salvaged: Salvaged,
    /// Entries that were refused and that no record speaks of yet: how many, and the first and the last moment.
    pub(crate) refused: Option<(u64, u64, u64)>,
    /// What is to be said about it in app.log.
    pub(crate) remark: Option<String>,
    /// Whether the file can be used again as it is.
    reusable: bool,
}

/// The ring in use.
#[derive(Debug)]
pub(crate) struct RingFile {
    pub(crate) queue: Queue<Map>,
    /// Which file is mapped.
    mapped: Mutex<FileStat>,
}

impl RingFile {
    /// Reads what is left in the ring of this trail. Changes nothing, but for a file that is not its ring: that is put aside.
    ///
    /// # Errors
    /// `is_storage` where the file cannot be read.
    pub(crate) fn salvage(directory: &Dir, trail_id: [u8; 16]) -> Result<Opened> {
        let path = directory.join(RING);
        let failed = |error| Error::storage("cannot read the journal's ring", &path, error);
        let mut file = match directory.open(RING, Access::READ) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::default()),
            Err(error) => return Err(failed(error)),
        };
        let len = file.metadata().map_err(failed)?.len();
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(CONTROL as u64).read_to_end(&mut bytes).map_err(failed)?;
        let header = Wreck::new(&bytes).map(|wreck| *wreck.header());
        let Some(header) = header.filter(|header| header.trail_id == trail_id) else {
            let aside = directory
                .set_aside(RING)
                .map_err(|error| Error::storage("cannot put a foreign ring aside", &path, error))?;
            let remark =
                format!("the journal's ring was not one of this trail; it is kept as {}", aside.display());
            return Ok(Opened { remark: Some(remark), ..Opened::default() });
        };
        let expected = CONTROL as u64 + header.capacity;
        let remark = (len != expected)
            .then(|| format!("the journal's ring has {len} bytes instead of {expected}: somebody cut it"));
        let mut left = Opened { remark, reusable: len == expected, ..Opened::default() };
        if Wreck::new(&bytes).is_none_or(|wreck| !wreck.is_spent(is_this_boot(&header))) {
            file.read_to_end(&mut bytes).map_err(failed)?;
        }
        if let Some(wreck) = Wreck::new(&bytes) {
            left.take_from(&wreck);
        }
        Ok(left)
    }

    /// Begins anew behind everything an earlier use left; nothing of that is found again. The trail has so many lines.
    ///
    /// # Errors
    /// `is_storage` where the space cannot be had or the file cannot be mapped.
    pub(crate) fn begin(
        directory: &Dir,
        capacity: u64,
        trail_id: [u8; 16],
        left: &Opened,
        lines: u64,
    ) -> Result<Self> {
        let failed = |what: &str, error: io::Error| Error::storage(what, directory.join(RING), error);
        let len = CONTROL as u64 + capacity;
        let has_length =
            || directory.stat(RING).is_ok_and(|found| found.is_some_and(|found| found.len() == len));
        if !left.reusable || !has_length() {
            make(directory, len).map_err(|error| failed("cannot make the journal's ring", error))?;
        }
        let file = directory
            .open(RING, Access::READ_WRITE)
            .map_err(|error| failed("cannot open the journal's ring", error))?;
        let salt = {
            let mut bytes = [0; 8];
            id::fill(&mut bytes);
            u64::from_ne_bytes(bytes)
        };
        let header = Header { capacity, salt, trail_id, boot_id: boot_id() };
        write_control(&file, &header, left.salvaged.end, lines)
            .map_err(|error| failed("cannot write the journal's ring", error))?;
        let map = usize::try_from(len).map_err(io::Error::other).and_then(|len| Map::new(&file, len));
        let map = map.map_err(|error| failed("cannot map the journal's ring", error))?;
        let mapped =
            FileStat::of(&file).map_err(|error| failed("cannot examine the journal's ring", error))?;
        Ok(Self { queue: Queue::new(map, capacity, salt), mapped: Mutex::new(mapped) })
    }

    /// Whether the file that is mapped still has its name.
    pub(crate) fn is_named(&self, directory: &Dir) -> io::Result<bool> {
        let mapped = self.mapped.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(directory.stat(RING)?.is_some_and(|named| named.is_same(&mapped)))
    }

    /// Goes on in a copy of the mapped file that has its name. Nobody may push or drain meanwhile.
    pub(crate) fn restore(&self, directory: &Dir) -> io::Result<()> {
        let mut copy = directory.create(NEW_RING, true)?;
        self.queue.for_each_stretch(|bytes| copy.write_all(bytes))?;
        copy.sync_all()?;
        if directory.stat(RING)?.is_some() {
            directory.set_aside(RING)?;
        }
        directory.take_place(NEW_RING.as_ref(), RING.as_ref())?;
        directory.sync(AUDITX_DIR)?;
        let file = directory.open(RING, Access::READ_WRITE)?;
        self.queue.remap(&file)?;
        *self.mapped.lock().unwrap_or_else(PoisonError::into_inner) = FileStat::of(&file)?;
        Ok(())
    }

    /// Removes a ring whose entries are durable in the trail.
    ///
    /// # Errors
    /// `is_storage` where it cannot be removed.
    pub(crate) fn remove(directory: &Dir) -> Result<()> {
        match directory.remove(RING) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::storage("cannot remove the journal's ring", directory.join(RING), error))
            }
            _ => Ok(()),
        }
    }

    /// msync(2): afterwards nothing older is on the disk.
    ///
    /// # Errors
    /// `is_storage` where the disk refused.
    pub(crate) fn flush(&self) -> Result<()> {
        self.queue.flush().map_err(|error| Error::storage("cannot sync the journal's ring", RING, error))
    }
}

impl Opened {
    fn take_from(&mut self, wreck: &Wreck<'_>) {
        self.salvaged = wreck.salvage(is_this_boot(wreck.header()));
        let count = wreck.refused(REFUSED);
        self.refused =
            (count > 0).then(|| (count, wreck.refused(REFUSED_FIRST), wreck.refused(REFUSED_LAST)));
    }
}

pub(super) fn is_this_boot(header: &Header) -> bool {
    header.boot_id == boot_id() && header.boot_id != [0; 16]
}

/// Zeros beside its place first: a crash leaves the whole file or none.
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
        // What little space there is belongs to somebody else.
        drop(directory.remove(NEW_RING));
        return Err(error);
    }
    directory.take_place(NEW_RING.as_ref(), RING.as_ref())?;
    directory.sync(AUDITX_DIR)
}

/// Nothing to salvage, at a position that no record carries. Positions first: a header that is lost then costs nothing.
fn write_control(file: &File, header: &Header, position: u64, lines: u64) -> io::Result<()> {
    let position = position.to_ne_bytes();
    for word in [TAIL, HEAD] {
        file.write_all_at(&position, (word * WORD) as u64)?;
    }
    file.write_all_at(&lines.to_ne_bytes(), (LINES * WORD) as u64)?;
    for word in [REFUSED, REFUSED_FIRST, REFUSED_LAST, REFUSED_AT] {
        file.write_all_at(&[0; WORD], (word * WORD) as u64)?;
    }
    kill_point("ring: positions written");
    file.write_all_at(&header.encode(), 0)?;
    kill_point("ring: header written");
    file.sync_data()
}

/// Which boot of this machine this is; zeros where nobody says.
fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    uuid::Uuid::try_parse(text.trim()).map(uuid::Uuid::into_bytes).unwrap_or_default()
}

/// Makes a ring look as after the machine was started again.
#[cfg(test)]
pub(crate) fn of_another_boot(ring: &mut [u8]) {
    let header = Header::decode(ring).expect("a ring");
    let encoded = Header { boot_id: [7; 16], ..header }.encode();
    ring[..encoded.len()].copy_from_slice(&encoded);
}
