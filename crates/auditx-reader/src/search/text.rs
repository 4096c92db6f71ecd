//! Blocks of whole lines out of files: of a plain one the lines that begin in a piece of it, of a compressed one all of them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Order;
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

impl<'b> Block<'b> {
    /// What of it lies between these places of the text, both of which lie between lines.
    pub(super) fn within(&self, begin: u64, end: u64) -> Option<Block<'b>> {
        let offset = begin.max(self.offset);
        let end = end.min(self.offset + self.lines.len() as u64);
        let place = |at: u64| usize::try_from(at - self.offset).ok();
        (offset < end).then(|| Some(Block { lines: &self.lines[place(offset)?..place(end)?], offset }))?
    }
}

/// A thread's room for text.
#[derive(Default)]
pub(super) struct Room {
    bytes: Vec<u8>,
}

impl Room {
    /// The lines that begin in this piece.
    pub(super) fn read(&mut self, piece: &Piece) -> Result<Block<'_>> {
        self.fill(piece).map_err(|error| {
            Error::storage("cannot read the segment", &piece.path, error).at_byte(piece.begin)
        })
    }

    fn fill(&mut self, piece: &Piece) -> io::Result<Block<'_>> {
        // One byte more in front tells whether the first line begins here.
        let begin = piece.begin.saturating_sub(1);
        let mut len = usize::try_from(piece.end - begin).unwrap_or(usize::MAX);
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
            if left == 0 || begin + len as u64 > piece.end + LONGEST as u64 {
                break len;
            }
            let read = self.read_at(&piece.file, begin + len as u64, len, left.min(more))?;
            if read == 0 {
                break len;
            }
            len += read;
            more = (more * 2).min(LONGEST);
        };
        let first = if piece.begin == 0 {
            0
        } else {
            let own = usize::try_from(piece.end - begin).unwrap_or(usize::MAX).min(end);
            memchr::memchr(b'\n', &self.bytes[..own]).map_or(end, |newline| newline + 1)
        };
        // A newline that is the piece's last byte ends the lines of this piece; the next begins behind it.
        let first = if begin + first as u64 >= piece.end { end } else { first };
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

/// The blocks of a compressed segment, one after the other in the order wanted, until `visit` breaks off.
///
/// From its end it is decompressed once for every 16 MiB of its text, so that memory stays flat.
///
/// # Errors
/// `is_corrupt` where it cannot be decompressed, after what could be.
pub(super) fn decompress(
    path: &Path,
    file: &File,
    order: Order,
    visit: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let pass = |most: usize, visit: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>| -> Result<()> {
        let mut stream = Stream::of(file)
            .map_err(|error| Error::storage("cannot begin to decompress the segment", path, error))?;
        for _ in 0..most {
            match stream.next() {
                Ok(Some(block)) if visit(&block).is_continue() => {}
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
    if order == Order::OldestFirst {
        return pass(usize::MAX, visit);
    }
    let mut damage = Ok(());
    let mut most = usize::MAX;
    while most > 0 {
        let mut kept: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
        let (mut bytes, mut left) = (0, 0);
        let outcome = pass(most, &mut |block| {
            bytes += block.lines.len();
            kept.push_back((block.offset, block.lines.to_vec()));
            while bytes > WINDOW && kept.len() > 1 {
                bytes -= kept.pop_front().map_or(0, |(_, lines)| lines.len());
                left += 1;
            }
            ControlFlow::Continue(())
        });
        damage = damage.and(outcome);
        for (offset, lines) in kept.iter().rev() {
            if visit(&Block { lines, offset: *offset }).is_break() {
                return damage;
            }
        }
        most = left;
    }
    damage
}

/// Text that is decompressed from its beginning, cut into blocks.
struct Stream<'f> {
    reader: zstd::Decoder<'static, BufReader<Start<'f>>>,
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
        let reader = zstd::Decoder::new(Start { file, at: 0 })?;
        Ok(Self { reader, bytes: vec![0; BLOCK], filled: 0, given: 0, offset: 0, is_skipping: false })
    }

    fn next(&mut self) -> io::Result<Option<Block<'_>>> {
        self.bytes.copy_within(self.given..self.filled, 0);
        self.filled -= self.given;
        self.offset += self.given as u64;
        self.given = 0;
        let mut has_ended = false;
        loop {
            if self.is_skipping {
                let newline = memchr::memchr(b'\n', &self.bytes[..self.filled]);
                let gone = newline.map_or(self.filled, |newline| newline + 1);
                self.is_skipping = newline.is_none();
                self.bytes.copy_within(gone..self.filled, 0);
                self.filled -= gone;
                self.offset += gone as u64;
            }
            let is_full = self.filled == self.bytes.len();
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
