//! What the index of a sealed segment says of its blocks. Only an index that the trail vouches for is asked.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use auditx_core::{IndexBlock, IndexKey, Moment, SealedSegment, SegmentIndex};

use super::span::Span;
use crate::head::Head;

/// Bounds that every wanted entry keeps.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) span: Span,
    /// Every wanted entry has one of these values.
    pub(super) keys: Option<Vec<IndexKey>>,
}

/// A block of a segment: whole lines that the index describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Where it begins in the segment's plain text.
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) state: State,
    /// The numbers of its lines.
    pub(super) seqs: Range<u64>,
    /// CRC-32 of its bytes.
    pub(super) crc: u32,
    /// Whether a wanted entry may be in it.
    pub(super) is_wanted: bool,
}

/// What is known of the lines of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Unknown,
    /// All of them were entries when the segment was sealed.
    Readable,
    /// Some are not, and are reported.
    Unreadable,
}

/// The blocks of an open segment, if it has an index that may be believed: the trail records the hash of the index in a
/// signed line, and the segment still has the beginning, the length and the end that it had then.
///
/// Without one the segment is read whole, and each line compared with its hash.
pub(super) fn blocks(
    directory: &Path,
    segment: &SealedSegment,
    file: &File,
    head: &Head,
    bounds: Option<&Bounds>,
) -> Option<Vec<Stretch>> {
    let index = SegmentIndex::read(directory, segment).ok()??;
    if !head.believes(&index) || !index.is_of(file, segment.compressed).ok()? {
        return None;
    }
    let mut first_seq = index.first_seq();
    let stretch = |block: &IndexBlock| {
        let seqs = first_seq..first_seq + u64::from(block.lines);
        first_seq = seqs.end;
        Stretch {
            begin: block.offset,
            end: block.offset + u64::from(block.len),
            state: if block.unreadable == 0 { State::Readable } else { State::Unreadable },
            seqs,
            crc: block.crc,
            is_wanted: bounds.is_none_or(|bounds| bounds.may_hold(block)),
        }
    };
    Some(index.blocks().iter().map(stretch).collect())
}

impl Bounds {
    pub(super) fn are_none(&self) -> bool {
        self.span.is_everything() && self.keys.is_none()
    }

    fn may_hold(&self, block: &IndexBlock) -> bool {
        let may_have_key = |keys: &Vec<IndexKey>| keys.iter().any(|key| block.may_hold(*key));
        // Lines that are not entries are reported, whatever is wanted.
        block.unreadable > 0
            || block.times.may_hold(self.span.since.map(Moment::micros), self.span.until.map(Moment::micros))
                && self.keys.as_ref().is_none_or(may_have_key)
    }
}
