//! Reading a trail's lines in order, across seals and compression, while it may still be growing.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::{fmt, mem};

use super::seek::offset_before;
use super::{ACTIVE, SealedSegment, buffered, first_seq_in, open_segment, sealed_segments};
use crate::dir::{Access, Dir, FileStat};
use crate::encode::MAX_LINE;
use crate::error::{Error, Result};
use crate::line::parse_seq;

/// How often a file may vanish (compressed, retired) between being listed and being opened before that is an error.
const ATTEMPTS: usize = 20;

/// Lines from one sequence number on.
///
/// It holds at most one file open and one line in memory. A line still being written is not given out.
pub struct TrailReader {
    directory: Dir,
    next: u64,
    open: Option<Open>,
    finished: Option<Finished>,
    line: Vec<u8>,
    given_out: bool,
}

struct Open {
    reader: Box<dyn BufRead + Send>,
    path: PathBuf,
    first_seq: u64,
    /// Which file it is, while this is the active segment: tells whether it has been sealed since.
    active: Option<FileStat>,
}

/// The segment last read to its end.
#[derive(Clone, Copy)]
struct Finished {
    first_seq: u64,
    /// What was to come next then.
    next: u64,
    /// It was read a second time, and had not grown.
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
    /// Begins at the line with this sequence number, or at the oldest one left if it has been retired.
    #[must_use]
    pub fn new(directory: impl Into<Dir>, next: u64) -> Self {
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
        *self = Self::new(&self.directory, next);
    }

    /// The sequence number of the line that comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The next whole line without its newline, or none for now.
    ///
    /// # Errors
    /// `is_storage` where a file cannot be read, `is_corrupt` where a line is not the one that must follow, or longer than
    /// any line can be.
    pub fn next_line(&mut self) -> Result<Option<(u64, &[u8])>> {
        loop {
            if self.open.is_none() && !self.locate()? {
                return Ok(None);
            }
            if self.read_line()? {
                let seq = self.check_line().inspect_err(|_| self.forget())?;
                if seq == self.next {
                    self.next += 1;
                    return Ok(Some((seq, &self.line[..self.line.len() - 1])));
                }
            } else if self.is_growing() {
                if !self.line.is_empty() {
                    // The line may be taken back, and another stand in its place when this is called again.
                    self.forget();
                }
                return Ok(None);
            }
        }
    }

    /// Reads up to the next newline, if there is one.
    fn read_line(&mut self) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        if mem::take(&mut self.given_out) {
            self.line.clear();
        }
        // A damaged or forged segment may hold gigabytes without a newline, and a few bytes be decompressed to them.
        let room = MAX_LINE.saturating_sub(self.line.len());
        open.reader
            .by_ref()
            .take(room as u64)
            .read_until(b'\n', &mut self.line)
            .map_err(|error| Error::storage("cannot read a segment", &open.path, error))?;
        self.given_out = self.line.last() == Some(&b'\n');
        if !self.given_out && self.line.len() >= MAX_LINE {
            let what = format!("what stands in the place of line {} is longer than any line", self.next);
            return Err(Error::corrupt(what).at(&open.path).with_seq(self.next));
        }
        Ok(self.given_out)
    }

    /// The line's number: the one that comes next, or one before it.
    fn check_line(&self) -> Result<u64> {
        let wrong = match parse_seq(&self.line) {
            // Nothing could follow it.
            Some(u64::MAX) => format!("no trail has a line {}", u64::MAX),
            Some(seq) if seq <= self.next => return Ok(seq),
            Some(seq) => format!("line {seq} stands where line {} must", self.next),
            None => {
                format!("the line in the place of line {} does not begin with a sequence number", self.next)
            }
        };
        let path = self.open.as_ref().map_or(self.directory.path(), |open| &open.path);
        Err(Error::corrupt(wrong).at(path).with_seq(self.next))
    }

    /// At the end of what is there: whether the same file may still grow. If it was sealed, it is read once more to
    /// its end, then left.
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

    /// Leaves the segment, so that the next call meets the same line again.
    fn forget(&mut self) {
        (self.open, self.given_out) = (None, false);
        self.line.clear();
    }

    fn finish(&mut self) {
        self.line.clear();
        let Some(Open { first_seq, .. }) = self.open.take() else { return };
        let is_certain =
            self.finished.is_some_and(|last| (last.first_seq, last.next) == (first_seq, self.next));
        self.finished = Some(Finished { first_seq, next: self.next, is_certain });
    }

    /// Opens the segment that holds the next line, if it is there.
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

    /// The newest segment that begins with the next line or before it.
    ///
    /// The active one is opened first and stays the same file whatever its name becomes meanwhile: what was sealed before
    /// it is then there to be listed.
    fn find(&mut self) -> Result<Option<Found>> {
        let active = Active::open(&self.directory)?;
        if let Some(first_seq) = active.first_seq()?
            && first_seq <= self.next
        {
            return Ok(active.into_open(first_seq, self.next)?.map(Found::Active));
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
            // Once more, where it was finished and others follow: a seal may have been taken back, and the segment have
            // grown before it was sealed for good.
            _ => Ok(Some(Found::Sealed(found))),
        }
    }
}

