//! Finds the first wrong line of a trail that differs from what was signed, by reading all lines again in
//! order.
//!
//! This runs on one thread, since only broken trails need it. Each line is compared with the tile cache if
//! the cache leads to the signed root; otherwise only the sequence numbers can be checked.

use std::io::Seek;

use auditx_tlog::{Hash, MAX_LINE, leaf_of};

use super::classify::{Classifier, Seen, hash_as};
use super::fault::{Fault, FaultKind};
use super::files::{Opened, SegmentFile};
use super::leaf_cache::LeafCache;
use crate::error::{Error, Result};
use crate::segment::Segment;

/// How many lines ahead to search for a line that inserted lines displaced.
pub(super) const AHEAD: usize = 16;

/// What the search needs to know about the trail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Localiser<'a> {
    pub(super) files: &'a [SegmentFile],
    /// The tile cache, if it leads to the signed root.
    pub(super) leaf_cache: Option<&'a LeafCache>,
    pub(super) signed: u64,
    /// Lines from here on cannot be read.
    pub(super) until: Option<u64>,
}

impl Localiser<'_> {
    /// The signed hash of this line; `None` if it is not known.
    pub(super) fn known(&self, seq: u64) -> Option<Hash> {
        self.leaf_cache.filter(|_| seq < self.signed)?.hash(seq)
    }

    /// Returns the first line that is not the expected one; `None` if no wrong line can be found.
    ///
    /// # Errors
    /// `is_storage` if a file cannot be read.
    pub(super) fn first_fault(&self) -> Result<Option<Fault>> {
        let mut expected = self.beginning()?;
        let mut stream = Stream::new(self.files);
        let mut previous = None;
        while let Some(seen) = stream.next()? {
            let at = expected;
            if self.until.is_some_and(|until| at >= until) {
                return Ok(None);
            }
            if seen.is_torn {
                break;
            }
            if !self.is_right(&seen, at) {
                let mut ahead = Vec::new();
                while ahead.len() < AHEAD
                    && let Some(next) = stream.next()?
                {
                    ahead.push(next);
                }
                let classifier = Classifier {
                    localiser: self,
                    at,
                    seen: &seen,
                    previous: previous.as_ref(),
                    ahead: &ahead,
                };
                return Ok(Some(classifier.fault()));
            }
            expected = at + 1;
            previous = Some(seen);
        }
        let end = expected;
        if end >= self.signed || self.until.is_some() {
            return Ok(None);
        }
        let message =
            format!("the trail ends before line {end}, but its checkpoint names {} lines", self.signed);
        let fault = Fault::new(FaultKind::Truncated, message).at(end);
        Ok(Some(match stream.end() {
            Some((segment, offset)) => fault.within(segment, offset),
            None => fault,
        }))
    }

    /// The number of the first line that the trail must have.
    fn beginning(&self) -> Result<u64> {
        let mut stream = Stream::new(self.files);
        let Some(first) = stream.next()? else { return Ok(0) };
        let (named, Some(number)) = (first.named, first.number) else {
            return Ok(first.named.unwrap_or(0));
        };
        if let Some(named) = named {
            return Ok(named.min(number));
        }
        let second = stream.next()?.filter(|second| second.line != first.line);
        // If the number was altered, the next line shows what it was.
        let before = second.and_then(|second| second.number).map(|following| following.saturating_sub(1));
        let was = |seq: u64| self.known(seq).is_some_and(|known| hash_as(&first.line, seq) == Some(known));
        Ok(match before {
            Some(before) if !was(number) && (was(before) || number > before) => before,
            _ => number,
        })
    }

    fn is_right(&self, seen: &Seen, at: u64) -> bool {
        // The largest number has no successor, so no writer uses it.
        seen.is_whole
            && at < u64::MAX
            && seen.number == Some(at)
            && seen.named.is_none_or(|named| named == at)
            && seen.line.len() < MAX_LINE
            && self.known(at).is_none_or(|known| leaf_of(&seen.line).is_some_and(|leaf| leaf.hash == known))
    }
}

/// The lines of all segments.
struct Stream<'a> {
    files: &'a [SegmentFile],
    next: usize,
    open: Option<Segment>,
}

impl<'a> Stream<'a> {
    fn new(files: &'a [SegmentFile]) -> Self {
        Self { files, next: 0, open: None }
    }

    fn next(&mut self) -> Result<Option<Seen>> {
        loop {
            if self.open.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(segment) = &mut self.open else { return Ok(None) };
            let file = &self.files[self.next - 1];
            let is_first = segment.offset() == 0;
            let (line, is_whole) = match segment.next_line() {
                Ok(Some(line)) => (line, true),
                Ok(None) => match segment.take_unfinished_line() {
                    Some(line) => (line, false),
                    None if self.next == self.files.len() => return Ok(None),
                    None => {
                        self.open = None;
                        continue;
                    }
                },
                // The first pass reported the damage.
                Err(error) if error.is_corrupt() => return Ok(None),
                Err(error) => return Err(error),
            };
            return Ok(Some(Seen {
                number: auditx_tlog::parse_seq(line.bytes()),
                segment: self.next - 1,
                name: file.name(),
                offset: line.offset(),
                named: file.named().filter(|_| is_first),
                is_first,
                is_whole,
                is_torn: !is_whole && file.is_active(),
                line: line.bytes().to_vec(),
            }));
        }
    }

    fn open_next(&mut self) -> Result<bool> {
        let Some(file) = self.files.get(self.next) else { return Ok(false) };
        let failed = |error| Error::storage("cannot read the segment", file.path(), error);
        self.open = match file.open()? {
            Opened::Plain(opened, _) => {
                let mut opened = opened.try_clone().map_err(failed)?;
                opened.rewind().map_err(failed)?;
                Some(Segment::plain(file.path(), opened))
            }
            Opened::Compressed(opened) => Some(Segment::compressed(file.path(), opened)?),
            Opened::Vanished | Opened::Refused(_) => None,
        };
        self.next += 1;
        Ok(self.open.is_some())
    }

    /// The segment and offset where the last line ended.
    fn end(&self) -> Option<(String, u64)> {
        let segment = self.open.as_ref()?;
        Some((self.files[self.next - 1].name(), segment.offset() - segment.unfinished()))
    }
}
