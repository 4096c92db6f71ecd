//! The binary format of an index, little-endian, described in docs/FORMAT.md.

use auditx_format::control_record::StoredRecord;
use auditx_format::{Error, Result};
use auditx_tlog::Hash;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh64::xxh64;

use super::keys::KeyFilter;
use super::{Extent, IndexBlock, SegmentIndex, TimeRange};

const MAGIC: [u8; 16] = *b"auditx index\r\n\x1a\n";
/// Version 1 had no control record and is not read.
const VERSION: u32 = 2;
pub(super) const HEADER_LEN: usize = 104;
const BLOCK_LEN: usize = 44;
const BUCKET_LEN: usize = 32;
/// The checksum detects damage. Forgery is detected by means of the control record.
const CHECKSUM_LEN: usize = 8;

impl SegmentIndex {
    /// Returns the bytes of the index file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.body();
        bytes.extend(u32::try_from(self.record.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(&self.record);
        let checksum = xxh64(&bytes, 0);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// Returns the SHA-256 of its contents, which the control record contains.
    pub fn digest(&self) -> Hash {
        Sha256::digest(self.body()).into()
    }

    /// Returns the bytes that describe the segment.
    fn body(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN + self.blocks.len() * BLOCK_LEN + CHECKSUM_LEN);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        // Only the last block can have less than 64 KiB, so `u32::MAX` blocks would be a segment of a
        // petabyte.
        bytes.extend(u32::try_from(self.blocks.len()).unwrap_or(u32::MAX).to_le_bytes());
        let Extent { first_seq, lines, text_len, text_hash, last_leaf } = self.extent;
        for number in [first_seq, lines, text_len, text_hash] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.times.min.to_le_bytes());
        bytes.extend(self.times.max.to_le_bytes());
        bytes.extend(last_leaf);
        for block in &self.blocks {
            bytes.extend(block.offset.to_le_bytes());
            bytes.extend(block.len.to_le_bytes());
            bytes.extend(block.lines.to_le_bytes());
            bytes.extend(block.times.min.to_le_bytes());
            bytes.extend(block.times.max.to_le_bytes());
            bytes.extend(block.crc.to_le_bytes());
            bytes.extend(block.unreadable.to_le_bytes());
            bytes.extend(u32::try_from(block.keys.0.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        for words in self.blocks.iter().flat_map(|block| block.keys.0.iter().flatten()) {
            bytes.extend(words.to_le_bytes());
        }
        bytes
    }

    /// Parses exactly what [`SegmentIndex::encode`] returns.
    ///
    /// # Errors
    /// `is_corrupt` if a byte was changed, or the numbers contradict each other.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| Error::corrupt(format!("the index of a segment is damaged: {what}"));
        let (body, checksum) =
            bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or_else(|| damaged("it is too short"))?;
        let fields = body.strip_prefix(&MAGIC).ok_or_else(|| damaged("it is not an index file"))?;
        let mut fields = Fields(fields);
        let version = fields.u32().unwrap_or(0);
        if version != VERSION {
            return Err(damaged(&format!("it has version {version}, and this is version {VERSION}")));
        }
        let mut index = read(&mut fields).ok_or_else(|| damaged("its numbers contradict each other"))?;
        let digest = Sha256::digest(&body[..body.len() - fields.0.len()]).into();
        index.record = fields.record().ok_or_else(|| damaged("the length of its control record is wrong"))?;
        if !index.is_consistent() {
            return Err(damaged("its numbers contradict each other"));
        }
        if index.record.is_empty() {
            if xxh64(body, 0) != u64::from_le_bytes(*checksum) {
                return Err(damaged("its checksum does not match"));
            }
        } else if !matches!(
            StoredRecord::read(&index.record),
            Some(StoredRecord::Indexed { first_seq, sha256 }) if (first_seq, sha256) == (index.extent.first_seq, digest)
        ) {
            // The SHA-256 includes what the checksum protects.
            return Err(damaged("its control record names another index"));
        }
        Ok(index)
    }

    /// Returns whether the blocks cover the text without gaps and match the totals in the header.
    fn is_consistent(&self) -> bool {
        let (mut offset, mut lines, mut times) = (0_u64, 0_u64, TimeRange::EMPTY);
        for block in &self.blocks {
            if block.offset != offset
                || block.lines == 0
                || block.len < block.lines
                || block.unreadable > block.lines
                || block.keys.0.is_empty()
                || !block.times.is_valid()
            {
                return false;
            }
            offset += u64::from(block.len);
            lines += u64::from(block.lines);
            times.include(block.times);
        }
        let Extent { first_seq, text_len, .. } = self.extent;
        let is_whole = (offset, lines, times) == (text_len, self.extent.lines, self.times);
        is_whole && lines > 0 && first_seq.checked_add(lines).is_some()
    }
}

/// Parses the extent in a header of this version.
pub(super) fn extent_in(header: &[u8]) -> Option<Extent> {
    let mut fields = Fields(header.strip_prefix(&MAGIC)?);
    if fields.u32()? != VERSION {
        return None;
    }
    read_header(&mut fields).map(|(_, extent, _)| extent)
}

/// Parses the number of blocks, and the extent and the times of the whole segment.
fn read_header(fields: &mut Fields<'_>) -> Option<(u32, Extent, TimeRange)> {
    let count = fields.u32()?;
    let (first_seq, lines) = (fields.u64()?, fields.u64()?);
    let (text_len, text_hash) = (fields.u64()?, fields.u64()?);
    let times = fields.times()?;
    Some((count, Extent { first_seq, lines, text_len, text_hash, last_leaf: fields.take()? }, times))
}

fn read(fields: &mut Fields<'_>) -> Option<SegmentIndex> {
    let (count, extent, times) = read_header(fields)?;
    let (mut blocks, mut buckets) = (Vec::new(), Vec::new());
    for _ in 0..count {
        blocks.push(IndexBlock {
            offset: fields.u64()?,
            len: fields.u32()?,
            lines: fields.u32()?,
            times: fields.times()?,
            crc: fields.u32()?,
            unreadable: fields.u32()?,
            keys: KeyFilter(Vec::new()),
        });
        buckets.push(fields.u32()?);
    }
    for (block, count) in blocks.iter_mut().zip(buckets) {
        let bytes = fields.bytes(usize::try_from(count).ok()?.checked_mul(BUCKET_LEN)?)?;
        block.keys.0 = bytes.chunks_exact(BUCKET_LEN).map(bucket).collect();
    }
    Some(SegmentIndex { extent, times, blocks, record: Vec::new() })
}

fn bucket(bytes: &[u8]) -> [u32; BUCKET_LEN / 4] {
    let mut words = [0; BUCKET_LEN / 4];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = bytes.try_into().map_or(0, u32::from_le_bytes);
    }
    words
}

/// The bytes that remain to be parsed.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn bytes(&mut self, len: usize) -> Option<&[u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// Parses the rest: a length and that number of bytes.
    fn record(&mut self) -> Option<Vec<u8>> {
        let len = usize::try_from(self.u32()?).ok()?;
        (self.0.len() == len).then(|| self.0.to_vec())
    }

    fn times(&mut self) -> Option<TimeRange> {
        Some(TimeRange { min: i64::from_le_bytes(self.take()?), max: i64::from_le_bytes(self.take()?) })
    }
}