enum Found {
    Active(Open),
    Sealed(SealedSegment),
}

/// The file that had the active segment's name when it was opened, if there was one.
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

    /// None before it has a line.
    fn first_seq(&self) -> Result<Option<u64>> {
        self.file.as_ref().map_or(Ok(None), |(file, _)| first_seq_in(file, &self.path))
    }

    /// Open for the line with the number `next`, which it holds or is to hold.
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

/// Moves a plain segment to a line at or before this one: whoever reads on from the end does not read what is before it.
fn begin_near(mut file: File, next: u64) -> io::Result<File> {
    let offset = offset_before(&file, next)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(file)
}

fn is_active(directory: &Dir, file: &FileStat) -> bool {
    directory.stat(ACTIVE).ok().flatten().is_some_and(|active| active.is_same(file))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;
    use crate::segment::sealed_name;

    struct Sample(tempfile::TempDir);

    impl Sample {
        fn append(&self, seqs: std::ops::Range<u64>) {
            let mut active =
                OpenOptions::new().append(true).create(true).open(self.0.path().join(ACTIVE)).unwrap();
            for seq in seqs {
                writeln!(active, "{{\"seq\":{seq},\"n\":0}}").unwrap();
            }
        }

        fn rename(&self, from: &str, to: &str) {
            fs::rename(self.0.path().join(from), self.0.path().join(to)).unwrap();
        }
    }

    fn read(reader: &mut TrailReader) -> Vec<u64> {
        std::iter::from_fn(|| reader.next_line().unwrap().map(|(seq, _)| seq)).collect()
    }

    #[test]
    fn a_seal_that_is_taken_back_hides_nothing_that_follows() {
        let sample = Sample(tempfile::tempdir().unwrap());
        let mut reader = TrailReader::new(sample.0.path(), 0);
        sample.append(0..2);
        assert_eq!(read(&mut reader), [0, 1]);
        sample.rename(ACTIVE, &sealed_name(0));
        assert_eq!(read(&mut reader), [] as [u64; 0]);
        sample.rename(&sealed_name(0), ACTIVE);
        sample.append(2..4);
        assert_eq!(read(&mut reader), [2, 3]);

        sample.rename(ACTIVE, &sealed_name(0));
        assert_eq!(read(&mut reader), [] as [u64; 0]);
        sample.rename(&sealed_name(0), ACTIVE);
        sample.append(4..6);
        sample.rename(ACTIVE, &sealed_name(0));
        sample.append(6..7);
        assert_eq!(read(&mut reader), [4, 5, 6], "it grew before it was sealed for good");
    }

    #[test]
    fn half_a_line_that_is_taken_back_is_not_kept() {
        let sample = Sample(tempfile::tempdir().unwrap());
        let mut reader = TrailReader::new(sample.0.path(), 0);
        sample.append(0..1);
        let active = OpenOptions::new().append(true).open(sample.0.path().join(ACTIVE)).unwrap();
        let whole = active.metadata().unwrap().len();
        (&active).write_all(b"{\"seq\":1,\"half\":").unwrap();
        assert_eq!(read(&mut reader), [0]);
        active.set_len(whole).unwrap();
        sample.append(1..2);
        assert_eq!(reader.next_line().unwrap(), Some((1, &b"{\"seq\":1,\"n\":0}"[..])));
    }

    #[test]
    fn what_no_writer_wrote_is_an_error_each_time_and_is_not_kept() {
        for (forged, reason) in [
            (format!("{{\"seq\":0,\"user\":\"{}", "a".repeat(1_000_000)), "longer than any line"),
            (format!("{{\"seq\":{},\"n\":0}}\n", u64::MAX), "no trail has"),
        ] {
            let sample = Sample(tempfile::tempdir().unwrap());
            fs::write(sample.0.path().join(sealed_name(0)), &forged).unwrap();
            let mut reader = TrailReader::new(sample.0.path(), 0);
            for _ in 0..2 {
                let error = reader.next_line().unwrap_err();
                assert!(error.is_corrupt() && error.to_string().contains(reason), "{error}");
                assert!(reader.line.capacity() < 4 * MAX_LINE);
            }
        }
    }

    #[test]
    fn a_segment_that_is_missing_in_the_middle_is_an_error_each_time() {
        let sample = Sample(tempfile::tempdir().unwrap());
        for seq in [0, 2, 4] {
            sample.append(seq..seq + 2);
            sample.rename(ACTIVE, &sealed_name(seq));
        }
        fs::remove_file(sample.0.path().join(sealed_name(2))).unwrap();
        let mut reader = TrailReader::new(sample.0.path(), 0);
        assert_eq!([reader.next_line().unwrap().unwrap().0, reader.next_line().unwrap().unwrap().0], [0, 1]);
        for _ in 0..2 {
            let error = reader.next_line().unwrap_err();
            assert!(error.is_corrupt() && error.to_string().contains("line 2 is missing"), "{error}");
        }
    }
}
