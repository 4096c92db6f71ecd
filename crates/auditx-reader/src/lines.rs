//! The lines of a trail in order, across its segments, and new ones as they come.
//!
//! What goes out is every line once, as it stands on disk; whether it is an entry is the line's own matter. A segment
//! that cannot be read is an error once, and reading goes on with the next.

use std::collections::VecDeque;
use std::path::PathBuf;

use auditx_core::SealedSegment;

use crate::backwards;
use crate::error::Result;
use crate::file::{self, Place};
use crate::line::Line;
use crate::listing::{Listing, active_path};
use crate::segment::Segment;

/// Lines of a trail, oldest first.
///
/// It is an iterator, and one that may be asked again after it gave none: that is how a trail is followed, across
/// seals, from whatever process it is written.
///
/// ```
/// use auditx_core::{AuditLogger, Config};
/// use auditx_reader::Lines;
/// # let directory = tempfile::tempdir()?;
/// # let log_dir = directory.path();
///
/// let logger = AuditLogger::open(Config::new(log_dir))?;
/// let mut lines = Lines::last(log_dir, 0)?;
/// assert!(lines.next().is_none(), "nothing new");
/// logger.log("Stock counted").record()?.wait_durable()?;
/// let line = lines.next().expect("it was recorded")?;
/// assert_eq!((line.seq(), line.parse()?.description.as_str()), (Some(2), "Stock counted"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lines {
    directory: PathBuf,
    /// To be read before all segments.
    legacy: VecDeque<PathBuf>,
    /// To be read before the active segment.
    sealed: VecDeque<SealedSegment>,
    /// To be read after them.
    active: Option<Result<Segment>>,
    open: Option<Open>,
    /// The sealed segments up to the one with this first line are behind us, or in `sealed`.
    passed: Option<u64>,
    /// The segment read last that was the active one: its first line's number, and how far it was read.
    left: Option<(u64, u64)>,
    /// The number of the line given out last.
    last_seq: Option<u64>,
    has_ended: bool,
}

struct Open {
    segment: Segment,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It grows; its place tells whether it has been sealed since.
    Active(Option<Place>),
    /// It was the active one, and is read once more to its end.
    JustSealed,
    Sealed,
}

/// Bytes after the last newline of the active segment: a line being written, or one whose writer was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Where it begins.
    pub offset: u64,
    /// How long it is so far.
    pub bytes: u64,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines")
            .field("directory", &self.directory)
            .field("last_seq", &self.last_seq)
            .finish_non_exhaustive()
    }
}

impl Lines {
    /// From the oldest line there is.
    ///
    /// # Errors
    /// `is_missing` where there is no such directory, `is_storage` where it cannot be listed.
    pub fn all(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let listing = Listing::of(&directory)?;
        Ok(Self::from_listing(directory, listing, None))
    }

    /// From the last `count` lines; with 0, those that come after now.
    ///
    /// They are found from the end. Costs a look at the directory and reading about `count` lines, but never less than
    /// decompressing the youngest segment that must be read and is compressed.
    ///
    /// # Errors
    /// As [`Lines::all`].
    pub fn last(directory: impl Into<PathBuf>, count: u64) -> Result<Self> {
        let directory = directory.into();
        let mut listing = Listing::of(&directory)?;
        // With 0 lines wanted every sealed segment is behind us.
        let newest = listing.sealed.back().map(|sealed| sealed.first_seq);
        let first = backwards::cut_to_last(&mut listing, count)?;
        let mut lines = Self::from_listing(directory, listing, first);
        lines.passed = newest;
        Ok(lines)
    }

    fn from_listing(directory: PathBuf, listing: Listing, first: Option<Segment>) -> Self {
        Self {
            directory,
            legacy: listing.legacy,
            passed: listing.sealed.back().map(|sealed| sealed.first_seq),
            sealed: listing.sealed,
            active: listing.active,
            open: first.map(|segment| Open { segment, state: State::Sealed }),
            left: None,
            last_seq: None,
            has_ended: false,
        }
    }

    /// What stands after the last newline, once there was no further line.
    #[must_use]
    pub fn unfinished(&self) -> Option<Unfinished> {
        let segment = &self.open.as_ref()?.segment;
        let bytes = segment.unfinished();
        (bytes > 0).then(|| Unfinished { offset: segment.offset(), bytes })
    }

    /// The active segment's path: what [`Lines::unfinished`] is about.
    #[must_use]
    pub fn active_path(&self) -> PathBuf {
        active_path(&self.directory)
    }

    /// The next whole line, or none for now.
    ///
    /// # Errors
    /// `is_refused`, `is_corrupt` or `is_storage` where a segment cannot be read. Where it is a sealed one, the next call
    /// goes on with the segment after it; else there are no more lines.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        while !self.has_ended {
            if self.open.is_none() && !self.open_next()? {
                break;
            }
            let Some(open) = &mut self.open else { break };
            match open.segment.next_line() {
                Ok(Some(line)) => {
                    self.last_seq = line.seq().or(self.last_seq);
                    return Ok(Some(line));
                }
                Ok(None) => {
                    if let State::Active(place) = open.state {
                        if place == Place::named(&active_path(&self.directory)) {
                            break;
                        }
                        // It was sealed: what was written before that is read, then it is left.
                        open.state = State::JustSealed;
                        continue;
                    }
                    let rest = open.segment.rest();
                    self.leave();
                    if rest.is_some() {
                        return Ok(rest);
                    }
                }
                Err(error) => {
                    self.has_ended = open.state != State::Sealed;
                    self.leave();
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    fn leave(&mut self) {
        let Some(Open { segment, state }) = self.open.take() else { return };
        if state != State::Sealed {
            let first_seq = segment.first_seq().or(self.last_seq);
            self.passed = self.passed.max(first_seq);
            self.left = first_seq.map(|first_seq| (first_seq, segment.offset()));
        }
    }

    /// Opens the next segment; false where there is none yet.
    fn open_next(&mut self) -> Result<bool> {
        loop {
            if let Some(path) = self.legacy.pop_front() {
                let Some(file) = file::open(&path)? else { continue };
                self.open = Some(Open { segment: Segment::plain(&path, file), state: State::Sealed });
                return Ok(true);
            }
            if let Some(sealed) = self.sealed.pop_front() {
                // None: it was retired since it was listed.
                let Some(segment) = Segment::open_sealed(&sealed)? else { continue };
                self.open = Some(Open { segment, state: State::Sealed });
                return Ok(true);
            }
            if let Some(active) = self.active.take() {
                let mut segment = self.ending(active)?;
                if let Some((first_seq, offset)) = self.left
                    && segment.first_seq() == Some(first_seq)
                {
                    // A writer that could not begin a new segment took its seal back.
                    segment.seek(offset)?;
                }
                self.open = Some(Open { state: State::Active(segment.place()), segment });
                return Ok(true);
            }
            let listing = Listing::of(&self.directory);
            let mut listing = self.ending(listing)?;
            // They were there before the segments that were read.
            listing.legacy.clear();
            listing.sealed.retain(|sealed| Some(sealed.first_seq) > self.passed);
            if listing.is_empty() {
                return Ok(false);
            }
            self.passed = self.passed.max(listing.sealed.back().map(|sealed| sealed.first_seq));
            (self.sealed, self.active) = (listing.sealed, listing.active);
        }
    }

    /// After this error there are no more lines.
    fn ending<T>(&mut self, outcome: Result<T>) -> Result<T> {
        self.has_ended |= outcome.is_err();
        outcome
    }
}

impl Iterator for Lines {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

#[cfg(test)]
mod tests;
