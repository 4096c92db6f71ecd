//! Cursors: the file that stores a follower's position, as two slots written in turn, each with a generation
//! and a checksum, so that a torn write leaves the other slot valid.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use auditx_format::{Error, Result};

use crate::config::{ALERT_PREFIX, SHIPPER_PREFIX};
use crate::dir::{AUDITX_DIR, Access, Dir, FileStat};

/// The directory of the cursors, in the trail's directory.
pub(crate) const CURSORS: &str = ".auditx/cursors";

/// The size that a disk writes at once or not at all. Two slots never share such a block.
const SLOT_LEN: u64 = 4096;

/// generation, position, crc32c of both; little-endian.
const RECORD_LEN: usize = 20;

/// How many bytes of a cursor's file [`saved_position`] reads: up to the end of the second slot's content.
pub const CURSOR_LEN: u64 = SLOT_LEN + RECORD_LEN as u64;

/// The seq of the line that a follower takes next, stored beside the trail.
///
/// Retention removes no line that the owner of a cursor has not passed. A torn write leaves the previous
/// position.
pub struct Cursor {
    directory: Dir,
    name: String,
    file: File,
    generation: u64,
    saved: Option<u64>,
    position: u64,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("position", &self.position)
            .field("saved", &self.saved)
            .finish_non_exhaustive()
    }
}

impl Cursor {
    /// Opens the cursor of a shipper that copies the trail in this directory to `destination`; creates it if
    /// it does not exist.
    ///
    /// # Errors
    /// `is_invalid` if the name has characters other than `a`–`z`, `0`–`9`, `-`, `_` and `.`, or more than
    /// 100. `is_storage` if the file cannot be opened.
    pub fn of_shipper(trail: impl Into<Dir>, destination: &str) -> Result<Self> {
        check_name("destination", destination)?;
        let trail = trail.into();
        // A shipper may be started before the trail is opened for the first time.
        trail
            .create_all()
            .and_then(|()| trail.create_directory(AUDITX_DIR))
            .map_err(|error| Error::storage("cannot create the trail's directory", trail.path(), error))?;
        Self::open(&trail, &format!("{SHIPPER_PREFIX}{destination}"))
    }

    /// Opens the cursor of an alert on the trail in this directory; creates it if it does not exist. Only one
    /// process can have it open. Automatic retention does not wait for it.
    ///
    /// # Errors
    /// As [`Cursor::of_shipper`]; `is_locked` if another process, or this one, has it open.
    pub fn of_alert(trail: impl Into<Dir>, name: &str) -> Result<Self> {
        check_name("alert", name)?;
        let trail = trail.into();
        let cursor = Self::open(&trail, &format!("{ALERT_PREFIX}{name}"))?;
        match cursor.file.try_lock() {
            Ok(()) => Ok(cursor),
            Err(TryLockError::WouldBlock) => {
                Err(Error::locked(format!("another process sends the alert {name} of this trail"))
                    .at(trail.path()))
            }
            Err(TryLockError::Error(error)) => Err(Error::storage(
                "cannot lock the cursor of an alert",
                cursor.directory.join(&cursor.name),
                error,
            )),
        }
    }

    /// Opens the cursor of the follower with this name.
    pub(super) fn open(directory: &Dir, follower: &str) -> Result<Self> {
        let name = format!("{CURSORS}/{follower}");
        let failed = |error| Error::storage("cannot open a follower's cursor", directory.join(&name), error);
        let file = open_file(directory, &name).map_err(failed)?;
        // An error, since a follower whose cursor is mistaken for a new one would repeat or miss entries.
        let slots = read_slots(&file).map_err(failed)?;
        let (generation, saved) =
            newest_slot(&slots).map_or((0, None), |(generation, position)| (generation, Some(position)));
        let directory = directory.clone();
        Ok(Self { directory, name, file, generation, saved, position: saved.unwrap_or(0) })
    }

    /// Returns the position saved last; `None` for a new follower.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.saved
    }

    /// Whether the position saved last differs from this one.
    #[must_use]
    pub fn is_behind(&self, position: u64) -> bool {
        self.saved != Some(position)
    }

    /// Sets the position, without saving it.
    pub fn advance(&mut self, position: u64) {
        self.position = position;
    }

    /// Makes the position durable, in a new file if another program removed or replaced the old one. Costs an
    /// fdatasync and a stat.
    ///
    /// # Errors
    /// If the file cannot be written; the position saved before stays.
    pub fn save(&mut self) -> io::Result<()> {
        self.follow_name()?;
        let generation = self.generation + 1;
        let mut record = [0; RECORD_LEN];
        record[..8].copy_from_slice(&generation.to_le_bytes());
        record[8..16].copy_from_slice(&self.position.to_le_bytes());
        let crc = crc32c(&record[..16]);
        record[16..].copy_from_slice(&crc.to_le_bytes());
        self.file.write_all_at(&record, generation % 2 * SLOT_LEN)?;
        self.file.sync_data()?;
        self.generation = generation;
        self.saved = Some(self.position);
        Ok(())
    }
}

