//! The ring's lock-free protocol: many producers push, one drain takes. Safe code over shared words; nothing
//! here waits.
//!
//! # Words and who writes them
//!
//! ```text
//! TAIL             end of the last reservation, and four flags. Producers reserve by compare-and-swap; the
//!                  drain sets and clears PARKED, the committer PAUSED; CLOSED and POISONED are only set.
//! HEAD             everything before it may be overwritten. Written by the drain under `Durability::Os`,
//!                  else by the committer after fdatasync(2).
//! lanes            what threads try to reserve; see `lanes`. Each lane is written by the thread that holds
//!                  it, and cleared by the drain after the death of its process.
//! LINES            lines in the trail when HEAD was stored, or fewer. Written after HEAD by the same thread.
//! REFUSED, …       refused entries that no gap record covers yet. Written under the journal's lock on them.
//! record, word 0   its position and its state. Written by its producer up to COMMITTED or PAD, then by the
//!                  drain.
//! record, word 1   its length, written by its producer, and its crc, written by the drain.
//! record, payload  the entry. Written by its producer.
//! ```
//!
//! Between the compare-and-swap that reserves a record and the store of `COMMITTED` the record belongs to its
//! producer alone; from there until `HEAD` has passed it, to the drain. `HEAD <= TAIL <= HEAD + capacity`
//! always holds.
//!
//! # States of a record
//!
//! ```text
//!        CAS of TAIL        length, word 0         payload, word 0         crc, word 0         HEAD
//!  free ─────────────▶ reserved ────────▶ CLAIMED ────────▶ COMMITTED ────────▶ CHECKED ────────▶ free
//!                          └─────────────▶ PAD ───────────────────────────────────────────────────┘
//! ```
//!
//! `PAD` fills the room before the end of the memory when a record does not fit there, since no record wraps
//! around. `CHECKED` is left out under `Durability::Os`. The drain takes records strictly in order: it stops
//! at the first one that is neither committed nor a pad, although later ones may be committed.
//!
//! # Why kill -9 is safe at any instant
//!
//! The pages outlive the process. SIGKILL stops a thread between two instructions: all its stores before that
//! point are in the pages, and none after it. The orderings keep the compiler from exchanging the stores that
//! matter, so recovery (`salvage`) finds one of these:
//!
//! 1. Killed before the compare-and-swap: nothing has happened. A lane may name room that another thread
//!    reserves.
//! 2. After it (`reserved`): word 0 still holds what an earlier lap left, which does not carry this position.
//!    Recovery steps over the room in units of `ALIGN` until a word carries its own position. A pad that was
//!    not written yet is stepped over in the same way. The entry was not accepted, since `push` had not
//!    returned.
//! 3. `CLAIMED`: the length was stored before the state, so recovery skips the whole record. Not accepted
//!    either.
//! 4. `COMMITTED`: length and payload were stored before the state, so the entry is whole, and recovery takes
//!    it. If `push` had not returned, the trail has one entry more than the caller knows of; it never has one
//!    less.
//! 5. Between the drain's two stores: word 1 has a crc and word 0 still says `COMMITTED`. Without a power
//!    loss the crc is not needed, and recovery takes the entry without looking at it.
//! 6. Between `HEAD` and `LINES`: `LINES` is too low, which only makes recovery look for the entries from an
//!    earlier line on. `LINES` is never too high.
//! 7. Flags in `TAIL` are masked out, and the next open stores both positions again.
//!
//! While other processes go on, the drain does not wait for a recovery: `lanes` explains what it skips.
//!
//! A power loss is different: it may keep any page as it was at any earlier time. There only `CHECKED`
//! records count.
//!
//! # What loom covers
//!
//! The loom tests in `queue/tests.rs` run this code, not a model of it: [`Queue`] is generic over [`Memory`],
//! and loom's atomics implement [`Word`]. They explore two producers and a drain, overwriting after release,
//! pausing, closing, and the drain's sleep, with at most two preemptions. `std::thread::park` is replaced by
//! loom's `Notify` there. The mapping, the threads that wait (`journal/room.rs`, `watermark.rs`) and kills
//! are outside; kills are tested with kill points in `logger/tests/kill_points.rs`.

mod calls;
mod consumer;
mod flags;
mod lanes;
mod reach;
mod refusals;

use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};

