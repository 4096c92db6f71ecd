//! Hashes the lines of one chunk of text and picks out the lines that matter for verification.
//!
//! The input starts at the beginning of a line; the result is a [`Piece`]. The scan stops at the first line
//! that does not have the expected number; `localise` and `classify` find out why.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use auditx_format::control_record::StoredRecord;
use auditx_format::line_head::{LineHead, is_sensitive};
use auditx_tlog::{
    Hash, MAX_LINE, SEQ_PREFIX, SignedCheckpoint, VerifierKey, erased_hash, leaf_hashes, parse_seq,
};

use super::leaf_cache::LeafCache;
use super::moment::Moments;
use super::subtrees::Subtrees;
use super::window::Window;

/// Longer than any stub of an erased line.
const LONGEST_STUB: usize = 128;

/// Consecutive lines of one segment, each with the number that follows the one before.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Which segment, in the order of the trail.
    pub(super) segment: usize,
    /// Where the first line begins.
    pub(super) offset: u64,
    /// The number of the first line; `None` if there is no line or the first has no number.
    pub(super) number: Option<u64>,
    pub(super) subtrees: Subtrees,
    pub(super) notices: Vec<Notice>,
    /// The second of each line whose second differs from that of the line before.
    pub(super) seconds: Vec<(u64, u64)>,
    /// The lines that `security.jsonl` repeats, with their hashes.
    pub(super) sensitive: Vec<(u64, Hash)>,
    /// The offset of the first line that does not follow.
    pub(super) stop: Option<u64>,
    /// Bytes after the last newline of the segment.
    pub(super) rest: u64,
    /// The first line whose hash differs from the tile cache.
    pub(super) cache_differs_at: Option<u64>,
    /// Bytes on disk that this piece completes.
    pub(super) bytes: u64,
}

/// A line that concerns the trail itself.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) seq: u64,
    pub(super) offset: u64,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Record(Box<StoredRecord>),
    /// A checkpoint, and the known keys that signed it.
    Checkpoint(Box<SignedCheckpoint>, Vec<VerifierKey>),
    /// The stub of an erased line, with the line's hash.
    Stub(Hash),
}

/// The keys known so far, shared by all threads.
#[derive(Debug, Default)]
pub(super) struct KnownKeys(Mutex<Arc<[VerifierKey]>>);

impl KnownKeys {
    pub(super) fn new(keys: &[VerifierKey]) -> Self {
        Self(Mutex::new(keys.into()))
    }

    pub(super) fn add(&self, key: &VerifierKey) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.contains(key) {
            *keys = keys.iter().chain([key]).cloned().collect();
        }
    }

    fn all(&self) -> Arc<[VerifierKey]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The expected beginning of the next line, `{"seq":N,`, counted up in place.
#[derive(Debug)]
struct Counter(Vec<u8>);

impl Counter {
    fn new(seq: u64) -> Self {
        let mut text = SEQ_PREFIX.to_vec();
        text.extend_from_slice(seq.to_string().as_bytes());
        text.push(b',');
        Self(text)
    }

    fn count(&mut self) {
        for digit in self.0[SEQ_PREFIX.len()..].iter_mut().rev().skip(1) {
            if *digit != b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.0.insert(SEQ_PREFIX.len(), b'1');
    }
}

/// The state while one chunk is scanned.
#[derive(Debug)]
pub(super) struct Scan {
    piece: Piece,
    next: Option<(u64, Counter)>,
    moments: Moments,
    leaves: Vec<Hash>,
    batch: Batch,
    /// Where the next line begins.
    offset: u64,
}

/// The lines of one window, which are hashed together.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<Range<usize>>,
    /// The lines that are stubs, by their number in the batch, with the hashes of the lines they replaced.
    stubs: Vec<(usize, Hash)>,
    /// The lines that `security.jsonl` repeats, by their number in the batch, with their seqs.
    sensitive: Vec<(usize, u64)>,
}

impl Scan {
    /// Starts with the line at this offset of this segment.
    pub(super) fn new(segment: usize, offset: u64) -> Self {
        Self {
            piece: Piece { segment, offset, ..Piece::default() },
            next: None,
            moments: Moments::default(),
            leaves: Vec::new(),
            batch: Batch::default(),
            offset,
        }
    }

