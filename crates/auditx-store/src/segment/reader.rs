//! Reads the lines of a trail in order, across seals and compression, while the trail may still grow.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::{fmt, mem};

use auditx_format::{Error, Result};
use auditx_tlog::{MAX_LINE, parse_seq};

use super::seek::offset_before;
use super::{ACTIVE, SealedSegment, buffered, first_seq_in, open_segment, sealed_segments};
use crate::dir::{Access, Dir, FileStat};

/// How often a file may vanish (compressed or retired) between listing and opening before it is an error.
const ATTEMPTS: usize = 20;

/// Reads lines from a sequence number on.
///
/// The reader has at most one file open and one line in memory. It does not return a line that is still being
/// written.
pub struct TrailReader {
    directory: Dir,
    next: u64,
    open: Option<Open>,
    finished: Option<Finished>,
    line: Vec<u8>,
    is_consumed: bool,
}

struct Open {
    reader: Box<dyn BufRead + Send>,
    path: PathBuf,
    first_seq: u64,
    /// The identity of the file while it is the active segment, to detect that it was sealed.
    active: Option<FileStat>,
}

/// The segment that was last read to its end.
#[derive(Clone, Copy)]
struct Finished {
    first_seq: u64,
    /// The sequence number that was expected next.
    next: u64,
    /// Whether it was read a second time and had not grown.
    is_certain: bool,
}

impl fmt::Debug for TrailReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrailReader")
            .field("directory", &self.directory)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl TrailReader {
    /// Creates a reader that begins at this sequence number, or at the oldest remaining line if it was
    /// retired.
    #[must_use]
    pub fn new(directory: impl Into<Dir>, next: u64) -> Self {
        Self {
            directory: directory.into(),
            next,
            open: None,
            finished: None,
            line: Vec::new(),
            is_consumed: false,
        }
    }

    /// Continues at another line.
    pub fn restart(&mut self, next: u64) {
        *self = Self::new(&self.directory, next);
    }

    /// Returns the sequence number of the next line.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Returns the next whole line without its newline, or `None` if there is none yet.
    ///
    /// # Errors
    /// `is_storage` if a file cannot be read; `is_corrupt` if a line has an unexpected sequence number or is
    /// too long.
    pub fn next_line(&mut self) -> Result<Option<(u64, &[u8])>> {
        loop {
            if self.open.is_none() && !self.locate()? {
                return Ok(None);
            }
            if self.read_line()? {
                let seq = self.check_line().inspect_err(|_| self.close())?;
                if seq == self.next {
                    self.next += 1;
                    return Ok(Some((seq, &self.line[..self.line.len() - 1])));
                }
            } else if self.is_growing() {
                if !self.line.is_empty() {
                    // The partial line may be rolled back and replaced by another one before the next call.
                    self.close();
                }
                return Ok(None);
            }
        }
    }

    /// Reads up to the next newline. Returns whether there was one.
    fn read_line(&mut self) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        if mem::take(&mut self.is_consumed) {
            self.line.clear();
        }
        // A damaged or forged segment may contain gigabytes without a newline, or a few bytes that decompress
        // to them.
        let limit = MAX_LINE.saturating_sub(self.line.len());
        open.reader
            .by_ref()
            .take(limit as u64)
            .read_until(b'\n', &mut self.line)
            .map_err(|error| Error::storage("cannot read a segment", &open.path, error))?;
        self.is_consumed = self.line.last() == Some(&b'\n');
        if !self.is_consumed && self.line.len() >= MAX_LINE {
            let what = format!("line {} is longer than any line can be", self.next);
            return Err(Error::corrupt(what).at(&open.path).with_seq(self.next));
        }
        Ok(self.is_consumed)
    }

    /// Returns the sequence number of the line, which must be the next one or an earlier one.
    fn check_line(&self) -> Result<u64> {
        let what = match parse_seq(&self.line) {
            // No sequence number could follow it.
            Some(u64::MAX) => format!("a trail cannot have a line {}", u64::MAX),
            Some(seq) if seq <= self.next => return Ok(seq),
            Some(seq) => format!("found line {seq} where line {} was expected", self.next),
            None => format!("line {} does not begin with a sequence number", self.next),
        };
        let path = self.open.as_ref().map_or(self.directory.path(), |open| &open.path);
        Err(Error::corrupt(what).at(path).with_seq(self.next))
    }

    /// At the end of the file: returns whether the same file may still grow. If it was sealed, it is read
    /// once more to its end and then closed.
    fn is_growing(&mut self) -> bool {
        match &mut self.open {
            Some(Open { active: Some(active), .. }) if is_active(&self.directory, active) => true,
            Some(Open { active: active @ Some(_), .. }) => {
                *active = None;
                false
            }
            _ => {
                self.finish();
                false
            }
        }
    }

    /// Closes the segment, so that the next call reads the same line again.
    fn close(&mut self) {
        (self.open, self.is_consumed) = (None, false);
        self.line.clear();
    }

    fn finish(&mut self) {
        self.line.clear();
        let Some(Open { first_seq, .. }) = self.open.take() else { return };
        let is_certain =
            self.finished.is_some_and(|last| (last.first_seq, last.next) == (first_seq, self.next));
        self.finished = Some(Finished { first_seq, next: self.next, is_certain });
    }

    /// Opens the segment that contains the next line. Returns whether it exists.
    fn locate(&mut self) -> Result<bool> {
        for attempt in 1.. {
            let found = match self.find()? {
                None => return Ok(false),
                Some(Found::Active(open)) => Ok(open),
                Some(Found::Sealed(sealed)) => open_sealed(&self.directory, &sealed, self.next)
                    .map(|reader| {
                        let SealedSegment { first_seq, path, .. } = sealed.clone();
                        Open { reader, path, first_seq, active: None }
                    })
                    .map_err(|error| (sealed.path, error)),
            };
            match found {
                Ok(open) => {
                    self.line.clear();
                    self.open = Some(open);
                    return Ok(true);
                }
                Err((_, error)) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {}
                Err((path, error)) => return Err(Error::storage("cannot open a segment", &path, error)),
            }
        }
        Ok(false)
    }

    /// Finds the newest segment that begins at or before the next line.
    ///
    /// The active segment is opened first. It stays the same file even if it is renamed, and segments that
    /// were sealed before it then appear in the listing.
    fn find(&mut self) -> Result<Option<Found>> {
        let active = Active::open(&self.directory)?;
        if let Some(first_seq) = active.first_seq()?
            && first_seq <= self.next
        {
            return Ok(active.into_open(first_seq, self.next)?.map(Found::Active));
        }
        // Usually the next segment is named by the next line. Listing the directory for each of thousands of
        // segments would take longer than reading them.
        if self.finished.is_some_and(|last| last.next == self.next && last.first_seq < self.next)
            && let Some(sealed) = SealedSegment::find(&self.directory, self.next)
        {
            return Ok(Some(Found::Sealed(sealed)));
        }
        let mut sealed = sealed_segments(&self.directory)?;
        let active_seq = active.first_seq()?;
        sealed.retain(|sealed| active_seq.is_none_or(|active_seq| sealed.first_seq < active_seq));
        let Some(oldest) = sealed.first().map(|sealed| sealed.first_seq).or(active_seq) else {
            return Ok(None);
        };
        self.next = self.next.max(oldest);
        if let Some(first_seq) = active_seq
            && first_seq <= self.next
        {
            return Ok(active.into_open(first_seq, self.next)?.map(Found::Active));
        }
        let after = sealed.partition_point(|sealed| sealed.first_seq <= self.next);
        let following = sealed.get(after).map(|sealed| sealed.first_seq).or(active_seq);
        sealed.truncate(after);
        let Some(found) = sealed.pop() else { return Ok(None) };
        match (self.finished, following) {
            (Some(finished), None) if finished.first_seq == found.first_seq => Ok(None),
            (Some(finished), Some(following))
                if finished.is_certain && finished.first_seq == found.first_seq =>
            {
                let what =
                    format!("line {} is missing: the next segment begins with line {following}", self.next);
                Err(Error::corrupt(what).at(&found.path).with_seq(self.next))
            }
            // Read it once more if it was finished and others follow: a seal may have been rolled back, and
            // the segment may have grown before it was sealed again.
            _ => Ok(Some(Found::Sealed(found))),
        }
    }
}