use super::layout::{
    ALIGN, CLAIMED, CLOSED, COMMITTED, FLAGS, HEAD, MOVED, PAD, PARKED, PAUSED, POISONED, RECORD_HEADER,
    TAIL, WORD, pack, record_size, records_at,
};
use super::map::Map;
use super::word::{Memory, Word};
use crate::kill_point::kill_point;

pub(crate) use consumer::Next;
use flags::refused_by;
use lanes::Lane;

/// An accepted entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// The position after it.
    pub(crate) end: u64,
    /// Whether the caller must wake the drain: it sleeps until it is woken, or the ring is more than half
    /// full.
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
    /// The ring's file is being restored; the caller tries again after some milliseconds.
    Paused,
    Closed,
    Poisoned,
}

pub(crate) struct Queue<M> {
    memory: M,
    capacity: u64,
    salt: AtomicU64,
    /// How many producers it takes.
    slots: usize,
    /// That of this producer.
    slot: AtomicUsize,
    /// What the threads of this producer may do: [`lanes::OPEN`], [`lanes::MOVING`] or [`lanes::LEFT`].
    state: AtomicUsize,
    /// Entries accepted through the lanes of an earlier slot, and where the last of them ended.
    accepted_before: AtomicU64,
    end_before: AtomicU64,
}

impl<M> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl<M: Memory> Queue<M> {
    /// Creates a queue over a control page, `slots` slots and `capacity` bytes, a power of two.
    pub(crate) fn new(memory: M, capacity: u64, salt: u64, slots: usize) -> Self {
        Self {
            memory,
            capacity,
            salt: AtomicU64::new(salt),
            slots,
            slot: AtomicUsize::new(0),
            state: AtomicUsize::new(lanes::OPEN),
            accepted_before: AtomicU64::new(0),
            end_before: AtomicU64::new(0),
        }
    }

    /// Sets what the crcs of another file begin with.
    pub(crate) fn set_salt(&self, salt: u64) {
        // ORDERING: only the drain uses it, which this process does not have yet.
        self.salt.store(salt, Relaxed);
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

    /// Returns the words from a position to the end of the memory.
    fn record(&self, position: u64) -> &[M::Word] {
        let offset = usize::try_from(position & (self.capacity - 1)).unwrap_or(usize::MAX);
        &self.memory.words()[records_at(self.slots) / WORD + offset / WORD..]
    }

    /// Returns the end of the last reservation.
    pub(crate) fn tail(&self) -> u64 {
        // ORDERING: Acquire pairs with `resume`. Callers use only the number, so nothing else depends on it.
        self.control(TAIL).load(Acquire) & !FLAGS
    }

    /// Returns the position before which everything may be overwritten.
    pub(crate) fn head(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release store in `release`. Callers use only the number.
        self.control(HEAD).load(Acquire)
    }

    /// Copies an entry into the ring. The entry is accepted when this returns. Costs one compare-and-swap and
    /// one copy, and no system call.
    pub(crate) fn push(&self, body: &[u8]) -> Result<Pushed, Refused> {
        let lane = self.lane()?;
        let Reserved { start, end, wake } = self.reserve(record_size(body.len()), &lane)?;
        kill_point("ring: reserved");
        self.claim(start, body.len());
        kill_point("ring: claimed");
        self.commit(start, body);
        kill_point("ring: committed");
        lane.count(end);
        Ok(Pushed { end, wake })
    }

    fn claim(&self, start: u64, len: usize) {
        let record = self.record(start);
        record[1].store(pack(u32::try_from(len).unwrap_or(u32::MAX), 0), Relaxed);
        // ORDERING: Release publishes the length. The drain only waits when it sees this state; recovery and
        // `snapshot` skip the record by its length.
        record[0].store(start | CLAIMED, Release);
    }

    fn commit(&self, start: u64, body: &[u8]) {
        let record = self.record(start);
        store_bytes(&record[2..], body);
        kill_point("ring: copied");
        // ORDERING: Release publishes length and payload to the Acquire load in `next`. Without it the drain
        // could copy bytes of an earlier lap, and so could recovery after a kill.
        record[0].store(start | COMMITTED, Release);
    }

    /// Claims room like a thread that then stalls; the returned function finishes the record.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn stall(&self, body: &'static [u8]) -> impl FnOnce(&Self) + use<M> {
        let Ok(lane) = self.lane() else { panic!("no lane") };
        let Ok(Reserved { start, .. }) = self.reserve(record_size(body.len()), &lane) else {
            panic!("no room")
        };
        self.claim(start, body.len());
        let held = lane.keep();
        move |queue: &Self| {
            queue.commit(start, body);
            queue.kept(held).count(start + record_size(body.len()));
        }
    }

