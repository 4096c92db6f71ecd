//! The skip index of a sealed segment, `.auditx/index/<first seq>.idx`. It states which blocks of the segment
//! can contain lines of a given time, so that a query for one hour of a month reads one hour.
//!
//! An index claims that lines are absent, so its mere existence must not be trusted. The writer records its
//! SHA-256 in an `indexed` control record of the trail, and the file carries a copy of that line. A reader
//! uses the index only if the leaf hash of that line is in the signed tree. Lines whose time is unknown are
//! treated as having any time.

mod extent;
mod codec;
mod keys;
mod scan;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use auditx_format::moment::Moment;
use auditx_format::row::Row;
use auditx_format::{Error, Result};
use auditx_tlog::{Hash, Leaf, leaf_of};

use super::SealedSegment;
use crate::dir::{Access, Dir};
use crate::storage::Storage;

pub(crate) use extent::Extent;
pub use keys::IndexKey;
use keys::KeyFilter;

/// The directory of the indexes, relative to the trail's directory.
pub(crate) const INDEX_DIR: &str = ".auditx/index";

/// The largest index file that is read, enough for some 25 gigabytes of text.
const MAX_BYTES: u64 = 256 << 20;

/// The earliest and the latest time of some lines, both inclusive, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeRange {
    /// The smallest timestamp; `i64::MIN` if a time could not be read.
    pub min: i64,
    /// The largest timestamp; `i64::MAX` if a time could not be read.
    pub max: i64,
}

impl TimeRange {
    /// The range of lines that may have any time.
    pub const UNBOUNDED: Self = Self { min: i64::MIN, max: i64::MAX };

    /// The range of no lines. Including any range yields that range.
    const EMPTY: Self = Self { min: i64::MAX, max: i64::MIN };

    /// Returns the range of one entry; unbounded if its time cannot be read.
    fn of(row: &Row<'_>) -> Self {
        let time = row.moment().map(Moment::micros);
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

    /// Returns whether the range may contain a time at or after `since` and before `until`. `None` means no
    /// limit.
    #[must_use]
    pub fn may_hold(self, since: Option<i64>, until: Option<i64>) -> bool {
        self == Self::UNBOUNDED
            || since.is_none_or(|since| self.max >= since) && until.is_none_or(|until| self.min < until)
    }
}

/// A block of whole lines of a segment, about 256 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexBlock {
    /// Its byte offset in the uncompressed text of the segment.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u32,
    /// The number of its lines, at least one.
    pub lines: u32,
    /// The range of its lines' timestamps.
    pub times: TimeRange,
    /// CRC-32 (IEEE) of its bytes.
    pub crc: u32,
    /// The number of its lines that are not entries. Their contents are unknown.
    pub unreadable: u32,
    /// The filter of its entries' identifying values.
    keys: KeyFilter,
}

impl IndexBlock {
    /// Returns whether a line of the block may be an entry with this value.
    #[must_use]
    pub fn may_hold(&self, key: IndexKey) -> bool {
        self.unreadable > 0 || self.keys.may_hold(key.0)
    }
}

/// Maps times and identifying values to the blocks of a sealed segment.
///
/// ```
/// use auditx_core::store::SegmentIndex;
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
    /// The `indexed` control record of this index; empty until it is recorded.
    record: Vec<u8>,
}

impl SegmentIndex {
    /// Reads the index of this segment, or returns `None` if there is none. The file may have any owner,
    /// since an auditor reads what a service wrote.
    ///
    /// The caller must check that the writer made this index: the leaf hash of its [`SegmentIndex::record`]
    /// must be in the signed tree. Costs reading the file and one SHA-256 of it.
    ///
    /// # Errors
    /// `is_corrupt` if it is damaged or belongs to another segment; `is_storage` if it cannot be read. In
    /// both cases, read the whole segment, as without an index. The next process that opens the trail
    /// rebuilds it.
    pub fn read(directory: impl Into<Dir>, segment: &SealedSegment) -> Result<Option<Self>> {
        let (directory, name) = (directory.into(), name_of(segment.first_seq));
        let path = directory.join(&name);
        let failed = |error| Error::storage("cannot read the index of a segment", &path, error);
        let file = match directory.open_foreign(name, Access::READ) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let len = file.metadata().map_err(failed)?.len().min(MAX_BYTES);
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        let index = Self::decode(&bytes).map_err(|error| error.at(&path))?;
        if index.first_seq() != segment.first_seq {
            let what =
                format!("the file is the index of the segment that begins with line {}", index.first_seq());
            return Err(Error::corrupt(what).at(&path));
        }
        Ok(Some(index))
    }

    /// Returns whether a segment still has the beginning, the length and the end that it had when the index
    /// was made. A plain segment is compared by its first sequence number, its length and its last line; a
    /// compressed one by the checksum of its text at the end of the file. Every change that the library
    /// itself makes to a segment alters one of them. Costs two small reads and at most one SHA-256 of a line,
    /// regardless of the segment's size.
    ///
    /// # Errors
    /// `is_storage` if the file cannot be read.
    pub fn is_of(&self, file: &File, compressed: bool) -> Result<bool> {
        self.extent.is_of(file, compressed).map_err(|error| {
            let name = super::sealed_name(self.first_seq());
            Error::storage("cannot compare a segment with its index", name, error)
        })
    }

    /// Returns the sequence number of the segment's first line. The following lines have consecutive numbers.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.extent.first_seq
    }

    /// Returns the number of lines of the segment, at least one.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.extent.lines
    }

    /// Returns the length of the segment's uncompressed text in bytes.
    #[must_use]
    pub fn text_len(&self) -> u64 {
        self.extent.text_len
    }

    /// Returns the leaf of the control record that contains the hash of this index; `None` if it is not
    /// recorded yet.
    #[must_use]
    pub fn record(&self) -> Option<Leaf> {
        leaf_of(&self.record)
    }

    /// Returns the leaf hash of the segment's last line.
    #[must_use]
    pub fn last_leaf(&self) -> &Hash {
        &self.extent.last_leaf
    }

    /// Returns the range of the lines' timestamps.
    #[must_use]
    pub fn times(&self) -> TimeRange {
        self.times
    }

    /// Returns the blocks in order. They cover the whole text without a gap.
    #[must_use]
    pub fn blocks(&self) -> &[IndexBlock] {
        &self.blocks
    }

    /// Stores the `indexed` control record of this index.
    pub(crate) fn set_record(&mut self, line: Vec<u8>) {
        self.record = line;
    }

    /// Writes the index file durably and atomically.
    ///
    /// # Errors
    /// `is_storage` if a file cannot be written or removed.
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

/// Removes the index of the segment that begins with this line, durably.
///
/// # Errors
/// `is_storage` if a file cannot be written or removed.
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

/// Removes all indexes, those of a trail that is being replaced.
///
/// # Errors
/// `is_storage` if a file cannot be written or removed.
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
