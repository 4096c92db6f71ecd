//! Tests of what is read from a ring that was left in any state.

use std::sync::atomic::AtomicU64;

use super::super::layout::{CONTROL, MIN_CAPACITY, records_at};
use super::super::queue::{Next, Queue};
use super::*;

const SALT: u64 = 0x5a17;
const SLOTS: usize = 2;

struct TestRing {
    queue: Queue<Box<[AtomicU64]>>,
}

impl TestRing {
    fn new() -> Self {
        let words = records_at(SLOTS) / WORD + usize::try_from(MIN_CAPACITY).unwrap() / WORD;
        let memory: Box<[AtomicU64]> = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self { queue: Queue::new(memory, MIN_CAPACITY, SALT, SLOTS) }
    }

    fn header() -> Header {
        Header { capacity: MIN_CAPACITY, salt: SALT, trail_id: [1; 16], boot_id: [2; 16], slots: SLOTS }
    }

    fn push(&self, number: u64, len: usize) {
        self.queue.push(&body(number, len)).unwrap();
    }

    /// Takes everything after a position, which stores the crcs. Returns the position after the last entry.
    fn take(&self, mut at: u64) -> u64 {
        loop {
            match self.queue.next(at) {
                Next::Entry { len, end } => {
                    assert!(self.queue.copy_checked(at, len, &mut Vec::new()));
                    at = end;
                }
                Next::Skip { end } => at = end,
                Next::Empty | Next::Unfinished => return at,
            }
        }
    }

    /// Takes and releases everything.
    fn drain(&self, at: &mut u64) {
        *at = self.take(*at);
        self.queue.release(*at, 0);
    }

    fn bytes(&self) -> Vec<u8> {
        let words = self.queue.words().iter();
        let mut bytes: Vec<u8> =
            words.flat_map(|word| word.load(std::sync::atomic::Ordering::SeqCst).to_ne_bytes()).collect();
        let header = Self::header().encode();
        bytes[..header.len()].copy_from_slice(&header);
        bytes
    }
}

fn body(number: u64, len: usize) -> Vec<u8> {
    let mut body = vec![b'.'; len.max(8)];
    body[..8].copy_from_slice(&number.to_ne_bytes());
    body
}

fn numbers(salvaged: &Salvaged) -> Vec<u64> {
    salvaged.entries.iter().map(|entry| u64::from_ne_bytes(entry[..8].try_into().unwrap())).collect()
}

fn walked(bytes: &[u8]) -> Salvaged {
    RingImage::new(bytes).unwrap().walk()
}

fn set_word(bytes: &mut [u8], position: u64, word: usize, value: u64) {
    let at = records_at(SLOTS) + usize::try_from(position & (MIN_CAPACITY - 1)).unwrap() + word * WORD;
    bytes[at..at + WORD].copy_from_slice(&value.to_ne_bytes());
}

#[test]
fn unreleased_entries_are_found_by_walk_and_scan() {
    let ring = TestRing::new();
    let (mut at, mut number) = (0, 0);
    for lap in 0..40_usize {
        for _ in 0..20 {
            ring.push(number, 500 * (lap % 13));
            number += 1;
        }
        let bytes = ring.bytes();
        let expected: Vec<u64> = (number - 20..number).collect();
        assert_eq!(numbers(&walked(&bytes)), expected, "lap {lap}");
        assert!(
            RingImage::new(&bytes).unwrap().scan().entries.is_empty(),
            "without a crc a scan cannot trust an entry"
        );
        ring.take(at);
        let bytes = ring.bytes();
        assert_eq!(numbers(&walked(&bytes)), expected, "lap {lap}");
        let scanned = RingImage::new(&bytes).unwrap().scan();
        assert_eq!(numbers(&scanned), expected, "lap {lap}");
        assert!(scanned.end >= ring.queue.tail());
        ring.drain(&mut at);
    }
    assert_eq!(walked(&ring.bytes()).entries, Vec::<Vec<u8>>::new());
}

#[test]
fn entries_after_an_unfinished_record_are_found() {
    // Claimed; committed with other bytes; only reserved, with what an earlier lap left.
    for state in ["claimed", "changed", "reserved"] {
        let ring = TestRing::new();
        ring.push(1, 300);
        let hole = ring.queue.tail();
        ring.push(2, 3_000);
        ring.push(3, 10);
        ring.take(0);
        let mut bytes = ring.bytes();
        match state {
            "claimed" => set_word(&mut bytes, hole, 0, hole | CLAIMED),
            "changed" => set_word(&mut bytes, hole, 9, 77),
            _ => set_word(&mut bytes, hole, 0, 0),
        }
        let salvaged = walked(&bytes);
        assert_eq!(numbers(&salvaged), [1, 3], "{state}");
        assert_eq!(salvaged.end, ring.queue.tail());
    }
}

