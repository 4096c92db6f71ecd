//! Whether the lines that are read are those that were signed, and whether any are missing.
//!
//! Blocks of a segment with an index have the checksum that it names. All other lines have the hash that the tree names. What
//! is read and what is skipped together must be all lines, each once. Whatever is not so is a doubt; reading every line then
//! decides what is wrong.

use std::ops::Range;

use auditx_core::{Hash, erased_hash, leaf_hashes, parse_seq};

use super::Order;
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
    signed: u64,
    doubt: Option<String>,
}

impl Continuity {
    /// `from_edge` if the search begins where the trail does in this order.
    pub(super) fn new(head: &Head, order: Order, from_edge: bool) -> Self {
        let signed = head.signed.unwrap_or(0);
        let (next, last) = match order {
            Order::OldestFirst => (from_edge.then_some(head.first_seq), Some(signed)),
            Order::NewestFirst => (None, Some(head.first_seq)),
        };
        // From the newest on, the first lines that are read must reach to the end of what was signed.
        let signed = if order == Order::NewestFirst && !from_edge { 0 } else { signed };
        Self { order, next, last: last.filter(|_| head.ledger.is_some()), signed, doubt: None }
    }

    pub(super) fn take(&mut self, seqs: &Range<u64>) {
        if seqs.is_empty() || self.last.is_none() || self.doubt.is_some() {
            return;
        }
        match self.order {
            Order::OldestFirst => {
                self.expect(seqs.start);
                self.next = Some(seqs.end);
            }
            Order::NewestFirst => {
                match self.next {
                    Some(_) => self.expect(seqs.end),
                    None if seqs.end < self.signed => self.doubt = Some(missing(seqs.end, self.signed)),
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
        match (self.order, self.next) {
            (Order::OldestFirst, Some(next)) if next < last => Some(missing(next, last)),
            (Order::NewestFirst, Some(next)) if next > last => Some(missing(last, next)),
            (_, None) if self.signed > 0 => Some(missing(0, self.signed)),
            _ => None,
        }
    }
}

fn missing(first: u64, end: u64) -> String {
    format!("lines {first} to {} are not where they must be", end.saturating_sub(1))
}