    /// Reserves room for a record that does not wrap around.
    fn reserve(&self, size: u64, lane: &Lane<'_, M::Word>) -> Result<Reserved, Refused> {
        // ORDERING: Acquire pairs with `resume`, as in the compare-and-swap below.
        let mut found = self.control(TAIL).load(Acquire);
        loop {
            if found & (CLOSED | POISONED | PAUSED | MOVED) != 0 {
                return Err(refused_by(found));
            }
            let tail = found & !FLAGS;
            let to_wrap = self.capacity - (tail & (self.capacity - 1));
            let pad = if size > to_wrap { to_wrap } else { 0 };
            let end = tail + pad + size;
            // ORDERING: Acquire pairs with the Release store in `release`: the drain's reads of the record
            // that stood here one lap ago happen before this thread overwrites it. A stale value is a lower
            // one, and only makes the ring look fuller than it is.
            let head = self.control(HEAD).load(Acquire);
            // `found` may be stale and below `head`; then the compare-and-swap fails.
            if end.saturating_sub(head) > self.capacity {
                return Err(Refused::Full);
            }
            lane.intend(tail, end);
            // ORDERING: Acquire, also on failure, pairs with `resume`: a thread that no longer sees PAUSED
            // writes to the restored memory. It also keeps the stores to the record after the reservation, so
            // that a kill leaves no bytes in room that TAIL does not cover. The Release half publishes the
            // lane: whoever finds TAIL beyond `tail` finds who reserved it.
            match self.control(TAIL).compare_exchange(found, end, AcqRel, Acquire) {
                Ok(_) => {
                    if pad > 0 {
                        self.fill(tail, pad);
                    }
                    // The swap removed PARKED if it was set: exactly one producer sees it, and wakes the
                    // drain. See `park`.
                    let wake = found & PARKED != 0 || end - head > self.capacity / 2;
                    return Ok(Reserved { start: tail + pad, end, wake });
                }
                Err(now) => found = now,
            }
        }
    }

    /// Marks reserved room as holding no entry, and overwrites what was there.
    fn fill(&self, start: u64, size: u64) {
        let words = usize::try_from(size).unwrap_or(usize::MAX) / WORD;
        let record = &self.record(start)[..words];
        record[2..].iter().for_each(|word| word.store(0, Relaxed));
        record[1].store(pack(u32::try_from(size).unwrap_or(u32::MAX), 0), Relaxed);
        // ORDERING: Release publishes the size to the Acquire load in `next`, which steps over the room by
        // it.
        record[0].store(start | PAD, Release);
    }

    /// Overwrites `size` bytes of the ring with zeros, which the drain skips. Returns the position after
    /// them.
    pub(crate) fn push_zeros(&self, size: u64) -> Result<u64, Refused> {
        let lane = self.lane()?;
        let Reserved { start, end, .. } = self.reserve(size, &lane)?;
        self.fill(start, size);
        Ok(end)
    }
}

impl Queue<Map> {
    /// Whether this process opened the ring, rather than a child that was forked from it.
    #[inline]
    pub(crate) fn is_owner(&self) -> bool {
        self.memory.is_owner()
    }

    /// Makes every page ready to be written.
    pub(crate) fn populate(&self) {
        self.memory.populate();
    }

    pub(super) fn flush(&self) -> std::io::Result<()> {
        self.memory.flush()
    }

    /// Passes the bytes of the whole memory to `take`, in chunks.
    pub(super) fn for_each_chunk(
        &self,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        const CHUNK_WORDS: usize = 1 << 17;
        let mut bytes = Vec::with_capacity(CHUNK_WORDS * WORD);
        for words in self.memory.words().chunks(CHUNK_WORDS) {
            bytes.clear();
            bytes.extend(words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()));
            take(&bytes)?;
        }
        Ok(())
    }

    /// Continues in another file that holds the same bytes. No thread may push or drain meanwhile.
    pub(super) fn remap(&self, file: &std::fs::File) -> std::io::Result<()> {
        self.memory.remap(file)
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

const _: () = assert!(RECORD_HEADER < ALIGN);

#[cfg(test)]
mod tests;
