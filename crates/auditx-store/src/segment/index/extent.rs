//! The header of an index: the extent of its segment, readable without the rest of either file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use auditx_tlog::{Hash, LONGEST_SEQ, leaf_of, parse_seq};

use super::codec::{HEADER_LEN, extent_in};
use super::{SealedSegment, name_of, read_range};
use crate::dir::{Access, Dir};
use crate::segment::last_line;

/// What an index states about its segment as a whole, unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) first_seq: u64,
    pub(crate) lines: u64,
    pub(crate) text_len: u64,
    pub(crate) text_hash: u64,
    pub(crate) last_leaf: Hash,
}

impl Extent {
    /// Reads the header of the segment's index. `None` if there is no index of this version. Costs one small
    /// read.
    pub(crate) fn read(directory: &Dir, segment: &SealedSegment) -> Option<Self> {
        let file = directory.open_foreign(name_of(segment.first_seq), Access::READ).ok()?;
        let mut header = [0; HEADER_LEN];
        file.read_exact_at(&mut header, 0).ok()?;
        extent_in(&header).filter(|extent| {
            extent.first_seq == segment.first_seq && extent.first_seq.checked_add(extent.lines).is_some()
        })
    }

    /// Returns whether a segment has the stated beginning, length and end.
    pub(crate) fn is_of(&self, file: &File, compressed: bool) -> io::Result<bool> {
        if compressed { self.is_of_compressed(file) } else { self.is_of_plain(file) }
    }

    /// A Zstandard frame ends with the lower half of XXH64 of its text (RFC 8878, section 3.1.1).
    fn is_of_compressed(&self, file: &File) -> io::Result<bool> {
        let Some(end) = file.metadata()?.len().checked_sub(4) else { return Ok(false) };
        let mut checksum = [0; 4];
        file.read_exact_at(&mut checksum, end)?;
        Ok(checksum == self.text_hash.to_le_bytes()[..4])
    }

    fn is_of_plain(&self, plain: &File) -> io::Result<bool> {
        let len = plain.metadata()?.len();
        if len != self.text_len {
            return Ok(false);
        }
        let head = read_range(plain, 0, len.min(LONGEST_SEQ as u64))?;
        Ok(parse_seq(&head) == Some(self.first_seq)
            && leaf_of(&last_line(plain)?).is_some_and(|leaf| leaf.hash == self.last_leaf))
    }
}
