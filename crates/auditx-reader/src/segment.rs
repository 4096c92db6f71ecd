//! Reads the lines of one segment, from its beginning or from any offset. A plain segment may still be
//! growing.
//!
//! Memory is one buffer and one line, whatever the size of the file and of its lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use auditx_store::{Frame, SealedSegment};

use crate::error::{Error, Result};
use crate::file::{self, FileId};
use crate::line::{Flaw, Line};

/// Lines of auditx are at most 65,535 bytes. Legacy lines have no limit, so this leaves room for longer ones.
pub(crate) const LONGEST: usize = 1024 * 1024;

const BUFFER: usize = 128 * 1024;

/// One open segment.
pub(crate) struct Segment {
    path: Arc<Path>,
    text: Text,
    /// Where the next line begins.
    offset: u64,
    /// The length of the text after the last newline when the end was last reached, and as much of that text
    /// as is kept.
    unfinished: (u64, Vec<u8>),
}

enum Text {
    Plain(BufReader<File>),
    Zstd(Box<BufReader<Frame<File>>>),
}

impl Segment {
    /// Opens a sealed segment; `None` if it was retired meanwhile.
    pub(crate) fn open_sealed(sealed: &SealedSegment) -> Result<Option<Self>> {
        let Some((sealed, file)) = file::open_sealed(sealed)? else { return Ok(None) };
        if sealed.compressed {
            Self::compressed(&sealed.path, file).map(Some)
        } else {
            Ok(Some(Self::plain(&sealed.path, file)))
        }
    }

    pub(crate) fn plain(path: &Path, file: File) -> Self {
        Self {
            path: path.into(),
            text: Text::Plain(BufReader::with_capacity(BUFFER, file)),
            offset: 0,
            unfinished: (0, Vec::new()),
        }
    }

