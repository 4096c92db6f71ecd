//! Reads the accepted entries that were never released from the bytes of a ring that no process uses any
//! more.
//!
//! The file may be in any state. Whole entries are returned in the order of their positions, and nothing is
//! invented: a record that does not carry its own position is no entry, nor, after a power loss, one whose
//! crc does not match.

use std::ops::Range;

use super::layout::{
    ALIGN, CHECKED, CLAIMED, CLOSED, COMMITTED, FLAGS, HEAD, Header, LINES, PAD, RECORD_HEADER, REFUSED,
    STATE, TAIL, WORD, record_size, seeded, unpack,
};

/// Positions count bytes: no ring reaches this one in a hundred years.
const LAST_POSITION: u64 = 1 << 59;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Salvaged {
    /// Their bytes, in order.
    pub(crate) entries: Vec<Vec<u8>>,
    /// A position after every one that any record carries.
    pub(crate) end: u64,
    /// No line of the trail before this one holds any of them.
    pub(crate) lines: u64,
}

pub(super) struct RingImage<'b> {
    header: Header,
    bytes: &'b [u8],
}

/// One valid record.
struct Record<'b> {
    state: u64,
    /// Bytes up to the next record.
    size: u64,
    payload: &'b [u8],
}

impl<'b> RingImage<'b> {
    /// Returns `None` if the bytes do not begin with a header.
    pub(super) fn new(bytes: &'b [u8]) -> Option<Self> {
        Some(Self { header: Header::decode(bytes)?, bytes })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    fn word(&self, offset: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(self.bytes.get(offset..offset + WORD)?.try_into().ok()?))
    }

    fn control(&self, word: usize) -> Option<u64> {
        self.word(word * WORD).map(|value| value & !FLAGS).filter(|value| *value < LAST_POSITION)
    }

    fn lines(&self) -> u64 {
        self.control(LINES).unwrap_or(0)
    }

    pub(super) fn refused(&self, word: usize) -> u64 {
        self.word(word * WORD).unwrap_or(0)
    }

    /// Whether the control page alone shows that nothing is left: everything reserved was released, and the
    /// page is no older than the rest. That holds if closing marked it, which is its last change, or in the
    /// same boot, in which the kernel has no other version of it.
    pub(super) fn is_drained(&self, same_boot: bool) -> bool {
        let is_closed = self.word(TAIL * WORD).is_some_and(|tail| tail & CLOSED != 0);
        (same_boot || is_closed)
            && self.control(HEAD).is_some()
            && self.control(HEAD) == self.control(TAIL)
            && self.refused(REFUSED) == 0
    }

    /// Returns all accepted entries that were not released.
    pub(super) fn salvage(&self, same_boot: bool) -> Salvaged {
        if self.is_drained(same_boot) {
            self.without_entries()
        } else if same_boot {
            self.walk()
        } else {
            self.scan()
        }
    }

    /// Returns where in the file the reserved and unreleased bytes are: up to two ranges of whole records.
    /// `None` if the two positions contradict each other.
    pub(super) fn unreleased(&self) -> Option<Vec<Range<usize>>> {
        let (head, tail) = (self.control(HEAD)?, self.control(TAIL)?);
        let unreleased = tail.checked_sub(head).filter(|unreleased| *unreleased <= self.header.capacity)?;
        if head % ALIGN != 0 || tail % ALIGN != 0 {
            return None;
        }
        let to_wrap = self.header.capacity - (head & (self.header.capacity - 1));
        let ranges = [(head, unreleased.min(to_wrap)), (head + to_wrap, unreleased.saturating_sub(to_wrap))];
        let ranges = ranges.into_iter().filter(|(_, len)| *len > 0);
        ranges
            .map(|(at, len)| Some(self.index_of(at)..self.index_of(at) + usize::try_from(len).ok()?))
            .collect()
    }

    /// Returns what a ring without unreleased entries leaves.
    pub(super) fn without_entries(&self) -> Salvaged {
        let end = self.control(TAIL).unwrap_or(0).next_multiple_of(ALIGN);
        Salvaged { entries: Vec::new(), end, lines: self.lines() }
    }

    /// Used after the death of a process: every record between head and tail is there, or was never finished.
    pub(super) fn walk(&self) -> Salvaged {
        let (Some(head), Some(tail)) = (self.control(HEAD), self.control(TAIL)) else { return self.scan() };
        if !(head..=head + self.header.capacity).contains(&tail) || head % ALIGN != 0 {
            return self.scan();
        }
        let mut entries = Vec::new();
        let mut at = head;
        while at < tail {
            let Some(record) = self.record(at).filter(|record| at + record.size <= tail) else {
                // A thread died between reserving and claiming; the entries after it were accepted all the
                // same.
                at += ALIGN;
                continue;
            };
            // No power was lost, so the memory is what was committed, and the crc is not needed.
            if matches!(record.state, COMMITTED | CHECKED) {
                entries.push(record.payload.to_vec());
            }
            at += record.size;
        }
        Salvaged { entries, end: tail.next_multiple_of(ALIGN), lines: self.lines() }
    }

    /// Used after a power loss: some pages are older than others, those of head and tail included.
    pub(super) fn scan(&self) -> Salvaged {
        let head = self.control(HEAD).unwrap_or(0);
        let mut found = Vec::new();
        let mut end = self.control(TAIL).unwrap_or(0).max(head);
        for offset in (0..self.header.capacity).step_by(64) {
            let Some(word) = self.word(self.index_of(offset)) else { break };
            let position = word & !STATE;
            if position >= LAST_POSITION || position & (self.header.capacity - 1) != offset {
                continue;
            }
            let Some(record) = self.record(position) else { continue };
            end = end.max(position + record.size);
            if record.state == CHECKED && position >= head {
                found.push((position, record.payload));
            }
        }
        found.sort_unstable_by_key(|(position, _)| *position);
        let entries = found.into_iter().map(|(_, payload)| payload.to_vec()).collect();
        Salvaged { entries, end: end.next_multiple_of(ALIGN), lines: self.lines() }
    }

    fn index_of(&self, position: u64) -> usize {
        let offset = usize::try_from(position & (self.header.capacity - 1)).unwrap_or(usize::MAX / 2);
        self.header.records_at() + offset
    }

    fn record(&self, position: u64) -> Option<Record<'b>> {
        let offset = self.index_of(position);
        let word = self.word(offset)?;
        if word & !STATE != position {
            return None;
        }
        let (len, crc) = unpack(self.word(offset + WORD)?);
        let state = word & STATE;
        let size = match state {
            PAD => u64::from(len),
            CLAIMED | COMMITTED | CHECKED => record_size(len as usize),
            _ => return None,
        };
        let to_wrap = self.header.capacity - (position & (self.header.capacity - 1));
        if size == 0 || size % ALIGN != 0 || size > to_wrap {
            return None;
        }
        if !matches!(state, COMMITTED | CHECKED) {
            return Some(Record { state, size, payload: &[] });
        }
        let begin = offset + usize::try_from(RECORD_HEADER).ok()?;
        let payload = self.bytes.get(begin..begin + len as usize)?;
        if state == CHECKED {
            let mut hasher = seeded(self.header.salt, position, len);
            hasher.update(payload);
            if hasher.finalize() != crc {
                return None;
            }
        }
        Some(Record { state, size, payload })
    }
}

#[cfg(test)]
mod tests;
