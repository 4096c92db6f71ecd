//! Reads the lines of a trail in order, across its segments, and follows new ones.
//!
//! Every line is returned once, as stored; whether it is an entry is decided when the line is parsed. A
//! segment that cannot be read yields one error, and reading continues with the next.

use std::collections::VecDeque;
use std::path::PathBuf;

use auditx_store::SealedSegment;

use crate::backwards;
use crate::error::Result;
use crate::file::{self, FileId};
use crate::line::Line;
use crate::listing::{Listing, active_path};
use crate::segment::Segment;

/// Lines of a trail, oldest first.
///
/// After the iterator has returned `None`, it can be called again: it then returns lines that were added in
/// the meantime. So a trail is followed across seals, no matter which process writes it.
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
/// let line = lines.next().expect("a recorded line")?;
/// assert_eq!((line.seq(), line.parse()?.description.as_str()), (Some(2), "Stock counted"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lines {
    directory: PathBuf,
    /// Read before all segments.
    legacy: VecDeque<PathBuf>,
    /// Read before the active segment.
    sealed: VecDeque<SealedSegment>,
    /// Read after the sealed segments.
    active: Option<Result<Segment>>,
    open: Option<Open>,
    /// The sealed segments up to the one with this first seq have been read or are in `sealed`.
    passed: Option<u64>,
    /// The first seq of the last segment read as the active one, and the offset up to which it was read.
    resume: Option<(u64, u64)>,
    /// The seq of the last line returned that has one.
    last_seq: Option<u64>,
    /// The lines returned since then.
    unnumbered: u64,
    missed: u64,
    has_ended: bool,
}

struct Open {
    segment: Segment,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It grows. Comparing its identity with that of the active path tells whether it has been sealed.
    Active(Option<FileId>),
    /// It was the active one, and is read once more to its end.
    JustSealed,
    Sealed,
}

/// Bytes after the last newline of the active segment: a line being written, or one whose writer was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The byte offset at which they begin.
    pub offset: u64,
    /// Their number so far.
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
    /// Reads from the oldest line.
    ///
    /// # Errors
    /// `is_missing` if there is no such directory; `is_storage` if it cannot be listed.
    pub fn all(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let listing = Listing::of(&directory)?;
        Ok(Self::from_listing(directory, listing, None))
    }

    /// Reads from the last `count` lines; if 0, only lines that are added from now on.
    ///
    /// The lines are searched from the end. Costs listing the directory and reading about `count` lines, but
    /// at least decompressing the newest segment that is needed and compressed.
    ///
    /// # Errors
    /// The same as those of [`Lines::all`].
    pub fn last(directory: impl Into<PathBuf>, count: u64) -> Result<Self> {
        let directory = directory.into();
        let mut listing = Listing::of(&directory)?;
        // With a count of 0, all sealed segments count as read.
        let newest = listing.sealed.back().map(|sealed| sealed.first_seq);
        let first = backwards::truncate_to_last(&mut listing, count)?;
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
            resume: None,
            last_seq: None,
            unnumbered: 0,
            missed: 0,
            has_ended: false,
        }
    }

    /// The number of lines that should be between the last two lines returned, and are not: they were retired
    /// before they were read, or are in a segment that cannot be read.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The bytes after the last newline, once there was no further line.
    #[must_use]
    pub fn unfinished(&self) -> Option<Unfinished> {
        let segment = &self.open.as_ref()?.segment;
        let bytes = segment.unfinished();
        (bytes > 0).then(|| Unfinished { offset: segment.offset(), bytes })
    }

    /// The path of the active segment, which [`Lines::unfinished`] refers to.
    #[must_use]
    pub fn active_path(&self) -> PathBuf {
        active_path(&self.directory)
    }

    /// Returns the next whole line, or `None` if there is none at the moment.
    ///
    /// # Errors
    /// `is_refused`, `is_corrupt` or `is_storage` if a segment cannot be read. After the error of a sealed
    /// segment, the next call continues with the following segment; after any other error there are no more
    /// lines.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        while !self.has_ended {
            if self.open.is_none() && !self.open_next()? {
                break;
            }
            let Some(open) = &mut self.open else { break };
            match open.segment.next_line() {
                Ok(Some(line)) => return Ok(Some(self.counted(line))),
                Ok(None) => {
                    if let State::Active(file_id) = open.state {
                        if file_id == FileId::named(&active_path(&self.directory)) {
                            break;
                        }
                        // It was sealed: read the lines that were written before that, then leave it.
                        open.state = State::JustSealed;
                        continue;
                    }
                    let rest = open.segment.take_unfinished_line();
                    self.close();
                    if let Some(line) = rest {
                        return Ok(Some(self.counted(line)));
                    }
                }
                Err(error) => {
                    self.has_ended = open.state != State::Sealed;
                    self.close();
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Counts the lines that are missing before this one.
    fn counted(&mut self, line: Line) -> Line {
        self.missed = 0;
        if let Some(seq) = line.seq() {
            let unnumbered = std::mem::take(&mut self.unnumbered);
            let last = self.last_seq.replace(seq);
            self.missed = last.map_or(0, |last| seq.saturating_sub(last).saturating_sub(1 + unnumbered));
        } else {
            self.unnumbered += 1;
        }
        line
    }

    fn close(&mut self) {
        let Some(Open { segment, state }) = self.open.take() else { return };
        if state != State::Sealed {
            let first_seq = segment.first_seq().or(self.last_seq);
            self.passed = self.passed.max(first_seq);
            self.resume = first_seq.map(|first_seq| (first_seq, segment.offset()));
        }
    }

    /// Opens the next segment. Returns `false` if there is none yet.
    fn open_next(&mut self) -> Result<bool> {
        loop {
            if let Some(path) = self.legacy.pop_front() {
                let Some(file) = file::open(&path)? else { continue };
                self.open = Some(Open { segment: Segment::plain(&path, file), state: State::Sealed });
                return Ok(true);
            }
            if let Some(sealed) = self.sealed.pop_front() {
                // `None` if it was retired after it was listed.
                let Some(segment) = Segment::open_sealed(&sealed)? else { continue };
                self.open = Some(Open { segment, state: State::Sealed });
                return Ok(true);
            }
            if let Some(active) = self.active.take() {
                let mut segment = self.or_end(active)?;
                if let Some((first_seq, offset)) = self.resume
                    && segment.first_seq() == Some(first_seq)
                {
                    // The writer rolled its seal back because it could not begin a new segment.
                    segment.seek(offset)?;
                }
                self.open = Some(Open { state: State::Active(segment.file_id()), segment });
                return Ok(true);
            }
            let listing = Listing::of(&self.directory);
            let mut listing = self.or_end(listing)?;
            // Legacy files precede the segments that were read.
            listing.legacy.clear();
            listing.sealed.retain(|sealed| Some(sealed.first_seq) > self.passed);
            if listing.is_empty() {
                return Ok(false);
            }
            self.passed = self.passed.max(listing.sealed.back().map(|sealed| sealed.first_seq));
            (self.sealed, self.active) = (listing.sealed, listing.active);
        }
    }

    /// Ends the iteration if this is an error.
    fn or_end<T>(&mut self, outcome: Result<T>) -> Result<T> {
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
