//! Where a follower stands: two slots written in turn, each with a generation and a checksum, so that a torn write
//! leaves the other one.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use crate::dir::{AUDITX_DIR, Access, Dir, FileStat};
use crate::error::{Error, Result};

/// Where followers keep their cursors, in the trail's directory.
pub(crate) const CURSORS: &str = ".auditx/cursors";

/// A disk writes this much at once or not at all; neighbouring slots never share it.
const SLOT_LEN: u64 = 4096;

/// generation, position, crc32c of both; little-endian.
const RECORD_LEN: usize = 20;

/// So much of a cursor's file [`saved_position`] looks at: up to the end of what the second slot holds.
pub const CURSOR_LEN: u64 = SLOT_LEN + RECORD_LEN as u64;

/// The cursor of somebody outside the logger who ships a trail's lines elsewhere is named so. Retention waits for it.
pub(crate) const SHIPPER_PREFIX: &str = "ship-";

/// The sequence number of the line that somebody takes next, kept beside the trail.
///
/// Retention removes no line that the owner of such a cursor has not passed. A write that is torn leaves the position before it.
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
    /// The cursor of one who ships the trail in this directory to `destination`; made where there is none yet.
    ///
    /// # Errors
    /// `is_invalid` where the name has other characters than `a`–`z`, `0`–`9`, `-`, `_` and `.`, or more than 100. `is_storage`
    /// where the file cannot be opened.
    pub fn of_shipper(trail: impl Into<Dir>, destination: &str) -> Result<Self> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if destination.is_empty() || destination.len() > 100 || !destination.bytes().all(is_plain) {
            return Err(Error::invalid(format!(
                "{destination:?} is no name of a destination: 1 to 100 of a-z, 0-9, '-', '_' and '.'"
            )));
        }
        let trail = trail.into();
        // A shipper may be started before the trail is opened for the first time.
        trail
            .create_all()
            .and_then(|()| trail.create_directory(AUDITX_DIR))
            .map_err(|error| Error::storage("cannot create the trail's directory", trail.path(), error))?;
        Self::open(&trail, &format!("{SHIPPER_PREFIX}{destination}"))
    }

    /// The cursor of the follower with this name.
    pub(super) fn open(directory: &Dir, follower: &str) -> Result<Self> {
        let name = format!("{CURSORS}/{follower}");
        let failed = |error| Error::storage("cannot open a follower's cursor", directory.join(&name), error);
        let file = open_file(directory, &name).map_err(failed)?;
        // Not passed over: a cursor taken for a new one would have its follower repeat or miss entries.
        let slots = read_slots(&file).map_err(failed)?;
        let (generation, saved) =
            newest_slot(&slots).map_or((0, None), |(generation, position)| (generation, Some(position)));
        let directory = directory.clone();
        Ok(Self { directory, name, file, generation, saved, position: saved.unwrap_or(0) })
    }

    /// What was saved last; none for a new follower.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.saved
    }

    /// Whether another position than this one was saved last.
    #[must_use]
    pub fn is_behind(&self, position: u64) -> bool {
        self.saved != Some(position)
    }

    /// Moves, without saving.
    pub fn advance(&mut self, position: u64) {
        self.position = position;
    }

    /// Makes the position durable, in a new file where another program removed or replaced the old one. Costs an fdatasync
    /// and a stat.
    ///
    /// # Errors
    /// Where the file cannot be written: what was saved before it stays.
    pub fn save(&mut self) -> io::Result<()> {
        self.follow_name()?;
        let generation = self.generation + 1;
        let mut record = [0; RECORD_LEN];
        record[..8].copy_from_slice(&generation.to_le_bytes());
        record[8..16].copy_from_slice(&self.position.to_le_bytes());
        let crc = crc32c::crc32c(&record[..16]);
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

fn open_file(directory: &Dir, name: &str) -> io::Result<File> {
    directory.create_directory(CURSORS)?;
    let file = directory.open(name, Access::READ_WRITE.or_create())?;
    directory.sync(CURSORS)?;
    Ok(file)
}

/// What a cursor's file says: the sequence number of the line its follower takes next, as last saved. Takes the file's
/// bytes, of which the first [`CURSOR_LEN`] are enough.
#[must_use]
pub fn saved_position(slots: &[u8]) -> Option<u64> {
    newest_slot(slots).map(|(_, position)| position)
}

/// Where those stand who ship the trail in this directory, by destination; 0 where nothing is saved yet.
///
/// # Errors
/// `is_storage` where the cursors cannot be read.
pub fn shipper_positions(trail: impl Into<Dir>) -> Result<Vec<(String, u64)>> {
    let of_shippers = |(name, position): (String, u64)| {
        name.strip_prefix(SHIPPER_PREFIX).map(|destination| (destination.to_owned(), position))
    };
    Ok(saved_positions(&trail.into())?.into_iter().filter_map(of_shippers).collect())
}

/// Removes the cursor of one who ships the trail.
pub(crate) fn remove_shipper(directory: &Dir, destination: &str) -> Result<()> {
    let name = format!("{CURSORS}/{SHIPPER_PREFIX}{destination}");
    directory
        .remove(&name)
        .map_err(|error| Error::storage("cannot remove a cursor", directory.join(&name), error))
}

/// What every cursor of the trail in this directory says, by its follower's name; 0 where it says nothing yet.
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

/// The generation and position of a slot, if it is whole.
fn read_slot(slot: &[u8]) -> Option<(u64, u64)> {
    let (record, _) = slot.split_first_chunk::<RECORD_LEN>()?;
    let number = |range: std::ops::Range<usize>| record[range].try_into().map(u64::from_le_bytes).ok();
    let crc = record[16..].try_into().map(u32::from_le_bytes).ok()?;
    (crc == crc32c::crc32c(&record[..16])).then_some((number(0..8)?, number(8..16)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_cursor_remembers_and_a_torn_slot_costs_only_the_last_step() {
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
