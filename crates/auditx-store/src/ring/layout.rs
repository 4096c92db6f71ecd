//! The layout of the ring's file. All numbers are in the machine's byte order: the file never leaves its
//! machine.
//!
//! ```text
//! page 0    +0x000  header: magic, version, capacity, salt, trail id, boot id, number of slots, crc
//!           +0x080  tail      end of the last reservation, in bytes since the ring began;
//!                             top bits: closed, poisoned, parked, paused, moved
//!           +0x100  head      everything before it is released
//!           +0x108  lines     of the trail when head had this value, or earlier
//!           +0x180  refused   entries that were refused and that no gap record covers yet
//!           +0x188  refused_first, refused_last   when, in microseconds since 1970
//!           +0x198  refused_at   the position the first of them would have had
//!           +0x200  written, written_lines   how far the trail is written
//!           +0x210  durable, durable_lines   how far it is durable
//!           +0x280  wanted    a producer waits until every entry before this position is durable
//!           +0x288  calls     a futex: producers call the writer
//!           +0x290  sleeping  whether the drain sleeps
//!           +0x300  news      a futex: the writer calls the producers
//!           +0x308  news_wanted   a producer waits for it
//!           +0x310  settings  fingerprint of the writer's settings
//!           +0x318  inode     of this file: a copy of it is not joined
//! page 1…   slots, 512 bytes each: eight lanes of one producer
//! then      records, 64-byte aligned, at the end of the slots + (position mod capacity)
//!
//! lane      u64 begin | state    HELD 1, INTENT 2; 0 if no thread uses it
//!           u64 end              of what the thread tries to reserve
//!           u64 accepted         entries that were pushed through this lane
//!           u64 last             the position after the last of them
//!
//! record    u64 position | state     CLAIMED 1, COMMITTED 2, PAD 3, CHECKED 4
//!           u32 length, u32 crc      of salt, position, length and payload; only if CHECKED
//!           payload, padded to a multiple of 64
//! ```
//!
//! Version 1 had no slots, and none of the words from 0x200 on. It is read, never written.

/// Bytes of the control page, which precedes slots and records.
pub(super) const CONTROL: usize = 4_096;

/// How many producers a ring takes.
pub(crate) const SLOTS: usize = 128;
/// How many threads of a producer can reserve room at the same time.
pub(super) const LANES: usize = 8;
/// Bytes of a lane: a cache line.
const LANE: usize = 64;
pub(super) const LANE_WORDS: usize = LANE / WORD;

/// Returns how many bytes precede the records of a ring with so many slots.
pub(super) const fn records_at(slots: usize) -> usize {
    CONTROL + slots * LANES * LANE
}

pub(super) const WORD: usize = 8;

/// Records begin at multiples of this: a cache line, and enough for the state in a position's low bits.
pub(super) const ALIGN: u64 = 64;

/// Bytes of a record that precede its payload.
pub(super) const RECORD_HEADER: u64 = 16;

pub(super) const TAIL: usize = 0x080 / WORD;
pub(super) const HEAD: usize = 0x100 / WORD;
pub(super) const LINES: usize = 0x108 / WORD;
pub(super) const REFUSED: usize = 0x180 / WORD;
pub(super) const REFUSED_FIRST: usize = 0x188 / WORD;
pub(super) const REFUSED_LAST: usize = 0x190 / WORD;
pub(super) const REFUSED_AT: usize = 0x198 / WORD;
pub(super) const WRITTEN: usize = 0x200 / WORD;
pub(super) const WRITTEN_LINES: usize = 0x208 / WORD;
pub(super) const DURABLE: usize = 0x210 / WORD;
pub(super) const DURABLE_LINES: usize = 0x218 / WORD;
pub(super) const WANTED: usize = 0x280 / WORD;
pub(super) const CALLS: usize = 0x288 / WORD;
pub(super) const SLEEPING: usize = 0x290 / WORD;
pub(super) const NEWS: usize = 0x300 / WORD;
pub(super) const NEWS_WANTED: usize = 0x308 / WORD;
pub(super) const SETTINGS: usize = 0x310 / WORD;
pub(super) const INODE: usize = 0x318 / WORD;

/// In `tail`: no more entries are accepted.
pub(super) const CLOSED: u64 = 1 << 63;
/// In `tail`: no more entries are accepted, because the disk failed.
pub(super) const POISONED: u64 = 1 << 62;
/// In `tail`: the drain sleeps until the producer that clears this bit wakes it.
pub(super) const PARKED: u64 = 1 << 61;
/// In `tail`: no entries are accepted until the ring's file has been restored.
pub(super) const PAUSED: u64 = 1 << 60;
/// In `tail`: another file has taken the place of this one, and holds what was in it.
pub(super) const MOVED: u64 = 1 << 59;
pub(super) const FLAGS: u64 = CLOSED | POISONED | PARKED | PAUSED | MOVED;

