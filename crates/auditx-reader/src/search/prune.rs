//! What the index of a sealed segment says need not be read. Whatever is in doubt is read.

use std::fs::File;
use std::path::Path;

use auditx_core::{IndexBlock, IndexKey, Moment, SealedSegment, SegmentIndex};

use super::span::Span;
use crate::file::Place;

/// Bounds that every wanted entry keeps.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) span: Span,
    /// Every wanted entry has one of these values.
    pub(super) keys: Option<Vec<IndexKey>>,
}

/// A stretch of a segment that must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) state: State,
}

/// What is known of the lines of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Unknown,
    /// All of them were entries when the segment was sealed.
    Readable,
    /// Some are none, and are to be told.
    Unreadable,
}

impl Bounds {
    pub(super) fn are_none(&self) -> bool {
        self.span.is_everything() && self.keys.is_none()
    }

    /// The stretches of an open segment that must be read; none where that is the whole segment.
    pub(super) fn stretches(
        &self,
        directory: &Path,
        segment: &SealedSegment,
        file: &File,
    ) -> Option<Vec<Stretch>> {
        // A damaged index is none: the segment itself has the answer.
        let index = SegmentIndex::read(directory, segment).ok()??;
        let is_of_it = if segment.compressed {
            // An erasure removes the index before it replaces the segment: the same file still has its name.
            let place = file.metadata().ok().map(|metadata| Place::of(&metadata));
            place.is_some() && place == Place::named(&segment.path)
        } else {
            index.is_of(file).ok()?
        };
        is_of_it.then(|| index.blocks().iter().filter(|block| self.may_hold(block)).map(stretch_of).collect())
    }

    fn may_hold(&self, block: &IndexBlock) -> bool {
        let may_have_key = |keys: &Vec<IndexKey>| keys.iter().any(|key| block.may_hold(*key));
        // Lines that are no entries are told, whatever is wanted.
        block.unreadable > 0
            || block.times.may_hold(self.span.since.map(Moment::micros), self.span.until.map(Moment::micros))
                && self.keys.as_ref().is_none_or(may_have_key)
    }
}

fn stretch_of(block: &IndexBlock) -> Stretch {
    let state = if block.unreadable == 0 { State::Readable } else { State::Unreadable };
    Stretch { begin: block.offset, end: block.offset + u64::from(block.len), state }
}
