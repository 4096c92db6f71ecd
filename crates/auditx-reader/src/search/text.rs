//! Blocks of whole lines out of files: of a plain one the lines that begin in a piece of it, of a compressed one all of them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use auditx_core::Frame;

use super::Order;
use super::prune::Stretch;
use super::units::Piece;
use crate::error::{Error, Result};
use crate::segment::LONGEST;

/// What is read on at first for the end of a piece's last line.
const MORE: usize = 4 * 1024;

/// So much is decompressed at once.
const BLOCK: usize = if cfg!(test) { 2 * 1024 } else { 256 * 1024 };

/// Of a compressed segment so much text is kept to be read from its end.
const WINDOW: usize = if cfg!(test) { 64 * 1024 } else { 16 * 1024 * 1024 };

/// Whole lines, each with its newline, but perhaps the last of a file.
pub(super) struct Block<'b> {
    pub(super) lines: &'b [u8],
    /// Where they begin in the file's text.
    pub(super) offset: u64,
}

/// A thread's room for text.
#[derive(Default)]
pub(super) struct Room {
    bytes: Vec<u8>,
}

impl Room {
    /// The lines that begin in these bytes of a file.
    pub(super) fn read(&mut self, piece: &Piece, bytes: &Range<u64>) -> Result<Block<'_>> {
        self.fill(piece, bytes).map_err(|error| failed(piece, bytes.start, error))
    }

    /// A block of a file; an error if the file is shorter.
    pub(super) fn read_block(&mut self, piece: &Piece, begin: u64, end: u64) -> Result<Block<'_>> {
        let len = usize::try_from(end - begin).unwrap_or(usize::MAX);
        let read = self.read_at(&piece.file, begin, 0, len).map_err(|error| failed(piece, begin, error))?;
        Ok(Block { lines: &self.bytes[..read], offset: begin })
    }

    fn fill(&mut self, piece: &Piece, bytes: &Range<u64>) -> io::Result<Block<'_>> {
        // One byte more in front tells whether the first line begins here.
        let begin = bytes.start.saturating_sub(1);
        let mut len = usize::try_from(bytes.end - begin).unwrap_or(usize::MAX);
        len = self.read_at(&piece.file, begin, 0, len)?;
        let mut searched = len.saturating_sub(1);
        let mut more = MORE;
        let end = loop {
            if let Some(newline) = memchr::memchr(b'\n', &self.bytes[searched..len]) {
                break searched + newline + 1;
            }
            searched = len;
            let left = usize::try_from(piece.len.saturating_sub(begin + len as u64)).unwrap_or(usize::MAX);
            // A line that long can be no entry: its beginning says so.
            if left == 0 || begin + len as u64 > bytes.end + LONGEST as u64 {
                break len;
            }
            let read = self.read_at(&piece.file, begin + len as u64, len, left.min(more))?;
            if read == 0 {
                break len;
            }
            len += read;
            more = (more * 2).min(LONGEST);
        };
        let first = if bytes.start == 0 {
            0
        } else {
            let own = usize::try_from(bytes.end - begin).unwrap_or(usize::MAX).min(end);
            memchr::memchr(b'\n', &self.bytes[..own]).map_or(end, |newline| newline + 1)
        };
        // A newline that is the piece's last byte ends the lines of this piece; the next begins behind it.
        let first = if begin + first as u64 >= bytes.end { end } else { first };
        Ok(Block { lines: &self.bytes[first..end], offset: begin + first as u64 })
    }

    /// Reads up to `len` bytes to the place `at`.
    fn read_at(&mut self, file: &File, offset: u64, at: usize, len: usize) -> io::Result<usize> {
        if self.bytes.len() < at + len {
            self.bytes.resize(at + len, 0);
        }
        let mut read = 0;
        while read < len {
            match file.read_at(&mut self.bytes[at + read..at + len], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }
}

fn failed(piece: &Piece, offset: u64, error: io::Error) -> Error {
    Error::storage("cannot read the segment", &piece.path, error).at_byte(offset)
}

/// Told of each block, and which of the index it is.
pub(super) type Visit<'v> = dyn FnMut(&Block<'_>, Option<&Stretch>) -> ControlFlow<()> + 'v;

