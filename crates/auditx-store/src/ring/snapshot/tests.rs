//! Tests of snapshots of rings in use, of abandoned rings, and of files that are not rings.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::super::file::{PreviousRing, RingFile, of_another_boot};
use super::super::layout::MIN_CAPACITY;
use super::super::queue::Next;
use super::*;
use crate::segment::AUDITX_DIR;

fn trail() -> (tempfile::TempDir, Dir) {
    let directory = tempfile::tempdir().unwrap();
    let dir = Dir::from(directory.path());
    dir.create_directory(AUDITX_DIR).unwrap();
    (directory, dir)
}

fn ring(dir: &Dir) -> RingFile {
    RingFile::initialize(dir, (MIN_CAPACITY, false), [3; 16], &PreviousRing::default(), 5, None).unwrap()
}

fn body(number: u64) -> Vec<u8> {
    let byte = b'a' + u8::try_from(number % 26).unwrap();
    [number.to_string().as_bytes(), &vec![byte; usize::try_from(number * 131 % 3_000).unwrap()]].concat()
}

/// Returns the number of a body, which must be whole.
fn number_of(bytes: &[u8]) -> u64 {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&bytes[..digits]).unwrap().parse().unwrap();
    assert_eq!(bytes, body(number), "the body is whole");
    number
}

fn held(dir: &Dir) -> Vec<u64> {
    snapshot(dir).unwrap().unwrap().held.entries.iter().map(|entry| number_of(entry)).collect()
}

#[test]
fn a_snapshot_holds_every_unreleased_entry_checked_or_not() {
    let (_directory, dir) = trail();
    assert!(snapshot(&dir).unwrap().is_none());
    let ring = ring(&dir);
    assert_eq!(held(&dir), [] as [u64; 0]);
    for number in 0..20 {
        ring.queue.push(&body(number)).unwrap();
    }
    assert_eq!(held(&dir), (0..20).collect::<Vec<_>>());
    let mut at = ring.queue.head();
    for taken in 0..20_usize {
        let Next::Entry { len, end } = ring.queue.next(at) else { panic!("entry {taken}") };
        assert!(ring.queue.copy_checked(at, len, &mut Vec::new()));
        assert_eq!(held(&dir).len(), if taken < 10 { 20 } else { 10 });
        at = end;
        if taken == 9 {
            ring.queue.release(at, 17);
        }
    }
    let found = snapshot(&dir).unwrap().unwrap();
    assert_eq!((found.trail_id, found.held.lines, found.held.entries.len()), ([3; 16], 17, 10));

    let path = dir.join(RING);
    let mut bytes = fs::read(&path).unwrap();
    of_another_boot(&mut bytes);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(held(&dir), (10..20).collect::<Vec<_>>(), "after a power loss, by their crcs");
    fs::write(&path, &bytes[..CONTROL]).unwrap();
    assert_eq!(held(&dir), [] as [u64; 0], "the file was truncated");
    fs::write(&path, b"no ring").unwrap();
    assert!(snapshot(&dir).unwrap_err().is_corrupt());
}

#[test]
fn a_snapshot_holds_entries_after_an_unfinished_one() {
    let (_directory, dir) = trail();
    let ring = ring(&dir);
    ring.queue.push(&body(0)).unwrap();
    let finish = ring.queue.stall(b"1bbbb");
    ring.queue.push(&body(2)).unwrap();
    assert_eq!(held(&dir), [0, 2]);
    finish(&ring.queue);
    assert_eq!(snapshot(&dir).unwrap().unwrap().held.entries.len(), 3);
}

#[test]
fn a_snapshot_of_a_busy_ring_has_whole_entries_and_no_gap() {
    const LEAST: u64 = 60_000;
    /// By this number a snapshot must have met an entry.
    const MOST: u64 = 100 * LEAST;
    let (_directory, dir) = trail();
    let ring = ring(&dir);
    let (pushed, released, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let (is_seen, total) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while number < LEAST || number < MOST && !is_seen.load(Ordering::SeqCst) {
                while ring.queue.push(&body(number)).is_err() {
                    std::thread::yield_now();
                }
                number += 1;
                pushed.store(number, Ordering::SeqCst);
            }
            total.store(number, Ordering::SeqCst);
        });
        scope.spawn(|| {
            let (mut at, mut taken) = (ring.queue.head(), 0);
            while taken < total.load(Ordering::SeqCst) {
                match ring.queue.next(at) {
                    Next::Entry { len, end } => {
                        assert!(ring.queue.copy_checked(at, len, &mut Vec::new()));
                        (at, taken) = (end, taken + 1);
                        // Stored before the release: a stored entry may not be released yet, but a released
                        // one is always stored.
                        released.store(taken, Ordering::SeqCst);
                        ring.queue.release(at, taken);
                    }
                    Next::Skip { end } => at = end,
                    Next::Empty | Next::Unfinished => std::thread::yield_now(),
                }
            }
            is_over.store(true, Ordering::SeqCst);
        });
        while !is_over.load(Ordering::SeqCst) {
            let before = pushed.load(Ordering::SeqCst);
            let numbers = held(&dir);
            let after = released.load(Ordering::SeqCst);
            assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
            match (numbers.first(), numbers.last()) {
                (Some(first), Some(last)) => {
                    assert!(*first <= after, "{first} is the first, and {after} are released");
                    assert!(*last + 1 >= before, "{last} is the last, and {before} were pushed");
                }
                _ => assert!(after >= before, "{before} were pushed, and {after} are released"),
            }
            is_seen.fetch_or(!numbers.is_empty(), Ordering::SeqCst);
        }
        assert!(is_seen.load(Ordering::SeqCst));
    });
}