#[test]
fn entries_of_an_earlier_lap_are_not_returned() {
    let ring = TestRing::new();
    let mut at = 0;
    while ring.queue.tail() < MIN_CAPACITY {
        ring.push(1, 1_000);
        ring.drain(&mut at);
    }
    let mut bytes = ring.bytes();
    // A thread reserved the whole of the next lap and died.
    let tail = ring.queue.tail() + MIN_CAPACITY;
    bytes[TAIL * WORD..TAIL * WORD + WORD].copy_from_slice(&tail.to_ne_bytes());
    assert_eq!(walked(&bytes).end, tail);
    assert!(walked(&bytes).entries.is_empty());
}

#[test]
fn impossible_positions_are_not_followed() {
    let ring = TestRing::new();
    ring.push(1, 100);
    for (head, tail) in [(0, !FLAGS), (64, 0), (3, 128), (LAST_POSITION, LAST_POSITION + 64)] {
        let mut bytes = ring.bytes();
        bytes[HEAD * WORD..HEAD * WORD + WORD].copy_from_slice(&head.to_ne_bytes());
        bytes[TAIL * WORD..TAIL * WORD + WORD].copy_from_slice(&tail.to_ne_bytes());
        let salvaged = walked(&bytes);
        assert!(salvaged.entries.len() <= 1 && salvaged.end < LAST_POSITION * 2, "{head} {tail}");
    }
}

#[test]
fn a_truncated_file_yields_its_remaining_entries() {
    let ring = TestRing::new();
    for number in 0..100 {
        ring.push(number, 1_000);
    }
    let bytes = ring.bytes();
    let found = walked(&bytes[..records_at(SLOTS) + 50_000]);
    assert_eq!(numbers(&found), (0..48).collect::<Vec<u64>>());
    assert!(RingImage::new(&bytes[..50]).is_none());
}

/// Takes each page of the ring from one of several moments, as a power loss may leave them.
#[test]
fn pages_of_different_moments_yield_only_accepted_entries_and_each_once() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 33).unwrap() % below
    };
    for _ in 0..40 {
        let ring = TestRing::new();
        let (mut at, mut number, mut released) = (0, 0_u64, 0_u64);
        let mut snapshots = vec![(ring.bytes(), 0)];
        for moment in 0..12 {
            for _ in 0..next(150) {
                ring.push(number, next(3_000));
                number += 1;
                if next(5) == 0 {
                    ring.take(at);
                }
                if next(40) == 0 {
                    snapshots.push((ring.bytes(), released));
                }
                if ring.queue.tail() - at > MIN_CAPACITY / 2 {
                    ring.drain(&mut at);
                    released = number;
                }
            }
            if moment % 3 == 0 {
                ring.drain(&mut at);
                released = number;
            }
            snapshots.push((ring.bytes(), released));
        }
        let mut mixed = snapshots[0].0.clone();
        // The control page is from any moment; what it had released then was durable in the trail.
        let control = next(snapshots.len());
        for (page, bytes) in mixed.chunks_mut(4_096).enumerate() {
            let from = if page == 0 { control } else { next(snapshots.len()) };
            bytes.copy_from_slice(&snapshots[from].0[page * 4_096..][..bytes.len()]);
        }
        let salvaged = RingImage::new(&mixed).unwrap().scan();
        let found = numbers(&salvaged);
        assert!(found.is_sorted_by(|one, other| one < other), "once each, in order: {found:?}");
        assert!(found.iter().all(|found| *found >= snapshots[control].1 && *found < number), "{found:?}");
        for (entry, found) in salvaged.entries.iter().zip(&found) {
            assert_eq!(*entry, body(*found, entry.len()));
        }
    }
}

#[test]
fn random_bytes_after_a_header_yield_no_entries() {
    let mut bytes = TestRing::new().bytes();
    let mut random = 1_u64;
    for chunk in bytes[96..].chunks_mut(8) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let len = chunk.len();
        chunk.copy_from_slice(&random.to_ne_bytes()[..len]);
    }
    assert_eq!(walked(&bytes).entries, Vec::<Vec<u8>>::new());
    assert_eq!(RingImage::new(&bytes).unwrap().scan().entries, Vec::<Vec<u8>>::new());
}

#[test]
fn a_control_page_shows_a_drained_ring_only_if_it_is_current() {
    let drained = |bytes: &[u8], same_boot| RingImage::new(bytes).unwrap().is_drained(same_boot);
    let ring = TestRing::new();
    ring.push(1, 100);
    assert!(!drained(&ring.bytes(), true));
    let mut at = 0;
    ring.drain(&mut at);
    assert!(drained(&ring.bytes(), true));
    assert!(!drained(&ring.bytes(), false), "the page may be older than the records");
    ring.queue.close();
    assert!(drained(&ring.bytes()[..CONTROL], false), "the page was closed after everything was released");
    assert_eq!(RingImage::new(&ring.bytes()).unwrap().without_entries().end, at);
}