/// The blocks of a compressed segment, one after the other in the order wanted, until `visit` breaks off: those of its index if
/// it has one.
///
/// From its end it is decompressed once for every 16 MiB of its text, so that memory stays flat.
///
/// # Errors
/// `is_corrupt` if it cannot be decompressed, after what could be.
pub(super) fn decompress(
    path: &Path,
    file: &File,
    order: Order,
    blocks: Option<&[Stretch]>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let pass = |most: usize, visit: &mut dyn FnMut(usize, &Block<'_>) -> ControlFlow<()>| -> Result<()> {
        let mut stream = Stream::of(file)
            .map_err(|error| Error::storage("cannot begin to decompress the segment", path, error))?;
        for number in 0..most {
            let len = blocks.and_then(|blocks| blocks.get(number)).map(|block| block.end - block.begin);
            match stream.next(len) {
                Ok(Some(block)) if visit(number, &block).is_continue() => {}
                Ok(_) => break,
                Err(error) => {
                    return Err(Error::corrupt("the compressed segment is damaged", path)
                        .at_byte(stream.offset)
                        .because(error));
                }
            }
        }
        Ok(())
    };
    let stretch = |number: usize| blocks.and_then(|blocks| blocks.get(number));
    if order == Order::OldestFirst {
        return pass(usize::MAX, &mut |number, block| visit(block, stretch(number)));
    }
    let mut damage = Ok(());
    let mut most = usize::MAX;
    while most > 0 {
        let mut kept: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
        let (mut bytes, mut left) = (0, 0);
        let outcome = pass(most, &mut |_, block| {
            bytes += block.lines.len();
            kept.push_back((block.offset, block.lines.to_vec()));
            while bytes > WINDOW && kept.len() > 1 {
                bytes -= kept.pop_front().map_or(0, |(_, lines)| lines.len());
                left += 1;
            }
            ControlFlow::Continue(())
        });
        damage = damage.and(outcome);
        for (number, (offset, lines)) in kept.iter().enumerate().rev() {
            if visit(&Block { lines, offset: *offset }, stretch(left + number)).is_break() {
                return damage;
            }
        }
        most = left;
    }
    damage
}

/// Text that is decompressed from its beginning, cut into blocks.
struct Stream<'f> {
    reader: Frame<Start<'f>>,
    bytes: Vec<u8>,
    filled: usize,
    /// How much of it was given out.
    given: usize,
    /// Where the next block begins.
    offset: u64,
    /// Within a line of which the beginning was given out already.
    is_skipping: bool,
}

impl<'f> Stream<'f> {
    fn of(file: &'f File) -> io::Result<Self> {
        let reader = Frame::new(Start { file, at: 0 })?;
        Ok(Self { reader, bytes: vec![0; BLOCK], filled: 0, given: 0, offset: 0, is_skipping: false })
    }

    /// The next whole lines; exactly `len` bytes if it is given and there are as many.
    fn next(&mut self, len: Option<u64>) -> io::Result<Option<Block<'_>>> {
        self.bytes.copy_within(self.given..self.filled, 0);
        self.filled -= self.given;
        self.offset += self.given as u64;
        self.given = 0;
        let len = len.and_then(|len| usize::try_from(len).ok());
        let mut has_ended = false;
        loop {
            if let Some(len) = len.filter(|len| *len <= self.filled) {
                self.given = len;
                return Ok(Some(Block { lines: &self.bytes[..len], offset: self.offset }));
            }
            if self.is_skipping {
                let newline = memchr::memchr(b'\n', &self.bytes[..self.filled]);
                let gone = newline.map_or(self.filled, |newline| newline + 1);
                self.is_skipping = newline.is_none();
                self.bytes.copy_within(gone..self.filled, 0);
                self.filled -= gone;
                self.offset += gone as u64;
            }
            let is_full = self.filled == self.bytes.len();
            if is_full && len.is_some() {
                self.bytes.resize(self.bytes.len() * 2, 0);
                continue;
            }
            if is_full || has_ended {
                if let Some(newline) = memchr::memrchr(b'\n', &self.bytes[..self.filled]) {
                    self.given = newline + 1;
                } else if has_ended || self.filled > LONGEST {
                    self.is_skipping = !has_ended;
                    self.given = self.filled;
                }
                if self.given > 0 {
                    return Ok(Some(Block { lines: &self.bytes[..self.given], offset: self.offset }));
                }
                if has_ended {
                    return Ok(None);
                }
                self.bytes.resize(self.bytes.len() * 2, 0);
            }
            match self.reader.read(&mut self.bytes[self.filled..]) {
                Ok(0) => has_ended = true,
                Ok(more) => self.filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A file from its beginning, whatever others read of it.
struct Start<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Start<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