impl Cursor {
    fn follow_name(&mut self) -> io::Result<()> {
        let named = self.directory.stat(&self.name)?;
        let ours = FileStat::of(&self.file)?;
        if named.is_some_and(|named| named.is_same(&ours)) {
            return Ok(());
        }
        self.directory.restore_directory(CURSORS)?;
        if named.is_some_and(|named| !named.is_file()) {
            self.directory.set_aside(&self.name)?;
        }
        self.file = open_file(&self.directory, &self.name)?;
        Ok(())
    }
}

/// Checks a name that becomes part of a file's name.
fn check_name(what: &str, name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(is_plain) {
        return Err(Error::invalid(format!(
            "invalid {what} {name:?}: expected 1 to 100 of a-z, 0-9, '-', '_' and '.'"
        )));
    }
    Ok(())
}

fn open_file(directory: &Dir, name: &str) -> io::Result<File> {
    directory.create_directory(CURSORS)?;
    let file = directory.open(name, Access::READ_WRITE.or_create())?;
    directory.sync(CURSORS)?;
    Ok(file)
}

/// Returns the position stored in a cursor's file: the seq of the line its follower takes next. Takes the
/// file's bytes, of which the first [`CURSOR_LEN`] are enough.
#[must_use]
pub fn saved_position(slots: &[u8]) -> Option<u64> {
    newest_slot(slots).map(|(_, position)| position)
}

/// Returns the positions of the shippers of the trail in this directory, by destination; 0 for one that has
/// saved none.
///
/// # Errors
/// `is_storage` if the cursors cannot be read.
pub fn shipper_positions(trail: impl Into<Dir>) -> Result<Vec<(String, u64)>> {
    let of_shippers = |(name, position): (String, u64)| {
        name.strip_prefix(SHIPPER_PREFIX).map(|destination| (destination.to_owned(), position))
    };
    Ok(saved_positions(&trail.into())?.into_iter().filter_map(of_shippers).collect())
}

/// Removes the cursor of a shipper.
pub(crate) fn remove_shipper(directory: &Dir, destination: &str) -> Result<()> {
    let name = format!("{CURSORS}/{SHIPPER_PREFIX}{destination}");
    directory
        .remove(&name)
        .map_err(|error| Error::storage("cannot remove a cursor", directory.join(&name), error))
}

/// Returns the positions of all cursors of the trail in this directory, by follower; 0 for one that has saved
/// none.
pub(crate) fn saved_positions(directory: &Dir) -> Result<Vec<(String, u64)>> {
    let failed = |error| Error::storage("cannot read the followers' cursors", directory.join(CURSORS), error);
    let names = match directory.list(CURSORS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut positions = Vec::new();
    for name in names {
        let name = name.to_string_lossy().into_owned();
        let file = directory.open(format!("{CURSORS}/{name}"), Access::READ).map_err(failed)?;
        let position = saved_position(&read_slots(&file).map_err(failed)?).unwrap_or(0);
        positions.push((name, position));
    }
    positions.sort();
    Ok(positions)
}

fn read_slots(file: &File) -> io::Result<Vec<u8>> {
    let mut slots = Vec::new();
    file.take(CURSOR_LEN).read_to_end(&mut slots)?;
    Ok(slots)
}

fn newest_slot(slots: &[u8]) -> Option<(u64, u64)> {
    let second = usize::try_from(SLOT_LEN).ok()?;
    [0, second].into_iter().filter_map(|begin| read_slot(slots.get(begin..)?)).max()
}

/// Returns the generation and position of a slot, if its checksum is right.
fn read_slot(slot: &[u8]) -> Option<(u64, u64)> {
    let (record, _) = slot.split_first_chunk::<RECORD_LEN>()?;
    let number = |range: std::ops::Range<usize>| record[range].try_into().map(u64::from_le_bytes).ok();
    let crc = record[16..].try_into().map(u32::from_le_bytes).ok()?;
    (crc == crc32c(&record[..16])).then_some((number(0..8)?, number(8..16)?))
}

/// CRC-32C (RFC 3720, section 12.1), bit by bit: a cursor is 16 bytes and is saved a few times a second.
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_torn_slot_costs_only_the_last_saved_position() {
        let directory = tempfile::tempdir().unwrap();
        Dir::from(directory.path()).create_directory(".auditx").unwrap();
        let mut cursor = Cursor::open(&directory.path().into(), "hook").unwrap();
        assert_eq!(cursor.position(), None);
        for position in [10, 20, 30] {
            cursor.advance(position);
            cursor.save().unwrap();
        }
        let cursor = Cursor::open(&directory.path().into(), "hook").unwrap();
        assert_eq!(cursor.position(), Some(30));
        let newest_slot = cursor.generation % 2 * SLOT_LEN;
        cursor.file.write_all_at(b"torn", newest_slot + 8).unwrap();
        assert_eq!(Cursor::open(&directory.path().into(), "hook").unwrap().position(), Some(20));
    }
}
