//! Compares the lines that a search reads with what was signed, and notices missing lines.
//!
//! A block of an indexed segment is compared with its checksum in the index. Every other line is compared
//! with its leaf hash in the tree. The lines that are read and those that are skipped must together be all
//! lines, each exactly once. Any deviation is a reason to verify the whole trail, which then determines what
//! is wrong.

use std::ops::Range;

use auditx_tlog::{Hash, erased_hash, leaf_hashes, parse_seq};

use super::{Cursor, Order};
use crate::head::Head;
use crate::signed_leaves::SignedLeaves;

/// The seqs of the lines compared, or the reason to verify the trail.
pub(super) type Checked = Result<Option<Range<u64>>, String>;

/// Compares each signed line with its hash. `lines` are whole lines, each with its newline.
pub(super) fn lines(lines: &[u8], signed_leaves: &SignedLeaves) -> Checked {
    let Some(text) = lines.strip_suffix(b"\n") else { return Ok(None) };
    let first = parse_seq(text).ok_or("a line does not begin with a sequence number")?;
    let mut next = first;
    let mut signed: Vec<&[u8]> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        if parse_seq(line) != Some(next) {
            return Err(format!("expected line {next}, found another line"));
        }
        if next < signed_leaves.size() {
            signed.push(line);
        }
        next = next.checked_add(1).ok_or("the sequence number of a line is too large")?;
    }
    let mut hashes: Vec<Hash> = Vec::with_capacity(signed.len());
    leaf_hashes(signed.iter().copied(), &mut hashes);
    if let Some(seq) = signed_leaves.difference(first, &hashes) {
        let index = usize::try_from(seq - first).unwrap_or(usize::MAX);
        let what = if signed.get(index).is_some_and(|line| erased_hash(line).is_some()) {
            "its text was removed"
        } else {
            "the line was changed"
        };
        return Err(format!("line {seq} does not match its signed hash: {what}"));
    }
    Ok(Some(first..next))
}

/// Compares a block with its checksum in the index.
pub(super) fn block(bytes: &[u8], crc: u32, seqs: &Range<u64>) -> Checked {
    if crc32fast::hash(bytes) == crc {
        return Ok(Some(seqs.clone()));
    }
    Err(format!("lines {} to {} do not match their signed checksum", seqs.start, seqs.end - 1))
}

/// Tracks that the lines read and skipped so far are contiguous in the search order.
#[derive(Debug)]
pub(super) struct Continuity {
    order: Order,
    /// The seq at which the next lines must begin in this order; `None` if any is allowed.
    next: Option<u64>,
    /// The seq at which the lines must end in this order, if all are read.
    last: Option<u64>,
    /// The first lines read must begin at or before this seq or, newest first, end at or after it.
    reach: u64,
    verify_reason: Option<String>,
}

impl Continuity {
    /// Starts at a cursor if there is one: whole segments are skipped, and the first one read may begin
    /// before it.
    pub(super) fn new(head: &Head, order: Order, after: Option<&Cursor>) -> Self {
        let signed = head.signed().unwrap_or(0);
        let after = match after {
            Some(Cursor::Seq(seq)) => Some(*seq),
            _ => None,
        };
        let (next, last, reach) = match (order, after) {
            (Order::OldestFirst, None) => (Some(head.first_seq), signed, head.first_seq),
            (Order::OldestFirst, Some(seq)) => (None, signed, head.first_seq.max(seq.saturating_add(1))),
            (Order::NewestFirst, _) => (None, head.first_seq, after.map_or(signed, |seq| seq.min(signed))),
        };
        let last = head.signed_leaves.is_some().then_some(last);
        Self { order, next, last, reach, verify_reason: None }
    }

    pub(super) fn take(&mut self, seqs: &Range<u64>) {
        if seqs.is_empty() || self.last.is_none() || self.verify_reason.is_some() {
            return;
        }
        match self.order {
            Order::OldestFirst => {
                match self.next {
                    Some(_) => self.expect(seqs.start),
                    None if seqs.start > self.reach => {
                        self.verify_reason = Some(missing(self.reach, seqs.start));
                    }
                    None => {}
                }
                self.next = Some(seqs.end);
            }
            Order::NewestFirst => {
                match self.next {
                    Some(_) => self.expect(seqs.end),
                    None if seqs.end < self.reach => {
                        self.verify_reason = Some(missing(seqs.end, self.reach));
                    }
                    None => {}
                }
                self.next = Some(seqs.start);
            }
        }
    }

    fn expect(&mut self, found: u64) {
        if let Some(next) = self.next.filter(|next| *next != found) {
            self.verify_reason = Some(missing(next.min(found), next.max(found)));
        }
    }

    /// Requires a verification of the trail for this reason.
    pub(super) fn require_verification(&mut self, reason: String) {
        self.verify_reason.get_or_insert(reason);
    }

    /// Returns the first reason to verify the trail. `is_whole`: the search ran to its end.
    pub(super) fn finish(self, is_whole: bool) -> Option<String> {
        if self.verify_reason.is_some() || !is_whole {
            return self.verify_reason;
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
    format!("lines {first} to {} are missing or out of order", end.saturating_sub(1))
}