enum Found {
    Active(Open),
    Sealed(SealedSegment),
}

/// The active segment, if it existed when it was opened.
struct Active {
    path: PathBuf,
    file: Option<(File, FileStat)>,
}

impl Active {
    fn open(directory: &Dir) -> Result<Self> {
        let path = directory.join(ACTIVE);
        let opened = directory
            .open(ACTIVE, Access::READ)
            .and_then(|file| FileStat::of(&file).map(|stat| (file, stat)));
        match opened {
            Ok(file) => Ok(Self { path, file: Some(file) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { path, file: None }),
            Err(error) => Err(Error::storage("cannot open the active segment", &path, error)),
        }
    }

    /// Returns the first sequence number; `None` if there is no line yet.
    fn first_seq(&self) -> Result<Option<u64>> {
        self.file.as_ref().map_or(Ok(None), |(file, _)| first_seq_in(file, &self.path))
    }

    /// Positions the file near line `next`, which it contains or will contain.
    fn into_open(self, first_seq: u64, next: u64) -> Result<Option<Open>> {
        let Some((file, stat)) = self.file else { return Ok(None) };
        let file = begin_near(file, next)
            .map_err(|error| Error::storage("cannot read the active segment", &self.path, error))?;
        Ok(Some(Open { reader: buffered(file), path: self.path, first_seq, active: Some(stat) }))
    }
}

fn open_sealed(directory: &Dir, sealed: &SealedSegment, next: u64) -> io::Result<Box<dyn BufRead + Send>> {
    if sealed.compressed {
        return open_segment(directory, &sealed.name(), true);
    }
    let file = directory.open(sealed.name(), Access::READ)?;
    Ok(buffered(begin_near(file, next)?))
}

/// Seeks in a plain segment to a line at or before `next`, so that earlier lines need not be read.
fn begin_near(mut file: File, next: u64) -> io::Result<File> {
    let offset = offset_before(&file, next)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(file)
}

fn is_active(directory: &Dir, file: &FileStat) -> bool {
    directory.stat(ACTIVE).ok().flatten().is_some_and(|active| active.is_same(file))
}

#[cfg(test)]
mod tests;
