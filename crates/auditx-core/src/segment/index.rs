//! The skip index of a sealed segment, `.auditx/index/<first seq>.idx`: which stretches of it can hold lines of which time, so
//! that a query for one hour of a month reads one hour.
//!
//! An index says of lines that they are not there, so it must not be believed because it is there. The writer records its
//! SHA-256 in an `indexed` control record of the trail, and the file carries a copy of that line. A reader uses the index
//! only if the hash of that line is in the signed tree. Lines whose time is in doubt may have any time.

mod extent;
mod codec;
mod keys;
mod scan;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::SealedSegment;
use crate::dir::{Access, Dir};
use crate::error::{Error, Result};
use crate::line::{Leaf, leaf_of};
use crate::moment::Moment;
use crate::row::{Field, Row};
use crate::storage::Storage;
use crate::tree::Hash;

pub(crate) use extent::Extent;
pub use keys::IndexKey;
use keys::KeyFilter;

/// Where they are, in the trail's directory.
pub(crate) const INDEX_DIR: &str = ".auditx/index";

/// The longest file that is read: an index of some 25 gigabytes of text.
const MOST_BYTES: u64 = 256 << 20;

/// From the earliest moment to the latest, both included, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeRange {
    /// The smallest timestamp; `i64::MIN` where a time could not be read.
    pub min: i64,
    /// The largest timestamp; `i64::MAX` where a time could not be read.
    pub max: i64,
}

impl TimeRange {
    /// Of lines of which any may have any time.
    pub const UNBOUNDED: Self = Self { min: i64::MIN, max: i64::MAX };

    /// Of no line: everything that is included widens it.
    const NOTHING: Self = Self { min: i64::MAX, max: i64::MIN };

    /// Of an entry; any, where its time cannot be read.
    fn of(row: &Row<'_>) -> Self {
        let time = Moment::parse(&row.text(Field::Timestamp)).map(Moment::micros);
        time.map_or(Self::UNBOUNDED, |time| Self { min: time, max: time })
    }

    fn include(&mut self, other: Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    fn is_valid(self) -> bool {
        let is_half_open = (self.min == i64::MIN) != (self.max == i64::MAX);
        self.min <= self.max && !is_half_open
    }

    /// Whether a line from `since` on and before `until` may be among them; a limit that is none is no limit.
    #[must_use]
    pub fn may_hold(self, since: Option<i64>, until: Option<i64>) -> bool {
        self == Self::UNBOUNDED
            || since.is_none_or(|since| self.max >= since) && until.is_none_or(|until| self.min < until)
    }
}

/// A stretch of whole lines of a segment, about 256 KiB of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexBlock {
    /// Where it begins in the segment's plain text, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u32,
    /// How many lines it has; at least one.
    pub lines: u32,
    /// When its lines were recorded, as they say.
    pub times: TimeRange,
    /// CRC-32 (IEEE) of its bytes.
    pub crc: u32,
    /// How many of its lines are no entries. Nothing is known of what they hold.
    pub unreadable: u32,
    /// What identifies its entries.
    keys: KeyFilter,
}

impl IndexBlock {
    /// Whether a line of it may be an entry with this value.
    #[must_use]
    pub fn may_hold(&self, key: IndexKey) -> bool {
        self.unreadable > 0 || self.keys.may_hold(key.0)
    }
}

/// Which block of a sealed segment holds lines of which time.
///
/// ```
/// use auditx_core::SegmentIndex;
///
/// let text = "{\"seq\":7,\"timestamp\":\"2026-11-24T15:24:54.000001Z\"}\n";
/// let index = SegmentIndex::of(text.as_bytes())?;
/// assert_eq!((index.first_seq(), index.lines(), index.text_len()), (7, 1, text.len() as u64));
/// assert_eq!(index.times().min, 1_795_533_894_000_001);
/// assert!(!index.blocks()[0].times.may_hold(Some(1_795_533_894_000_002), None));
/// # Ok::<(), auditx_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentIndex {
    extent: Extent,
    times: TimeRange,
    blocks: Vec<IndexBlock>,
    /// The line of the trail that names this index; empty before it was recorded.
    record: Vec<u8>,
}

