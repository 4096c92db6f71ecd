//! Reads blocks of whole lines: from a plain file the lines that begin in a byte range, from a compressed one
//! all.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use auditx_store::Frame;

use super::Order;
use super::prune::Extent;
use super::units::Piece;
use crate::error::{Error, Result};
use crate::segment::LONGEST;

/// The first read past a byte range, for the end of its last line.
const TAIL_READ: usize = 4 * 1024;

/// The number of bytes decompressed at once.
const BLOCK: usize = if cfg!(test) { 2 * 1024 } else { 256 * 1024 };

/// The amount of decompressed text kept to read a compressed segment backwards.
const WINDOW: usize = if cfg!(test) { 64 * 1024 } else { 16 * 1024 * 1024 };

/// Whole lines, each with its newline, except perhaps the last one of a file.
pub(super) struct Block<'b> {
    pub(super) lines: &'b [u8],
    /// The offset of the lines in the file's text.
    pub(super) offset: u64,
}

/// A read buffer, reused by a thread.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    /// Reads the lines that begin in a byte range of a file.
    pub(super) fn read(&mut self, piece: &Piece, bytes: &Range<u64>) -> Result<Block<'_>> {
        self.fill(piece, bytes).map_err(|error| failed(piece, bytes.start, error))
    }

    /// Reads an extent of a file. The block is shorter if the file is.
    pub(super) fn read_block(&mut self, piece: &Piece, begin: u64, end: u64) -> Result<Block<'_>> {
        let len = usize::try_from(end - begin).unwrap_or(usize::MAX);
        let read = self.read_at(&piece.file, begin, 0, len).map_err(|error| failed(piece, begin, error))?;
        Ok(Block { lines: &self.bytes[..read], offset: begin })
    }

    fn fill(&mut self, piece: &Piece, bytes: &Range<u64>) -> io::Result<Block<'_>> {
        // The byte before the range tells whether a line begins at its first byte.
        let begin = bytes.start.saturating_sub(1);
        let mut len = usize::try_from(bytes.end - begin).unwrap_or(usize::MAX);
        len = self.read_at(&piece.file, begin, 0, len)?;
        let mut searched = len.saturating_sub(1);
        let mut more = TAIL_READ;
        let end = loop {
            if let Some(newline) = memchr::memchr(b'\n', &self.bytes[searched..len]) {
                break searched + newline + 1;
            }
            searched = len;
            let left = usize::try_from(piece.len.saturating_sub(begin + len as u64)).unwrap_or(usize::MAX);
            // A line this long is not an entry; its beginning is enough to report it.
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
            let within = usize::try_from(bytes.end - begin).unwrap_or(usize::MAX).min(end);
            memchr::memchr(b'\n', &self.bytes[..within]).map_or(end, |newline| newline + 1)
        };
        // After a newline at the last byte of the range, the next line belongs to the next range.
        let first = if begin + first as u64 >= bytes.end { end } else { first };
        Ok(Block { lines: &self.bytes[first..end], offset: begin + first as u64 })
    }

    /// Reads up to `len` bytes into the buffer at `at`.
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

/// Called with each block, and its extent if there is an index.
pub(super) type Visit<'v> = dyn FnMut(&Block<'_>, Option<&Extent>) -> ControlFlow<()> + 'v;

/// Visits the blocks of a compressed segment in the given order until `visit` breaks. With an index, the
/// blocks are those of the index.
///
/// Backwards, the segment is decompressed once for every 16 MiB of its text, so that memory stays bounded.
///
/// # Errors
/// `is_corrupt` if the segment is damaged; the blocks before the damage are visited.
pub(super) fn decompress(
    path: &Path,
    file: &File,
    order: Order,
    blocks: Option<&[Extent]>,
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
    let extent = |number: usize| blocks.and_then(|blocks| blocks.get(number));
    if order == Order::OldestFirst {
        return pass(usize::MAX, &mut |number, block| visit(block, extent(number)));
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
            if visit(&Block { lines, offset: *offset }, extent(left + number)).is_break() {
                return damage;
            }
        }
        most = left;
    }
    damage
}

/// Decompressed text, cut into blocks.
struct Stream<'f> {
    reader: Frame<FromStart<'f>>,
    bytes: Vec<u8>,
    filled: usize,
    /// The number of bytes returned by the last call.
    returned: usize,
    /// The offset of the next block.
    offset: u64,
    /// Whether the rest of a line is being skipped whose beginning was returned.
    is_skipping: bool,
}

impl<'f> Stream<'f> {
    fn of(file: &'f File) -> io::Result<Self> {
        let reader = Frame::new(FromStart { file, at: 0 })?;
        Ok(Self { reader, bytes: vec![0; BLOCK], filled: 0, returned: 0, offset: 0, is_skipping: false })
    }

    /// Returns the next whole lines, or exactly `len` bytes if `len` is given and that many remain.
    fn next(&mut self, len: Option<u64>) -> io::Result<Option<Block<'_>>> {
        self.bytes.copy_within(self.returned..self.filled, 0);
        self.filled -= self.returned;
        self.offset += self.returned as u64;
        self.returned = 0;
        let len = len.and_then(|len| usize::try_from(len).ok());
        let mut has_ended = false;
        loop {
            if let Some(len) = len.filter(|len| *len <= self.filled) {
                self.returned = len;
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
                    self.returned = newline + 1;
                } else if has_ended || self.filled > LONGEST {
                    self.is_skipping = !has_ended;
                    self.returned = self.filled;
                }
                if self.returned > 0 {
                    return Ok(Some(Block { lines: &self.bytes[..self.returned], offset: self.offset }));
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

/// Reads a file from its beginning, independent of its shared cursor.
struct FromStart<'f> {
    file: &'f File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
