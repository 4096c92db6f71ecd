//! Builds an index by reading the text of a segment once.

use std::io::{self, BufRead, Read};

use auditx_format::row::Row;
use auditx_format::{Error, Result};
use auditx_tlog::{Hash, MAX_LINE, leaf_of, parse_seq};
use xxhash_rust::xxh64::Xxh64;

use super::keys::KeyCollector;
use super::{Extent, IndexBlock, SegmentIndex, TimeRange};
use crate::segment::Fingerprint;
use crate::tiles::Tiles;

/// A block ends with the first line that reaches this length. It is small compared with what a disk reads in
/// a millisecond, and has some hundred lines.
const BLOCK_BYTES: u64 = 256 * 1024;

impl SegmentIndex {
    /// Builds the index from the uncompressed text of a segment. Uses constant memory, one block of about 256
    /// KiB. Costs one XXH64 of the text and one pass over each line.
    ///
    /// # Errors
    /// `is_corrupt` if the text is not that of a segment: it is empty, or a line has no sequence number, has
    /// an unexpected one or is too long. `is_storage` if it cannot be read.
    pub fn of(text: impl BufRead) -> Result<Self> {
        Self::of_blocks(text, &mut |_, _| Ok(()))
    }

    /// Like [`SegmentIndex::of`], and compares the lines with the leaf hashes in the tile cache. Costs one
    /// SHA-256 per line in addition.
    ///
    /// # Errors
    /// `is_corrupt` also if a line does not match its leaf hash.
    pub(crate) fn of_signed(text: impl BufRead, tiles: &Tiles) -> Result<Self> {
        let (mut leaves, mut known) = (Vec::new(), Vec::new());
        Self::of_blocks(text, &mut |first_seq, block| {
            let lines = block.strip_suffix(b"\n").unwrap_or(block);
            leaves.clear();
            leaves.extend(
                lines
                    .split(|byte| *byte == b'\n')
                    .map(|line| leaf_of(line).map_or_else(Hash::default, |leaf| leaf.hash)),
            );
            known.resize(leaves.len(), Hash::default());
            let count = tiles.leaves(first_seq, &mut known);
            match leaves.iter().zip(&known[..count]).position(|(leaf, known)| leaf != known) {
                Some(index) => {
                    let seq = first_seq + index as u64;
                    Err(Error::corrupt(format!("line {seq} is not the line that was recorded")).with_seq(seq))
                }
                None => Ok(()),
            }
        })
    }

    /// Like [`SegmentIndex::of`], with the fingerprint of the text. Costs one XXH3 of the text in addition.
    pub(crate) fn with_fingerprint(text: impl BufRead) -> Result<(Self, u64)> {
        let mut fingerprint = Fingerprint::default();
        let index = Self::of_blocks(text, &mut |_, block| {
            fingerprint.update(block);
            Ok(())
        })?;
        Ok((index, fingerprint.value()))
    }

    fn of_blocks(mut text: impl BufRead, check: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<Self> {
        let mut scan = Scan::new();
        let mut block = Vec::new();
        loop {
            read_block(&mut text, &mut block)
                .map_err(|error| Error::of_storage("cannot read the text of a segment").because(error))?;
            if block.is_empty() {
                return scan.finish();
            }
            let before = scan.lines;
            scan.take(&block)?;
            let first_seq = scan.first_seq.unwrap_or(0) + before;
            check(first_seq, &block)?;
        }
    }
}

/// Reads the next whole lines. Text after the last newline counts as a line.
fn read_block(text: &mut impl BufRead, block: &mut Vec<u8>) -> io::Result<()> {
    block.clear();
    text.by_ref().take(BLOCK_BYTES).read_to_end(block)?;
    if block.last().is_some_and(|byte| *byte != b'\n') {
        // A damaged or forged segment may contain gigabytes without a newline.
        text.by_ref().take(MAX_LINE as u64).read_until(b'\n', block)?;
    }
    Ok(())
}

struct Scan {
    hasher: Xxh64,
    /// The sequence number of the first line, once it is known.
    first_seq: Option<u64>,
    lines: u64,
    text_len: u64,
    last_line: Vec<u8>,
    /// The keys of the current block.
    keys: KeyCollector,
    blocks: Vec<IndexBlock>,
}

impl Scan {
    fn new() -> Self {
        Self {
            hasher: Xxh64::new(0),
            first_seq: None,
            lines: 0,
            text_len: 0,
            last_line: Vec::new(),
            keys: KeyCollector::default(),
            blocks: Vec::new(),
        }
    }

    fn take(&mut self, block: &[u8]) -> Result<()> {
        self.hasher.update(block);
        let whole = block.strip_suffix(b"\n").unwrap_or(block);
        let (mut lines, mut unreadable, mut times, mut begin) = (0, 0, TimeRange::EMPTY, 0);
        for end in memchr::memchr_iter(b'\n', whole).chain([whole.len()]) {
            let line = &whole[begin..end];
            self.check(line)?;
            match Row::read(line) {
                Ok(row) => {
                    times.include(TimeRange::of(&row));
                    self.keys.add(&row);
                }
                Err(_) => {
                    times.include(TimeRange::UNBOUNDED);
                    unreadable += 1;
                }
            }
            (lines, begin) = (lines + 1, end + 1);
            self.lines += 1;
        }
        let last = memchr::memrchr(b'\n', whole).map_or(0, |end| end + 1);
        self.last_line.clear();
        self.last_line.extend_from_slice(&whole[last..]);
        let len =
            u32::try_from(block.len()).map_err(|_| Error::corrupt("a block of a segment is too long"))?;
        self.blocks.push(IndexBlock {
            offset: self.text_len,
            len,
            lines,
            times,
            crc: crc32fast::hash(block),
            unreadable,
            keys: self.keys.finish(),
        });
        self.text_len += u64::from(len);
        Ok(())
    }

    /// Checks that sequence numbers are consecutive, so that readers may count lines.
    fn check(&mut self, line: &[u8]) -> Result<()> {
        let seq = parse_seq(line).filter(|_| line.len() < MAX_LINE);
        let first_seq = self.first_seq.or(seq).unwrap_or(0);
        let expected = first_seq.checked_add(self.lines);
        if seq.is_none() || seq != expected {
            let expected = expected.unwrap_or(u64::MAX);
            let what = format!("found something else where line {expected} of a segment was expected");
            return Err(Error::corrupt(what).with_seq(expected));
        }
        self.first_seq = Some(first_seq);
        Ok(())
    }

    fn finish(self) -> Result<SegmentIndex> {
        let (Some(first_seq), Some(last)) = (self.first_seq, leaf_of(&self.last_line)) else {
            return Err(Error::corrupt("the segment has no lines"));
        };
        let mut times = TimeRange::EMPTY;
        self.blocks.iter().for_each(|block| times.include(block.times));
        Ok(SegmentIndex {
            extent: Extent {
                first_seq,
                lines: self.lines,
                text_len: self.text_len,
                text_hash: self.hasher.digest(),
                last_leaf: last.hash,
            },
            times,
            blocks: self.blocks,
            record: Vec::new(),
        })
    }
}