    /// Where the next line begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the lines so far.
    pub(super) fn len(&self) -> u64 {
        self.offset - self.piece.offset
    }

    /// Whether a line did not follow.
    pub(super) fn is_stopped(&self) -> bool {
        self.piece.stop.is_some()
    }

    /// Stops before the next line, which cannot be read.
    pub(super) fn stop(&mut self) {
        self.piece.stop = Some(self.offset);
    }

    /// Scans the complete lines in the window.
    pub(super) fn take(&mut self, window: &mut Window, keys: &KnownKeys) {
        let text = window.unread();
        let mut start = 0;
        while let Some(len) = memchr::memchr(b'\n', &text[start..]) {
            if !self.line(&text[start..start + len], keys) {
                self.stop();
                break;
            }
            self.batch.lines.push(start..start + len);
            start += len + 1;
            self.offset += len as u64 + 1;
        }
        self.hash(text);
        window.consume(start);
    }

    /// Hashes the lines of the batch.
    fn hash(&mut self, text: &[u8]) {
        let Batch { lines, stubs, sensitive } = &mut self.batch;
        let first = self.leaves.len();
        leaf_hashes(lines.drain(..).map(|line| &text[line]), &mut self.leaves);
        let leaves = &mut self.leaves[first..];
        stubs.drain(..).for_each(|(index, hash)| leaves[index] = hash);
        self.piece.sensitive.extend(sensitive.drain(..).map(|(index, seq)| (seq, leaves[index])));
    }

    /// Scans one line; `false` if it does not follow.
    #[inline]
    fn line(&mut self, line: &[u8], keys: &KnownKeys) -> bool {
        if self.next.is_none() {
            let first = parse_seq(line);
            self.piece.number = first;
            self.next = first.map(|first| (first, Counter::new(first)));
        }
        // The largest number has no successor, so no writer uses it.
        let next = self.next.as_mut().filter(|(seq, _)| *seq < u64::MAX);
        let Some((seq, counter)) = next else { return false };
        let Some(body) = line.strip_prefix(&*counter.0).filter(|_| line.len() < MAX_LINE) else {
            return false;
        };
        let head = LineHead::of_body(body);
        let is_sensitive = head.and_then(LineHead::from_level).is_some_and(is_sensitive);
        if let Some(head) = head {
            if let Some(second) = self.moments.changed(head.timestamp) {
                self.piece.seconds.push((*seq, second));
            }
            if head.may_be_control_record()
                && let Some(record) = StoredRecord::read(line)
            {
                let what = match record {
                    StoredRecord::Checkpoint(checkpoint) => {
                        let keys = keys.all();
                        let signers = checkpoint.verify(&keys).unwrap_or_default();
                        let signers = signers.into_iter().cloned().collect();
                        What::Checkpoint(Box::new(checkpoint), signers)
                    }
                    record => What::Record(Box::new(record)),
                };
                self.piece.notices.push(Notice { seq: *seq, offset: self.offset, what });
            }
        }
        let index = self.batch.lines.len();
        if line.len() <= LONGEST_STUB
            && let Some(hash) = erased_hash(line)
        {
            self.piece.notices.push(Notice { seq: *seq, offset: self.offset, what: What::Stub(hash) });
            self.batch.stubs.push((index, hash));
        }
        if is_sensitive {
            self.batch.sensitive.push((index, *seq));
        }
        *seq += 1;
        counter.count();
        true
    }

    /// Ends the scan. `rest` bytes follow the lines at the end of the segment; `bytes` on disk are completed.
    pub(super) fn finish(self, rest: u64, bytes: u64, cache: &mut CacheComparison<'_>) -> Piece {
        let Self { mut piece, leaves, .. } = self;
        (piece.rest, piece.bytes) = (rest, bytes);
        piece.number = piece.number.filter(|_| !leaves.is_empty());
        let first = piece.number.unwrap_or(0);
        piece.cache_differs_at = cache.difference(first, &leaves);
        piece.subtrees = Subtrees::new(first, leaves);
        piece
    }
}