/// States, in the low bits of a record's first word.
pub(super) const CLAIMED: u64 = 1;
pub(super) const COMMITTED: u64 = 2;
pub(super) const PAD: u64 = 3;
/// Committed, and its crc computed. The drain computes it, since only a power loss can tear a page, and
/// whatever a power loss can find on the disk was drained long before.
pub(super) const CHECKED: u64 = 4;
pub(super) const STATE: u64 = ALIGN - 1;

/// States of a lane, in the low bits of its first word; 0 if it is free.
pub(super) const HELD: u64 = 1;
/// The thread tries to reserve from the position in this word to the lane's second word, or has done so.
pub(super) const INTENT: u64 = 2;

/// The smallest capacity: room for several of the longest entries.
pub(super) const MIN_CAPACITY: u64 = 256 * 1024;
/// The largest capacity: a record's length must fit 32 bits, and a larger ring would take too long to replay.
pub(super) const MAX_CAPACITY: u64 = 1 << 30;

/// Returns how many bytes a payload of this length takes in the ring.
pub(super) const fn record_size(len: usize) -> u64 {
    (RECORD_HEADER + len as u64).next_multiple_of(ALIGN)
}

/// Returns a record's second word.
pub(super) const fn pack(len: u32, crc: u32) -> u64 {
    len as u64 | (crc as u64) << 32
}

pub(super) const fn unpack(word: u64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
    (word as u32, (word >> 32) as u32)
}

/// Returns a hasher that has seen what a record's crc covers before its payload.
pub(super) fn seeded(salt: u64, position: u64, len: u32) -> crc32fast::Hasher {
    let mut seed = [0; 20];
    seed[..8].copy_from_slice(&salt.to_ne_bytes());
    seed[8..16].copy_from_slice(&position.to_ne_bytes());
    seed[16..].copy_from_slice(&len.to_ne_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seed);
    hasher
}

pub(super) const HEADER_LEN: usize = 96;
const MAGIC: [u8; 16] = *b"auditx ring\r\n\x1a\n\0";
const VERSION: u64 = 2;
/// The version without slots.
const VERSION_1: u64 = 1;

/// The first bytes of the file. Written while no other thread or process uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) capacity: u64,
    pub(super) salt: u64,
    pub(super) trail_id: [u8; 16],
    /// The boot of the machine in which the ring was last used.
    pub(super) boot_id: [u8; 16],
    /// How many producers it takes; 0 in version 1.
    pub(super) slots: usize,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..16].copy_from_slice(&MAGIC);
        bytes[16..24].copy_from_slice(&VERSION.to_ne_bytes());
        bytes[24..32].copy_from_slice(&self.capacity.to_ne_bytes());
        bytes[32..40].copy_from_slice(&self.salt.to_ne_bytes());
        bytes[40..56].copy_from_slice(&self.trail_id);
        bytes[56..72].copy_from_slice(&self.boot_id);
        bytes[72..80].copy_from_slice(&(self.slots as u64).to_ne_bytes());
        let crc = crc32fast::hash(&bytes[..80]);
        bytes[80..84].copy_from_slice(&crc.to_ne_bytes());
        bytes
    }

    /// Encodes it as version 1 did, which had no slots.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn encode_version_1(&self) -> [u8; HEADER_LEN] {
        let mut bytes = self.encode();
        bytes[16..24].copy_from_slice(&VERSION_1.to_ne_bytes());
        bytes[72..].fill(0);
        let crc = crc32fast::hash(&bytes[..72]);
        bytes[72..76].copy_from_slice(&crc.to_ne_bytes());
        bytes
    }

    /// Returns `None` if the bytes are not such a header.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_LEN)?;
        let number = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (covered, slots) = match number(16)? {
            VERSION => (80, usize::try_from(number(72)?).ok()?),
            VERSION_1 => (72, 0),
            _ => return None,
        };
        let header = Self {
            capacity: number(24)?,
            salt: number(32)?,
            trail_id: bytes[40..56].try_into().ok()?,
            boot_id: bytes[56..72].try_into().ok()?,
            slots,
        };
        let crc = u32::from_ne_bytes(bytes[covered..covered + 4].try_into().ok()?);
        let is_ours = bytes[..16] == MAGIC && crc == crc32fast::hash(&bytes[..covered]);
        (is_ours && is_capacity(header.capacity) && slots <= SLOTS).then_some(header)
    }

    /// Returns how many bytes precede the records.
    pub(super) fn records_at(&self) -> usize {
        records_at(self.slots)
    }

    /// Returns the length of the file.
    pub(super) fn file_len(&self) -> u64 {
        self.records_at() as u64 + self.capacity
    }
}

/// Whether a ring can have this capacity.
pub(crate) fn is_capacity(capacity: u64) -> bool {
    capacity.is_power_of_two() && (MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_a_changed_bit_is_not_decoded() {
        let header = Header { capacity: 1 << 20, salt: 7, trail_id: [3; 16], boot_id: [4; 16], slots: SLOTS };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        for bit in 0..84 * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&changed), None, "bit {bit}");
        }
        assert_eq!(Header::decode(&bytes[..HEADER_LEN - 1]), None);
        assert_eq!(Header::decode(&Header { capacity: 1 << 10, ..header }.encode()), None);
    }
}
