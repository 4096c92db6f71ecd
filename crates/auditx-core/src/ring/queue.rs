//! The protocol: many threads push, one drains. Safe code over shared words; nothing here waits.

use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::layout::{
    ALIGN, CHECKED, CLAIMED, CLOSED, COMMITTED, CONTROL_WORDS, FLAGS, HEAD, LINES, PAD, PARKED, PAUSED,
    POISONED, RECORD_HEADER, REFUSED, REFUSED_AT, REFUSED_FIRST, REFUSED_LAST, STATE, TAIL, WORD, pack,
    record_size, seeded, unpack,
};
use super::map::Map;
use super::word::{Memory, Word};
use crate::kill_point::kill_point;

/// An accepted entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// The position behind it.
    pub(crate) end: u64,
    /// Whether the drain must be told: it sleeps until it is woken, or more than half is full.
    pub(crate) wake: bool,
}

/// Room for one record.
struct Reserved {
    start: u64,
    end: u64,
    wake: bool,
}

/// Why an entry was not accepted. Nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    /// The ring's file is being restored; try again in some milliseconds.
    Paused,
    Closed,
    Poisoned,
}

/// What stands at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// An accepted entry of so many bytes; the next record begins at `end`.
    Entry { len: usize, end: u64 },
    /// Nothing to take; the next record begins here.
    Skip { end: u64 },
    /// Nothing is reserved.
    Empty,
    /// Reserved, and its thread has not finished.
    Unfinished,
}

pub(crate) struct Queue<M> {
    memory: M,
    capacity: u64,
    salt: u64,
}