/// Compares leaf hashes with the tile cache.
#[derive(Debug)]
pub(super) struct CacheComparison<'a> {
    leaf_cache: Option<&'a LeafCache>,
    /// Cached hashes from this line on are not compared: these lines are not signed.
    signed: u64,
    buffer: Vec<Hash>,
}

impl<'a> CacheComparison<'a> {
    pub(super) fn new(leaf_cache: Option<&'a LeafCache>, signed: u64) -> Self {
        Self { leaf_cache, signed, buffer: Vec::new() }
    }

    fn difference(&mut self, first: u64, leaves: &[Hash]) -> Option<u64> {
        let signed = usize::try_from(self.signed.saturating_sub(first)).unwrap_or(usize::MAX);
        self.leaf_cache?.difference(first, &leaves[..leaves.len().min(signed)], &mut self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use auditx_tlog::{leaf_hash, to_hex};

    use super::*;

    fn scan(text: &str) -> (Piece, usize) {
        let (mut window, mut scan, mut source) = (Window::new(), Scan::new(3, 1_000), text.as_bytes());
        while !scan.is_stopped() && window.fill_from(&mut source).unwrap() > 0 {
            scan.take(&mut window, &KnownKeys::default());
            if window.is_full() {
                break;
            }
        }
        (scan.finish(0, 0, &mut CacheComparison::new(None, 0)), window.len())
    }

    #[test]
    fn lines_are_hashed_while_their_numbers_follow() {
        let lines = ["{\"seq\":9,\"a\":1}", "{\"seq\":10,\"a\":22}", "{\"seq\":11,}"];
        let text = lines.join("\n") + "\n";
        let hashes: Vec<Hash> = lines.iter().map(|line| leaf_hash(line.as_bytes())).collect();
        let (piece, left) = scan(&(text.clone() + "{\"seq\":12,\"half"));
        assert_eq!(
            (piece.segment, piece.offset, piece.number, piece.stop, left),
            (3, 1_000, Some(9), None, 15)
        );
        assert_eq!((piece.subtrees.end(), piece.subtrees.leaves()), (12, &*hashes));
        for wrong in ["{\"seq\":13,\"a\":1}\n", "\n", "{\"seq\":12}\n", "{\"seq\":012,\n", " {\"seq\":12,\n"]
        {
            let (piece, _) = scan(&(text.clone() + wrong));
            assert_eq!((piece.number, piece.stop), (Some(9), Some(1_000 + text.len() as u64)), "{wrong}");
            assert_eq!(piece.subtrees.leaves(), hashes);
        }
        assert_eq!(scan("x\n").0.stop, Some(1_000));
        assert_eq!(scan("{\"seq\":1,").0.stop, None);
    }

    #[test]
    fn a_line_longer_than_the_maximum_stops_the_scan() {
        let line = |len: usize| format!("{{\"seq\":1,{}\n", "x".repeat(len - 10));
        let (piece, left) = scan(&line(MAX_LINE));
        assert_eq!((piece.subtrees.leaves().len(), piece.stop, left), (1, None, 0));
        let (piece, _) = scan(&line(MAX_LINE + 1));
        assert_eq!((piece.number, piece.stop), (None, Some(1_000)));
    }

    #[test]
    fn a_counter_counts_in_decimal_from_any_number() {
        for first in [0, 9, 98, 999, 123_456_789_998] {
            let mut counter = Counter::new(first);
            for seq in first..first + 20 {
                assert_eq!(counter.0, format!("{{\"seq\":{seq},").into_bytes());
                counter.count();
            }
        }
    }

    #[test]
    fn a_stub_has_the_leaf_hash_of_the_line_it_replaced() {
        let hash = leaf_hash(b"gone");
        let (piece, _) = scan(&format!("{{\"seq\":5,\"erased\":\"{}\"}}\n", to_hex(&hash)));
        assert_eq!(piece.subtrees.leaves(), [hash]);
        let [Notice { seq: 5, offset: 1_000, what: What::Stub(stub) }] = piece.notices[..] else {
            panic!("{piece:?}")
        };
        assert_eq!(stub, hash);
    }
}
