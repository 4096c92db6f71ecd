//! Reading a trail's lines in order, across seals and compression, while it may still be growing.

use std::io::{self, BufRead};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use super::{ACTIVE, first_seq_of, open_segment, sealed_segments};
use crate::error::{Error, Result};
use crate::line::parse_seq;

/// How often a file may vanish (sealed, compressed) between being listed and being opened before that is an error.
const ATTEMPTS: usize = 5;

/// Lines from one sequence number on.
///
/// It holds at most one file open and one line in memory. A line still being written is not given out.
pub struct TrailReader {
    directory: PathBuf,
    next: u64,
    open: Option<Open>,
    /// The first sequence number of the segment last read to its end.
    finished: Option<u64>,
    line: Vec<u8>,
    given_out: bool,
}

struct Open {
    reader: Box<dyn BufRead + Send>,
    path: PathBuf,
    first_seq: u64,
    /// The inode while this is the active segment: tells whether it has been sealed since.
    active_inode: Option<u64>,
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
    /// Begins at the line with this sequence number, or at the oldest one left if it has been retired.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, next: u64) -> Self {
        Self {
            directory: directory.into(),
            next,
            open: None,
            finished: None,
            line: Vec::new(),
            given_out: false,
        }
    }

    /// Begins again at another line.
    pub fn restart(&mut self, next: u64) {
        *self = Self::new(std::mem::take(&mut self.directory), next);
    }

    /// The sequence number of the line that comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The next whole line without its newline, or none for now.
    ///
    /// # Errors
    /// `is_storage` where a file cannot be read, `is_corrupt` where a line is not the one that must follow.
    pub fn next_line(&mut self) -> Result<Option<(u64, &[u8])>> {
        loop {
            if self.open.is_none() && !self.locate()? {
                return Ok(None);
            }
            if self.read_line()? {
                let seq = self.check_line()?;
                if seq == self.next {
                    self.next += 1;
                    return Ok(Some((seq, &self.line[..self.line.len() - 1])));
                }
            } else if self.is_growing() {
                return Ok(None);
            }
        }
    }

    /// Reads up to the next newline; what is there of an unfinished line is kept for the next call.
    fn read_line(&mut self) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        if std::mem::take(&mut self.given_out) {
            self.line.clear();
        }
        open.reader
            .read_until(b'\n', &mut self.line)
            .map_err(|error| Error::storage("cannot read a segment", &open.path, error))?;
        self.given_out = self.line.last() == Some(&b'\n');
        Ok(self.given_out)
    }

    /// The line's number: the one that comes next, or one before it.
    fn check_line(&self) -> Result<u64> {
        let wrong = match parse_seq(&self.line) {
            Some(seq) if seq <= self.next => return Ok(seq),
            Some(seq) => format!("line {seq} stands where line {} must", self.next),
            None => {
                format!("the line in the place of line {} does not begin with a sequence number", self.next)
            }
        };
        let path = self.open.as_ref().map_or(&self.directory, |open| &open.path);
        Err(Error::corrupt(wrong).at(path).with_seq(self.next))
    }

    /// At the end of what is there: whether the same file may still grow. If it was sealed, it is read once more to
    /// its end, then left.
    fn is_growing(&mut self) -> bool {
        let active = self.directory.join(ACTIVE);
        match &mut self.open {
            Some(Open { active_inode: Some(inode), .. }) if inode_of(&active) == Some(*inode) => true,
            Some(Open { active_inode: inode @ Some(_), .. }) => {
                *inode = None;
                false
            }
            _ => {
                self.finished = self.open.take().map(|open| open.first_seq);
                self.line.clear();
                false
            }
        }
    }

    /// Opens the segment that holds the next line, if it is there.
    fn locate(&mut self) -> Result<bool> {
        for attempt in 1.. {
            let Some(found) = self.find()? else { return Ok(false) };
            match open_segment(&found.path, found.compressed) {
                Ok(reader) => {
                    self.line.clear();
                    self.open = Some(Open {
                        reader,
                        path: found.path,
                        first_seq: found.first_seq,
                        active_inode: found.active_inode,
                    });
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {}
                Err(error) => return Err(Error::storage("cannot open a segment", &found.path, error)),
            }
        }
        Ok(false)
    }

    fn find(&mut self) -> Result<Option<Found>> {
        // The inode is taken first: if the file is sealed meanwhile, it no longer matches and the reader looks again.
        let active = self.directory.join(ACTIVE);
        let active_inode = inode_of(&active);
        let mut candidates: Vec<Found> = sealed_segments(&self.directory)?
            .into_iter()
            .map(|sealed| Found {
                path: sealed.path,
                first_seq: sealed.first_seq,
                compressed: sealed.compressed,
                active_inode: None,
            })
            .collect();
        if let (Some(first_seq), Some(_)) = (first_seq_of(&active)?, active_inode) {
            candidates.push(Found { path: active, first_seq, compressed: false, active_inode });
        }
        let Some(oldest) = candidates.first().map(|found| found.first_seq) else { return Ok(None) };
        self.next = self.next.max(oldest);
        let found = candidates.into_iter().rev().find(|found| found.first_seq <= self.next);
        Ok(found.filter(|found| Some(found.first_seq) != self.finished))
    }
}

struct Found {
    path: PathBuf,
    first_seq: u64,
    compressed: bool,
    active_inode: Option<u64>,
}

fn inode_of(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}
