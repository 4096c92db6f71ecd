//! Whether the lines that are read are those that were signed, and whether any are missing.
//!
//! Blocks of a segment with an index have the checksum that it names. All other lines have the hash that the tree names. What
//! is read and what is skipped together must be all lines, each once. Whatever is not so is a doubt; reading every line then
//! decides what is wrong.

use std::ops::Range;

use auditx_core::{Hash, erased_hash, leaf_hashes, parse_seq};

use super::{Cursor, Order};
use crate::head::Head;
use crate::ledger::Ledger;

/// The numbers of the lines of a stretch, or why they cannot be known.
pub(super) type Checked = Result<Option<Range<u64>>, String>;

/// Compares each signed line with its hash. `lines` are whole, each with its newline.
pub(super) fn lines(lines: &[u8], ledger: &Ledger) -> Checked {
    let Some(text) = lines.strip_suffix(b"\n") else { return Ok(None) };
    let first = parse_seq(text).ok_or("a line does not begin with a sequence number")?;
    let mut next = first;
    let mut signed: Vec<&[u8]> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        if parse_seq(line) != Some(next) {
            return Err(format!("another line is in the place of line {next}"));
        }
        if next < ledger.size() {
            signed.push(line);
        }
        next = next.checked_add(1).ok_or("no trail has so many lines")?;
    }
    let mut hashes: Vec<Hash> = Vec::with_capacity(signed.len());
    leaf_hashes(signed.iter().copied(), &mut hashes);
    if let Some(seq) = ledger.difference(first, &hashes) {
        let place = usize::try_from(seq - first).unwrap_or(usize::MAX);
        let what = if signed.get(place).is_some_and(|line| erased_hash(line).is_some()) {
            "the text is gone"
        } else {
            "another line is there"
        };
        return Err(format!("line {seq} is not as it was signed: {what}"));
    }
    Ok(Some(first..next))
}

/// Compares a block of an index with its checksum.
pub(super) fn block(bytes: &[u8], crc: u32, seqs: &Range<u64>) -> Checked {
    if crc32fast::hash(bytes) == crc {
        return Ok(Some(seqs.clone()));
    }
    Err(format!("lines {} to {} are not as they were signed", seqs.start, seqs.end - 1))
}

/// What was read so far, in the order in which it is wanted.
#[derive(Debug)]
pub(super) struct Continuity {
    order: Order,
    /// Where the lines must begin in this order; `None` if anywhere is right.
    next: Option<u64>,
    /// Where they must end in this order, if all are read.
    last: Option<u64>,
    /// How far towards the edge in this order the first lines that are read must reach.
    reach: u64,
    doubt: Option<String>,
}

impl Continuity {
    /// After a line that a cursor names, whole segments are left out; the first one read may begin before it.
    pub(super) fn new(head: &Head, order: Order, after: Option<&Cursor>) -> Self {
        let signed = head.signed.unwrap_or(0);
        let after = match after {
            Some(Cursor::Seq(seq)) => Some(*seq),
            _ => None,
        };
        let (next, last, reach) = match (order, after) {
            (Order::OldestFirst, None) => (Some(head.first_seq), signed, head.first_seq),
            (Order::OldestFirst, Some(seq)) => (None, signed, head.first_seq.max(seq.saturating_add(1))),
            (Order::NewestFirst, _) => (None, head.first_seq, after.map_or(signed, |seq| seq.min(signed))),
        };
        let last = head.ledger.is_some().then_some(last);
        Self { order, next, last, reach, doubt: None }
    }

    pub(super) fn take(&mut self, seqs: &Range<u64>) {
        if seqs.is_empty() || self.last.is_none() || self.doubt.is_some() {
            return;
        }
        match self.order {
            Order::OldestFirst => {
                match self.next {
                    Some(_) => self.expect(seqs.start),
                    None if seqs.start > self.reach => self.doubt = Some(missing(self.reach, seqs.start)),
                    None => {}
                }
                self.next = Some(seqs.end);
            }
            Order::NewestFirst => {
                match self.next {
                    Some(_) => self.expect(seqs.end),
                    None if seqs.end < self.reach => self.doubt = Some(missing(seqs.end, self.reach)),
                    None => {}
                }
                self.next = Some(seqs.start);
            }
        }
    }

    fn expect(&mut self, found: u64) {
        if let Some(next) = self.next.filter(|next| *next != found) {
            self.doubt = Some(missing(next.min(found), next.max(found)));
        }
    }

    /// Something that was read is not as it must be.
    pub(super) fn doubt(&mut self, why: String) {
        self.doubt.get_or_insert(why);
    }

    /// The first doubt; `is_whole` if the search ran to its end.
    pub(super) fn finish(self, is_whole: bool) -> Option<String> {
        if self.doubt.is_some() || !is_whole {
            return self.doubt;
        }
        let last = self.last?;
        let next = self.next.unwrap_or(self.reach);
        match self.order {
            Order::OldestFirst if next < last => Some(missing(next, last)),
            Order::NewestFirst if next > last => Some(missing(last, next)),
            _ => None,
        }
    }
}

fn missing(first: u64, end: u64) -> String {
    format!("lines {first} to {} are not where they must be", end.saturating_sub(1))
}