impl<M> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl<M: Memory> Queue<M> {
    /// Over memory of a control page and `capacity` bytes, a power of two.
    pub(crate) fn new(memory: M, capacity: u64, salt: u64) -> Self {
        Self { memory, capacity, salt }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    #[cfg(test)]
    pub(super) fn words(&self) -> &[M::Word] {
        self.memory.words()
    }

    fn control(&self, word: usize) -> &M::Word {
        &self.memory.words()[word]
    }

    /// Reserved up to here.
    pub(crate) fn tail(&self) -> u64 {
        self.control(TAIL).load(Acquire) & !FLAGS
    }

    /// Released up to here.
    pub(crate) fn head(&self) -> u64 {
        self.control(HEAD).load(Acquire)
    }

    /// Copies an entry into the ring. When this returns it is accepted. Costs one compare-and-swap and one copy; no system
    /// call.
    pub(crate) fn push(&self, body: &[u8]) -> Result<Pushed, Refused> {
        let Reserved { start, end, wake } = self.reserve(record_size(body.len()))?;
        kill_point("ring: reserved");
        self.claim(start, body.len());
        kill_point("ring: claimed");
        self.commit(start, body);
        kill_point("ring: committed");
        Ok(Pushed { end, wake })
    }

    fn claim(&self, start: u64, len: usize) {
        let record = self.record(start);
        record[1].store(pack(u32::try_from(len).unwrap_or(u32::MAX), 0), Relaxed);
        record[0].store(start | CLAIMED, Release);
    }

    fn commit(&self, start: u64, body: &[u8]) {
        let record = self.record(start);
        store_bytes(&record[2..], body);
        kill_point("ring: copied");
        record[0].store(start | COMMITTED, Release);
    }

    /// Claims room as a thread does that then stalls; what is returned lets it finish.
    #[cfg(test)]
    pub(crate) fn stall(&self, body: &'static [u8]) -> impl FnOnce(&Self) + use<M> {
        let Ok(Reserved { start, .. }) = self.reserve(record_size(body.len())) else { panic!("no room") };
        self.claim(start, body.len());
        move |queue: &Self| queue.commit(start, body)
    }

    /// Reserves room for a record that does not wrap around.
    fn reserve(&self, size: u64) -> Result<Reserved, Refused> {
        let mut found = self.control(TAIL).load(Acquire);
        loop {
            if found & (CLOSED | POISONED | PAUSED) != 0 {
                return Err(refusal(found));
            }
            let tail = found & !FLAGS;
            let to_wrap = self.capacity - (tail & (self.capacity - 1));
            let pad = if size > to_wrap { to_wrap } else { 0 };
            let end = tail + pad + size;
            let head = self.control(HEAD).load(Acquire);
            if end.saturating_sub(head) > self.capacity {
                return Err(Refused::Full);
            }
            match self.control(TAIL).compare_exchange(found, end, AcqRel, Acquire) {
                Ok(_) => {
                    if pad > 0 {
                        self.fill(tail, pad);
                    }
                    let wake = found & PARKED != 0 || end - head > self.capacity / 2;
                    return Ok(Reserved { start: tail + pad, end, wake });
                }
                Err(now) => found = now,
            }
        }
    }

    /// Says that there is nothing to take between two positions, and leaves nothing readable there.
    fn fill(&self, start: u64, size: u64) {
        let words = usize::try_from(size).unwrap_or(usize::MAX) / WORD;
        let record = &self.record(start)[..words];
        record[2..].iter().for_each(|word| word.store(0, Relaxed));
        record[1].store(pack(u32::try_from(size).unwrap_or(u32::MAX), 0), Relaxed);
        record[0].store(start | PAD, Release);
    }

    /// Overwrites one stretch of the ring with zeros that nobody takes.
    pub(crate) fn push_zeros(&self, size: u64) -> Result<u64, Refused> {
        let Reserved { start, end, .. } = self.reserve(size)?;
        self.fill(start, size);
        Ok(end)
    }

    /// Whether entries were refused that no record speaks of.
    pub(crate) fn has_refused(&self) -> bool {
        self.control(REFUSED).load(Acquire) > 0
    }

    /// How many, when the first and the last, and where the first would have stood. Under the caller's lock, as the next two.
    pub(crate) fn refused(&self) -> (u64, u64, u64, u64) {
        let read = |word| self.control(word).load(Acquire);
        (read(REFUSED), read(REFUSED_FIRST), read(REFUSED_LAST), read(REFUSED_AT))
    }

    pub(crate) fn note_refused(&self, micros: u64) {
        if !self.has_refused() {
            self.control(REFUSED_FIRST).store(micros, Release);
            self.control(REFUSED_AT).store(self.tail(), Release);
        }
        self.control(REFUSED_LAST).store(micros, Release);
        self.control(REFUSED).fetch_add(1, AcqRel);
    }

    pub(crate) fn tell_refused(&self, count: u64) {
        let left = self.control(REFUSED).load(Acquire).saturating_sub(count);
        self.control(REFUSED).store(left, Release);
    }

    /// The words from a position to the end of the memory.
    fn record(&self, position: u64) -> &[M::Word] {
        let offset = usize::try_from(position & (self.capacity - 1)).unwrap_or(usize::MAX);
        &self.memory.words()[CONTROL_WORDS + offset / WORD..]
    }

    /// For the one that drains: what stands at a position that is not released yet.
    pub(crate) fn next(&self, position: u64) -> Next {
        let record = self.record(position);
        let word = record[0].load(Acquire);
        // Zeros are no record: a new ring, at its beginning.
        if word & !STATE != position || word & STATE == 0 {
            return if self.tail() == position { Next::Empty } else { Next::Unfinished };
        }
        let (len, _) = unpack(record[1].load(Relaxed));
        match word & STATE {
            COMMITTED | CHECKED => {
                Next::Entry { len: len as usize, end: position + record_size(len as usize) }
            }
            PAD => Next::Skip { end: position + u64::from(len) },
            _ => Next::Unfinished,
        }
    }

    /// For the one that drains: appends the entry at a position to `out`.
    pub(crate) fn copy(&self, position: u64, len: usize, out: &mut Vec<u8>) {
        let begin = out.len();
        out.resize(begin + len, 0);
        load_bytes(&self.record(position)[2..], &mut out[begin..]);
    }

    /// The same, and notes its crc in the ring. False where a crc was noted before and the bytes are others.
    pub(crate) fn copy_checked(&self, position: u64, len: usize, out: &mut Vec<u8>) -> bool {
        let (record, begin) = (self.record(position), out.len());
        self.copy(position, len, out);
        let (len, noted) = unpack(record[1].load(Relaxed));
        let mut hasher = seeded(self.salt, position, len);
        hasher.update(&out[begin..]);
        let crc = hasher.finalize();
        if record[0].load(Relaxed) & STATE == CHECKED {
            return noted == crc;
        }
        record[1].store(pack(len, crc), Relaxed);
        record[0].store(position | CHECKED, Release);
        true
    }

    /// For the one that drains: everything before this position may be overwritten; it stands in this many lines of the trail. The
    /// number of lines is never ahead of the position: recovery looks for entries from that line on.
    pub(crate) fn release(&self, position: u64, lines: u64) {
        self.control(HEAD).store(position, Release);
        self.control(LINES).store(lines, Release);
    }

    /// For the one that drains: announces that it sleeps until it is woken. False where something was pushed meanwhile. Whoever
    /// pushes next takes the announcement away with the same compare-and-swap that reserves, and wakes it.
    pub(crate) fn park(&self, drained: u64) -> bool {
        self.control(TAIL).compare_exchange(drained, drained | PARKED, AcqRel, Acquire).is_ok()
    }

    pub(crate) fn unpark(&self) {
        self.control(TAIL).fetch_and(!PARKED, AcqRel);
    }

    /// Whether anything is taken at all.
    pub(crate) fn check_open(&self) -> Result<(), Refused> {
        match self.control(TAIL).load(Acquire) {
            tail if tail & (CLOSED | POISONED) != 0 => Err(refusal(tail)),
            _ => Ok(()),
        }
    }

    /// Takes no more. Gives where the last entry ends: whatever was reserved before is still accepted.
    pub(crate) fn close(&self) -> u64 {
        self.control(TAIL).fetch_or(CLOSED, AcqRel) & !FLAGS
    }

    /// Takes nothing until [`Queue::resume`]. Returns where the last entry ends: whatever was reserved before is still accepted.
    pub(crate) fn pause(&self) -> u64 {
        // ORDERING: AcqRel, as for every change of the tail: a producer that reserves after this sees the flag and backs
        // off, one that reserved before is below the returned position.
        self.control(TAIL).fetch_or(PAUSED, AcqRel) & !FLAGS
    }

    pub(crate) fn resume(&self) {
        // ORDERING: Release, for the producers' Acquire loads of the tail: they see the restored memory.
        self.control(TAIL).fetch_and(!PAUSED, Release);
    }

    /// Entries that were drained and not overwritten since, oldest first, each with the position behind it. Only for the one
    /// that drains, or while it does not; a producer may overwrite what is read, so callers check what they get.
    pub(crate) fn recall(&self, drained: u64) -> Vec<(u64, Vec<u8>)> {
        let (mut at, mut found) = (self.tail().saturating_sub(self.capacity), Vec::new());
        while at < drained {
            match self.next(at) {
                // Bytes of a payload can look like a record; no record wraps around.
                Next::Entry { len, end }
                    if end <= drained && (at & (self.capacity - 1)) + record_size(len) <= self.capacity =>
                {
                    let mut body = Vec::new();
                    self.copy(at, len, &mut body);
                    found.push((end, body));
                    at = end;
                }
                Next::Skip { end } if end > at && end <= drained => at = end,
                _ => at += ALIGN,
            }
        }
        found
    }

    /// Takes no more, because the disk failed.
    pub(crate) fn poison(&self) {
        self.control(TAIL).fetch_or(POISONED, AcqRel);
    }

    /// Writes to each page ahead of the tail without changing anything, so that no caller waits for a page fault.
    pub(crate) fn touch(&self, from: u64, to: u64) {
        const PAGE: u64 = 4_096;
        let mut at = from.next_multiple_of(PAGE);
        while at < to {
            self.record(at)[0].fetch_add(0, Relaxed);
            at += PAGE;
        }
    }
}

impl Queue<Map> {
    /// Whether this process opened the ring, and was not forked off the one that did.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.memory.is_ours()
    }

