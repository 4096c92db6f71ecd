//! The skip indexes of sealed segments: each signed segment gets its own before it is compressed, or when it is next met
//! without one.
//!
//! An index is a cache. That one cannot be made is counted and told, and nothing waits for it.

use std::collections::HashSet;

use super::Housekeeping;
use super::pace::Paced;
use crate::dir::{Access, Dir};
use crate::error::{Error, Result};
use crate::kill_point::kill_point;
use crate::segment::{SealedSegment, SegmentIndex, open_segment};

/// The segments, by their first lines, whose index need not be looked at again by this process: it is there and right, or cannot be
/// made of what the segment holds, which was told.
#[derive(Debug, Default)]
pub(crate) struct Indexed(HashSet<u64>);

impl Indexed {
    pub(super) fn forget(&mut self, segment: &SealedSegment) {
        self.0.remove(&segment.first_seq);
    }
}

impl Housekeeping {
    /// Makes sure that a segment has its index. False where the disk takes none now: the next round tries again.
    pub(super) fn index(&self, segment: &SealedSegment, indexed: &mut Indexed) -> bool {
        if indexed.0.contains(&segment.first_seq) {
            return true;
        }
        let outcome = if self.has_index(segment) { Ok(()) } else { self.make_index(segment) };
        let trouble = match outcome {
            Ok(()) => None,
            Err(Unindexed::Unreadable(error)) => Some((error, true)),
            Err(Unindexed::Unwritable(error)) => Some((error, false)),
        };
        if let Some((error, _)) = &trouble {
            self.counters.keeping_failures.add(1);
            self.app_log.trouble(&format!("sealed segments: {error}; queries read the whole segment"));
        }
        let is_settled = trouble.is_none_or(|(_, is_hopeless)| is_hopeless);
        if is_settled {
            indexed.0.insert(segment.first_seq);
        }
        is_settled
    }

    /// A damaged index is none, and made anew.
    fn has_index(&self, segment: &SealedSegment) -> bool {
        let Ok(Some(index)) = SegmentIndex::read(&self.directory, segment) else { return false };
        segment.compressed
            || self
                .directory
                .open(segment.name(), Access::READ)
                .map_err(|error| Error::storage("cannot open a sealed segment", &segment.path, error))
                .and_then(|file| index.is_of(&file))
                .unwrap_or(false)
    }

    fn make_index(&self, segment: &SealedSegment) -> Result<(), Unindexed> {
        let index = read_through(&self.directory, segment).map_err(Unindexed::Unreadable)?;
        kill_point("index: made");
        index.write(&self.directory, &*self.storage).map_err(Unindexed::Unwritable)?;
        self.counters.indexed.add(1);
        Ok(())
    }
}

/// Why there is no index.
enum Unindexed {
    /// The segment is not what it should be.
    Unreadable(Error),
    /// The disk refused.
    Unwritable(Error),
}

fn read_through(directory: &Dir, segment: &SealedSegment) -> Result<SegmentIndex> {
    let path = &segment.path;
    let text = open_segment(directory, &segment.name(), segment.compressed)
        .map_err(|error| Error::storage("cannot read a sealed segment", path, error))?;
    let index = SegmentIndex::of(Paced::new(text)).map_err(|error| error.at(path))?;
    if index.first_seq() != segment.first_seq {
        let what = format!("a sealed segment begins with line {}", index.first_seq());
        return Err(Error::corrupt(what).at(path));
    }
    Ok(index)
}