    pub(crate) fn compressed(path: &Path, file: File) -> Result<Self> {
        let decoder = Frame::new(file)
            .map_err(|error| Error::storage("cannot begin to decompress the segment", path, error))?;
        let text = Text::Zstd(Box::new(BufReader::with_capacity(BUFFER, decoder)));
        Ok(Self { path: path.into(), text, offset: 0, unfinished: (0, Vec::new()) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next line begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes after the last newline, as of the last time [`Segment::next_line`] returned `None`.
    pub(crate) fn unfinished(&self) -> u64 {
        self.unfinished.0
    }

    /// The file of a plain segment.
    pub(crate) fn plain_file(&self) -> Option<&File> {
        match &self.text {
            Text::Plain(reader) => Some(reader.get_ref()),
            Text::Zstd(_) => None,
        }
    }

    /// Returns the path and the file, to be read in another way.
    ///
    /// # Errors
    /// `is_storage` if the file handle cannot be duplicated.
    pub(crate) fn into_file(self) -> Result<(Arc<Path>, File)> {
        let file = match self.text {
            Text::Plain(reader) => reader.into_inner(),
            Text::Zstd(reader) => reader
                .get_ref()
                .get_ref()
                .try_clone()
                .map_err(|error| Error::storage("cannot examine the segment", &self.path, error))?,
        };
        Ok((self.path, file))
    }

    /// The identity of the open file.
    pub(crate) fn file_id(&self) -> Option<FileId> {
        self.plain_file().and_then(|file| file.metadata().ok()).map(|metadata| FileId::of(&metadata))
    }

    /// The number of the first line of a plain file.
    pub(crate) fn first_seq(&self) -> Option<u64> {
        file::first_seq(self.plain_file()?)
    }

    /// Continues at this offset of a plain file.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<()> {
        if let Text::Plain(reader) = &mut self.text {
            reader
                .seek(SeekFrom::Start(offset))
                .map_err(|error| Error::storage("cannot read the segment", &self.path, error))?;
            self.offset = offset;
        }
        Ok(())
    }

    /// Returns the next complete line; `None` at the end, or if a plain file has only part of a line so far.
    ///
    /// # Errors
    /// `is_corrupt` if a plain file is shorter than what was read of it, or a compressed one cannot be
    /// decompressed; `is_storage` if the file cannot be read.
    pub(crate) fn next_line(&mut self) -> Result<Option<Line>> {
        if self.is_at_known_end()? {
            return Ok(None);
        }
        let (bytes, len, is_whole) = self.read()?;
        if is_whole {
            let flaw = (len > LONGEST as u64).then_some(Flaw::TooLong(len));
            let line = Line::new(self.path.clone(), self.offset, bytes, flaw);
            self.offset += len + 1;
            self.unfinished = (0, Vec::new());
            return Ok(Some(line));
        }
        self.unfinished = (len, bytes);
        if len > 0 {
            // The writer may roll back half a line and write another one, so the text is read again next
            // time.
            self.seek(self.offset)?;
        }
        Ok(None)
    }

    /// Takes the text after the last newline of a file that will not grow: a line that cannot be an entry,
    /// but must be reported.
    pub(crate) fn take_unfinished_line(&mut self) -> Option<Line> {
        let (len, bytes) = std::mem::take(&mut self.unfinished);
        let line = Line::new(self.path.clone(), self.offset, bytes, Some(Flaw::Unfinished));
        self.offset += len;
        (len > 0).then_some(line)
    }

    /// Skips `count` lines.
    pub(crate) fn skip_lines(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            let (_, len, _) = self.read()?;
            self.offset += len + 1;
        }
        Ok(())
    }

    /// Counts the lines from here to the end, including an unfinished one, or up to where the file is
    /// damaged.
    pub(crate) fn count_lines(&mut self) -> u64 {
        let mut count = 0;
        while let Ok((_, len, is_whole)) = self.read()
            && (is_whole || len > 0)
        {
            count += 1;
        }
        count
    }

    /// Whether the file still has the length that was read. This is asked often, so it costs one fstat(2).
    fn is_at_known_end(&self) -> Result<bool> {
        let Some(file) = self.plain_file() else { return Ok(false) };
        let len = file
            .metadata()
            .map_err(|error| Error::storage("cannot examine the segment", &self.path, error))?
            .len();
        if len < self.offset {
            let message = format!(
                "the segment was truncated to {len} bytes by another program after {} bytes had been read",
                self.offset
            );
            return Err(Error::corrupt(message, &self.path));
        }
        // Half a line may have been replaced by a whole one of the same length, so it is read again, unless
        // it is too long to be a line of auditx.
        let unfinished = self.unfinished();
        let is_final = unfinished == 0 || unfinished > LONGEST as u64;
        Ok(is_final && len == self.offset + unfinished)
    }

    /// Reads up to the next newline. Returns the bytes as far as they are kept, the length, and whether a
    /// newline was found.
    fn read(&mut self) -> Result<(Vec<u8>, u64, bool)> {
        let outcome = match &mut self.text {
            Text::Plain(reader) => read_line(reader),
            Text::Zstd(reader) => read_line(reader),
        };
        outcome.map_err(|error| match self.text {
            Text::Plain(_) => {
                Error::storage("cannot read the segment", &self.path, error).at_byte(self.offset)
            }
            Text::Zstd(_) => Error::corrupt("the compressed segment is damaged", &self.path)
                .at_byte(self.offset)
                .because(error),
        })
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<(Vec<u8>, u64, bool)> {
    let (mut line, mut len) = (Vec::new(), 0);
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok((line, len, false));
        }
        let newline = memchr::memchr(b'\n', available);
        let part = &available[..newline.unwrap_or(available.len())];
        let room = LONGEST - line.len();
        line.extend_from_slice(&part[..part.len().min(room)]);
        len += part.len() as u64;
        let used = part.len() + usize::from(newline.is_some());
        reader.consume(used);
        if newline.is_some() {
            return Ok((line, len, true));
        }
    }
}