    /// Makes every page ready to be written.
    pub(crate) fn populate(&self) {
        self.memory.populate();
    }

    pub(super) fn flush(&self) -> std::io::Result<()> {
        self.memory.flush()
    }

    /// The bytes of the whole memory, in stretches.
    pub(super) fn for_each_stretch(
        &self,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        const STRETCH: usize = 1 << 17;
        let mut bytes = Vec::with_capacity(STRETCH * WORD);
        for words in self.memory.words().chunks(STRETCH) {
            bytes.clear();
            bytes.extend(words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()));
            take(&bytes)?;
        }
        Ok(())
    }

    /// Goes on in another file that holds the same bytes. Nobody may push or drain meanwhile.
    pub(super) fn remap(&self, file: &std::fs::File) -> std::io::Result<()> {
        self.memory.remap(file)
    }
}

/// Why a tail with these flags takes nothing.
fn refusal(tail: u64) -> Refused {
    match tail {
        tail if tail & POISONED != 0 => Refused::Poisoned,
        tail if tail & CLOSED != 0 => Refused::Closed,
        _ => Refused::Paused,
    }
}

fn store_bytes<W: Word>(words: &[W], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<WORD>();
    for (word, chunk) in words.iter().zip(whole) {
        word.store(u64::from_ne_bytes(*chunk), Relaxed);
    }
    if !rest.is_empty() {
        let mut last = [0; WORD];
        last[..rest.len()].copy_from_slice(rest);
        words[whole.len()].store(u64::from_ne_bytes(last), Relaxed);
    }
}

fn load_bytes<W: Word>(words: &[W], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<WORD>();
    for (word, chunk) in words.iter().zip(whole.iter_mut()) {
        *chunk = word.load(Relaxed).to_ne_bytes();
    }
    if !rest.is_empty() {
        let last = words[whole.len()].load(Relaxed).to_ne_bytes();
        let len = rest.len();
        rest.copy_from_slice(&last[..len]);
    }
}

const _: () = assert!(RECORD_HEADER < ALIGN);

#[cfg(test)]
mod tests;
