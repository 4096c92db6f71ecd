//! Makes the skip indexes of sealed segments: each signed segment gets its index before it is compressed, or
//! when it is next found without one.
//!
//! The trail records the hash of each index in an `indexed` record before the index gets its name: readers
//! trust no other one. A failure is counted and reported in app.log, and nothing waits for an index.

use std::collections::HashMap;

use auditx_format::control_record::ControlRecord;
use auditx_format::{Error, Result};

use super::Housekeeping;
use super::pace::Paced;
use crate::dir::Access;
use crate::kill_point::kill_point;
use crate::segment::{SealedSegment, SegmentIndex, line_at, open_segment};
use crate::tiles::Tiles;

/// What this process knows of segments' indexes, by the seq of their first lines.
#[derive(Debug, Default)]
pub(crate) struct Indexed(HashMap<u64, State>);

/// What is known of a segment's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It exists and is right.
    Indexed,
    /// The segment does not hold the recorded lines, which app.log reports. It is left as it is.
    Altered,
    /// The disk takes no index now: the next round tries again.
    Refused,
}

impl Indexed {
    pub(super) fn state(&self, segment: &SealedSegment) -> Option<State> {
        self.0.get(&segment.first_seq).copied()
    }

    pub(super) fn forget(&mut self, segment: &SealedSegment) {
        self.0.remove(&segment.first_seq);
    }
}

impl Housekeeping {
    /// Makes sure that a segment has its index.
    pub(super) fn index(&self, segment: &SealedSegment, indexed: &mut Indexed) -> State {
        if let Some(state) = indexed.state(segment) {
            return state;
        }
        let tiles = Tiles::open(&self.trail.directory);
        let outcome = if self.has_index(segment, &tiles) { Ok(()) } else { self.make_index(segment, &tiles) };
        let (state, error) = match outcome {
            Ok(()) => (State::Indexed, None),
            Err(Unindexed::Unreadable(error)) => (State::Altered, Some(error)),
            Err(Unindexed::Unwritable(error)) => (State::Refused, Some(error)),
        };
        if let Some(error) = error {
            self.report("sealed segments: queries read the whole segment", &error);
        }
        if state != State::Refused {
            indexed.0.insert(segment.first_seq, state);
        }
        state
    }

    /// Whether the segment has a valid index. One that is damaged, of another text or not recorded is made
    /// again.
    fn has_index(&self, segment: &SealedSegment, tiles: &Tiles) -> bool {
        let Ok(Some(index)) = SegmentIndex::read(&self.trail.directory, segment) else { return false };
        index.record().is_some_and(|record| tiles.holds(record))
            && self
                .trail
                .directory
                .open(segment.name(), Access::READ)
                .is_ok_and(|file| index.is_of(&file, segment.compressed).unwrap_or(false))
    }

    fn make_index(&self, segment: &SealedSegment, tiles: &Tiles) -> Result<(), Unindexed> {
        let mut index = self.read_through(segment, tiles).map_err(Unindexed::Unreadable)?;
        kill_point("index: made");
        let record = ControlRecord::Indexed { first_seq: segment.first_seq, sha256: index.digest() };
        self.appender
            .push_control_record(&record)
            .and_then(|seq| line_at(&self.trail.directory, seq))
            .map(|line| index.set_record(line))
            .and_then(|()| index.write(&self.trail.directory, &*self.trail.storage))
            .map_err(Unindexed::Unwritable)?;
        self.trail.counters.indexed.add(1);
        Ok(())
    }

    fn read_through(&self, segment: &SealedSegment, tiles: &Tiles) -> Result<SegmentIndex> {
        let path = &segment.path;
        let open = || {
            open_segment(&self.trail.directory, &segment.name(), segment.compressed)
                .map(|text| Paced::new(text, &self.pace))
                .map_err(|error| Error::storage("cannot read a sealed segment", path, error))
        };
        if let Some(written) = self.trail.registry.fingerprint(segment.first_seq)
            && let Ok((index, found)) = SegmentIndex::with_fingerprint(open()?)
            && found == written
        {
            return Ok(index);
        }
        // Another process wrote it, or it was changed since: by an erasure, a restoration, or another
        // program.
        let index = SegmentIndex::of_signed(open()?, tiles).map_err(|error| error.at(path))?;
        if index.first_seq() != segment.first_seq {
            let what = format!("a sealed segment begins with line {}", index.first_seq());
            return Err(Error::corrupt(what).at(path));
        }
        Ok(index)
    }
}

/// Why there is no index.
enum Unindexed {
    /// The segment is not what it should be.
    Unreadable(Error),
    /// The disk refused it.
    Unwritable(Error),
}
