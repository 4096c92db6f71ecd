//! Uses the index of a sealed segment to rule out its blocks. An index is used only if the trail vouches for
//! it.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use auditx_format::moment::Moment;
use auditx_store::{IndexBlock, IndexKey, SealedSegment, SegmentIndex};

use super::span::Span;
use crate::head::Head;

/// Necessary conditions of the matching entries that an index can check.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) span: Span,
    /// Every match has one of these keys.
    pub(super) keys: Option<Vec<IndexKey>>,
}

/// An extent of a segment: whole lines that form one block of its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extent {
    /// The offset in the segment's decompressed text.
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) state: State,
    /// The seqs of its lines.
    pub(super) seqs: Range<u64>,
    /// CRC-32 of its bytes.
    pub(super) crc: u32,
    /// Whether it may contain a match.
    pub(super) may_match: bool,
}

/// What the index says about the lines of an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Unknown,
    /// All of them were entries when the segment was sealed.
    Readable,
    /// Some are not entries; they are reported as errors.
    Unreadable,
}

/// Returns the extents of an open segment, or `None` if it has no trustworthy index: the trail must record
/// the hash of the index in a signed line, and the segment must still have the beginning, length and end that
/// it had then.
///
/// A segment without one is read completely, and each of its lines is compared with its hash.
pub(super) fn blocks(
    directory: &Path,
    segment: &SealedSegment,
    file: &File,
    head: &Head,
    bounds: Option<&Bounds>,
) -> Option<Vec<Extent>> {
    let index = SegmentIndex::read(directory, segment).ok()??;
    if !head.trusts(&index) || !index.is_of(file, segment.compressed).ok()? {
        return None;
    }
    let mut first_seq = index.first_seq();
    let extent = |block: &IndexBlock| {
        let seqs = first_seq..first_seq + u64::from(block.lines);
        first_seq = seqs.end;
        Extent {
            begin: block.offset,
            end: block.offset + u64::from(block.len),
            state: if block.unreadable == 0 { State::Readable } else { State::Unreadable },
            seqs,
            crc: block.crc,
            may_match: bounds.is_none_or(|bounds| bounds.may_hold(block)),
        }
    };
    Some(index.blocks().iter().map(extent).collect())
}

impl Bounds {
    pub(super) fn is_unbounded(&self) -> bool {
        self.span.is_unbounded() && self.keys.is_none()
    }

    fn may_hold(&self, block: &IndexBlock) -> bool {
        let may_have_key = |keys: &Vec<IndexKey>| keys.iter().any(|key| block.may_hold(*key));
        // Lines that are not entries are reported, regardless of the query.
        block.unreadable > 0
            || block.times.may_hold(self.span.since.map(Moment::micros), self.span.until.map(Moment::micros))
                && self.keys.as_ref().is_none_or(may_have_key)
    }
}