impl SegmentIndex {
    /// The index of this segment in the trail's directory; none where there is none. Files of any owner are read: an auditor
    /// reads what a service wrote.
    ///
    /// That it is the index that the writer made is for the caller to check: the hash of its [`SegmentIndex::record`] must
    /// be in the signed tree. Costs reading the file and one SHA-256 of it.
    ///
    /// # Errors
    /// `is_corrupt` where it is damaged or of another segment, `is_storage` where it cannot be read. Read the whole segment
    /// then, as where there is none; the next process that opens the trail makes it anew.
    pub fn read(directory: impl Into<Dir>, segment: &SealedSegment) -> Result<Option<Self>> {
        let (directory, name) = (directory.into(), name_of(segment.first_seq));
        let path = directory.join(&name);
        let failed = |error| Error::storage("cannot read the index of a segment", &path, error);
        let file = match directory.open_foreign(name, Access::READ) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let len = file.metadata().map_err(failed)?.len().min(MOST_BYTES);
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        let index = Self::decode(&bytes).map_err(|error| error.at(&path))?;
        if index.first_seq() != segment.first_seq {
            let what =
                format!("this is the index of the segment that begins with line {}", index.first_seq());
            return Err(Error::corrupt(what).at(&path));
        }
        Ok(Some(index))
    }

    /// Whether a segment still has the beginning, the length and the end that it had when this was made: for a plain
    /// segment its first number, its length and its last line, for a compressed one the checksum of its text, which is the
    /// end of the file. Everything that the library itself does to a segment changes one of them. Costs two small reads and
    /// at most one SHA-256 of a line, whatever the segment's size.
    ///
    /// # Errors
    /// `is_storage` if the file cannot be read.
    pub fn is_of(&self, file: &File, compressed: bool) -> Result<bool> {
        self.extent.is_of(file, compressed).map_err(|error| {
            let name = super::sealed_name(self.first_seq());
            Error::storage("cannot compare a segment with its index", name, error)
        })
    }

    /// The sequence number of the segment's first line; those of the others follow without a gap.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.extent.first_seq
    }

    /// How many lines it has; at least one.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.extent.lines
    }

    /// Bytes of its plain text.
    #[must_use]
    pub fn text_len(&self) -> u64 {
        self.extent.text_len
    }

    /// The leaf of the control record in the trail that names this index by its hash; `None` if it was not recorded.
    #[must_use]
    pub fn record(&self) -> Option<Leaf> {
        leaf_of(&self.record)
    }

    /// What its last line is in the tree.
    #[must_use]
    pub fn last_leaf(&self) -> &Hash {
        &self.extent.last_leaf
    }

    /// When its lines were recorded, as they say.
    #[must_use]
    pub fn times(&self) -> TimeRange {
        self.times
    }

    /// The whole text, in order, without a gap.
    #[must_use]
    pub fn blocks(&self) -> &[IndexBlock] {
        &self.blocks
    }

    /// Names the line of the trail that names this index.
    pub(crate) fn name_record(&mut self, line: Vec<u8>) {
        self.record = line;
    }

    /// Puts it in its place: afterwards it survives a power loss, and at no moment half of it is there.
    ///
    /// # Errors
    /// `is_storage` where the disk refused.
    pub(crate) fn write(&self, directory: &Dir, storage: &dyn Storage) -> Result<()> {
        let name = name_of(self.first_seq());
        directory
            .create_directory(INDEX_DIR)
            .and_then(|()| storage.replace(directory, &name, &self.encode()))
            .map_err(|error| {
                Error::storage("cannot write the index of a segment", directory.join(&name), error)
            })
    }
}

fn read_range(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Removes the index of the segment that begins with this line, for good: a power loss does not bring it back.
///
/// # Errors
/// `is_storage` where the disk refused.
pub(crate) fn remove(directory: &Dir, first_seq: u64) -> Result<()> {
    let name = name_of(first_seq);
    match directory.remove(&name) {
        Ok(()) => directory.sync(INDEX_DIR),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
    .map_err(|error| Error::storage("cannot remove the index of a segment", directory.join(&name), error))
}

/// Removes all of them: those of a trail whose place another one takes.
///
/// # Errors
/// `is_storage` where the disk refused.
pub(crate) fn remove_all(directory: &Dir) -> Result<()> {
    directory.remove_directory(INDEX_DIR).map_err(|error| {
        Error::storage("cannot remove the indexes of segments", directory.join(INDEX_DIR), error)
    })
}

fn name_of(first_seq: u64) -> String {
    format!("{INDEX_DIR}/{first_seq:020}.idx")
}

#[cfg(test)]
mod tests;
