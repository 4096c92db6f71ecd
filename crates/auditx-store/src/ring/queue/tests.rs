//! Tests of the protocol on the heap, in loom, and under Miri.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering as StdOrdering;

use super::*;

const CAPACITY: u64 = 1_024;
/// Few, so that loom has few words to follow.
const SLOTS: usize = 2;

fn heap(capacity: u64) -> Queue<Box<[AtomicU64]>> {
    let words = records_at(SLOTS) / WORD + usize::try_from(capacity).unwrap() / WORD;
    Queue::new((0..words).map(|_| AtomicU64::new(0)).collect(), capacity, 7, SLOTS)
}

/// Takes everything up to the first unfinished record, and releases it.
fn drain<M: Memory>(queue: &Queue<M>, at: &mut u64) -> Vec<Vec<u8>> {
    let mut taken = Vec::new();
    loop {
        match queue.next(*at) {
            Next::Entry { len, end } => {
                let mut body = Vec::new();
                assert!(queue.copy_checked(*at, len, &mut body), "at {at}");
                taken.push(body);
                *at = end;
            }
            Next::Skip { end } => *at = end,
            Next::Empty | Next::Unfinished => break,
        }
    }
    queue.release(*at, 0);
    taken
}

#[test]
fn entries_come_out_unchanged_for_many_laps() {
    let queue = heap(CAPACITY);
    let mut at = 0;
    for lap in 0..if cfg!(miri) { 30 } else { 200_u32 } {
        let bodies: Vec<Vec<u8>> = (0..3_u32)
            .map(|n| vec![u8::try_from(lap).unwrap(); ((lap * 37 + n * 61) % 200) as usize])
            .collect();
        for body in &bodies {
            queue.push(body).unwrap();
        }
        assert_eq!(drain(&queue, &mut at), bodies, "lap {lap}");
    }
    assert_eq!(queue.next(at), Next::Empty);
}

#[test]
fn a_ring_of_zeros_is_empty() {
    assert_eq!(heap(CAPACITY).next(0), Next::Empty);
}

#[test]
fn a_paused_ring_takes_nothing_and_keeps_its_entries() {
    let queue = heap(CAPACITY);
    queue.push(b"before").unwrap();
    assert_eq!(queue.pause(), queue.tail());
    assert_eq!(queue.push(b"meanwhile").unwrap_err(), Refused::Paused);
    let mut at = 0;
    assert_eq!(drain(&queue, &mut at), [b"before"]);
    assert!(!queue.park(at), "the drain does not sleep while the ring is paused");
    queue.resume();
    queue.push(b"after").unwrap();
    assert_eq!(drain(&queue, &mut at), [b"after"]);
    queue.pause();
    queue.close();
    assert_eq!(queue.push(b"late").unwrap_err(), Refused::Closed);
}

#[test]
fn drained_entries_are_readable_until_overwritten() {
    let queue = heap(CAPACITY);
    let (mut at, mut all) = (0, Vec::new());
    for number in 0..100_u32 {
        let body = number.to_string().repeat(1 + number as usize % 40);
        queue.push(body.as_bytes()).unwrap();
        drain(&queue, &mut at);
        all.push((at, body.into_bytes()));
        let recent = queue.recent_entries(at);
        assert!(all.ends_with(&recent), "{number}: in order and whole");
        assert!(recent.len() >= 5.min(all.len()), "{number}: {}", recent.len());
    }
}

#[test]
fn a_full_ring_refuses_and_reserves_nothing() {
    let queue = heap(CAPACITY);
    let mut pushed = 0;
    while queue.push(&[1; 100]).is_ok() {
        pushed += 1;
    }
    assert_eq!(pushed, 8);
    let tail = queue.tail();
    assert_eq!(queue.push(&[1; 100]), Err(Refused::Full));
    assert_eq!(queue.tail(), tail);
    let mut at = 0;
    assert_eq!(drain(&queue, &mut at).len(), 8);
    assert!(queue.push(&[1; 100]).is_ok());
}

#[test]
fn an_entry_does_not_wrap_and_the_pad_is_zeroed() {
    let queue = heap(CAPACITY);
    let mut at = 0;
    queue.push(&[b'x'; 900]).unwrap();
    drain(&queue, &mut at);
    queue.push(&[b'y'; 300]).unwrap();
    assert_eq!(drain(&queue, &mut at), [vec![b'y'; 300]]);
    let skipped = &queue.record(960)[2..];
    assert!(skipped.iter().all(|word| word.load(StdOrdering::Relaxed) == 0));
}

#[test]
fn pushed_zeros_overwrite_the_whole_ring() {
    let queue = heap(CAPACITY);
    let mut at = 0;
    for _ in 0..20 {
        queue.push(&[b'x'; 90]).unwrap();
        drain(&queue, &mut at);
    }
    for _ in 0..=CAPACITY / 256 {
        queue.push_zeros(256).unwrap();
        assert!(drain(&queue, &mut at).is_empty());
    }
    let x = u64::from_ne_bytes([b'x'; 8]);
    assert!(queue.memory.words().iter().all(|word| word.load(StdOrdering::Relaxed) != x));
}

#[test]
fn a_closed_ring_takes_nothing_and_keeps_its_entries() {
    for (close, refused) in [(true, Refused::Closed), (false, Refused::Poisoned)] {
        let queue = heap(CAPACITY);
        queue.push(b"kept").unwrap();
        if close {
            assert_eq!(queue.close(), queue.tail());
        } else {
            queue.poison();
        }
        assert_eq!(queue.push(b"late"), Err(refused));
        assert_eq!(drain(&queue, &mut 0), [b"kept".to_vec()]);
    }
}

#[test]
fn an_entry_with_changed_bytes_fails_its_check() {
    let queue = heap(CAPACITY);
    queue.push(b"twelve bytes").unwrap();
    assert!(queue.copy_checked(0, 12, &mut Vec::new()));
    queue.record(0)[2].fetch_add(1, StdOrdering::Relaxed);
    assert!(!queue.copy_checked(0, 12, &mut Vec::new()));
    let mut unchecked = Vec::new();
    queue.copy(0, 12, &mut unchecked);
    assert_eq!(unchecked.len(), 12);
}

#[test]
fn a_push_wakes_the_drain_if_it_sleeps_or_the_ring_is_half_full() {
    let queue = heap(CAPACITY);
    assert!(queue.park(0));
    assert!(queue.push(&[1; 48]).unwrap().wake);
    assert!(!queue.park(0), "something was pushed");
    let wakes: Vec<bool> = (0..8).map(|_| queue.push(&[1; 48]).unwrap().wake).collect();
    assert_eq!(wakes, [false, false, false, false, false, false, false, true]);
}

#[test]
fn touching_pages_changes_no_entry() {
    let queue = heap(16 * 1_024);
    let mut at = 0;
    for number in 0..if cfg!(miri) { 40 } else { 100_u8 } {
        queue.push(&[number; 500]).unwrap();
        queue.touch(0, 16 * 1_024);
        assert_eq!(drain(&queue, &mut at), [vec![number; 500]]);
    }
}

#[test]
fn entries_of_one_thread_keep_their_order() {
    const THREADS: u64 = 3;
    const EACH: u64 = if cfg!(miri) { 20 } else { 20_000 };
    let queue = heap(CAPACITY);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let queue = &queue;
            scope.spawn(move || {
                for number in 0..EACH {
                    let mut body = vec![0; 16 + usize::try_from((thread * 7 + number) % 90).unwrap()];
                    body[..8].copy_from_slice(&thread.to_ne_bytes());
                    body[8..16].copy_from_slice(&number.to_ne_bytes());
                    while queue.push(&body).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut next = HashMap::new();
        let (mut at, mut taken) = (0, 0);
        while taken < THREADS * EACH {
            for body in drain(&queue, &mut at) {
                let word = |at: usize| u64::from_ne_bytes(body[at..at + 8].try_into().unwrap());
                let expected = next.entry(word(0)).or_insert(0);
                assert_eq!(word(8), *expected);
                *expected += 1;
                taken += 1;
            }
            std::thread::yield_now();
        }
    });
}

type LoomWord = loom::sync::atomic::AtomicU64;

/// A control page and one or two records.
struct LoomMemory(Vec<LoomWord>);

impl Memory for LoomMemory {
    type Word = LoomWord;

    fn words(&self) -> &[LoomWord] {
        &self.0
    }
}

fn loom_queue(capacity: u64) -> Arc<Queue<LoomMemory>> {
    let words = records_at(SLOTS) / WORD + usize::try_from(capacity).unwrap() / WORD;
    Arc::new(Queue::new(LoomMemory((0..words).map(|_| LoomWord::new(0)).collect()), capacity, 7, SLOTS))
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

#[test]
#[cfg(not(miri))]
fn loom_two_producers_and_a_drain_lose_and_add_nothing() {
    explore(|| {
        let queue = loom_queue(128);
        let producers: Vec<_> = (1..=2_u8)
            .map(|number| {
                let queue = queue.clone();
                loom::thread::spawn(move || queue.push(&[number; 8]).is_ok())
            })
            .collect();
        let (mut at, mut taken) = (0, Vec::new());
        taken.extend(drain(&queue, &mut at));
        let accepted =
            producers.into_iter().map(|producer| producer.join().unwrap()).filter(|ok| *ok).count();
        taken.extend(drain(&queue, &mut at));
        assert_eq!(accepted, 2);
        taken.sort();
        assert_eq!(taken, [vec![1; 8], vec![2; 8]]);
    });
}

#[test]
#[cfg(not(miri))]
fn loom_a_record_is_overwritten_only_after_it_was_taken() {
    explore(|| {
        let queue = loom_queue(64);
        let producer = {
            let queue = queue.clone();
            loom::thread::spawn(move || {
                let first = queue.push(&[1; 8]).is_ok();
                let second = queue.push(&[2; 8]).is_ok();
                (first, second)
            })
        };
        let (mut at, mut taken) = (0, Vec::new());
        taken.extend(drain(&queue, &mut at));
        let (first, second) = producer.join().unwrap();
        taken.extend(drain(&queue, &mut at));
        assert!(first);
        let expected: Vec<Vec<u8>> = if second { vec![vec![1; 8], vec![2; 8]] } else { vec![vec![1; 8]] };
        assert_eq!(taken, expected);
    });
}

#[test]
#[cfg(not(miri))]
fn loom_nothing_is_accepted_after_the_end_pause_returns() {
    explore(|| {
        let queue = loom_queue(128);
        let producer = {
            let queue = queue.clone();
            loom::thread::spawn(move || queue.push(&[1; 8]).map(|pushed| pushed.end))
        };
        let end = queue.pause();
        let outcome = producer.join().unwrap();
        assert!(outcome.map_or_else(|refused| refused == Refused::Paused, |accepted| accepted <= end));
        assert_eq!(queue.tail(), end, "the ring can be copied once it is drained");
        queue.resume();
        queue.push(&[2; 8]).unwrap();
        let expected = if outcome.is_ok() { 2 } else { 1 };
        assert_eq!(drain(&queue, &mut 0).len(), expected);
    });
}

#[test]
#[cfg(not(miri))]
fn loom_a_push_wakes_a_drain_that_is_going_to_sleep() {
    explore(|| {
        let queue = loom_queue(128);
        let unparked = Arc::new(loom::sync::Notify::new());
        let producers: Vec<_> = (1..=2_u8)
            .map(|number| {
                let (queue, unparked) = (queue.clone(), unparked.clone());
                loom::thread::spawn(move || {
                    if queue.push(&[number; 8]).unwrap().wake {
                        unparked.notify();
                    }
                })
            })
            .collect();
        // If the wake-up were lost this would wait for ever, which loom reports.
        if queue.park(0) {
            unparked.wait();
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        assert_eq!(drain(&queue, &mut 0).len(), 2);
    });
}

#[test]
#[cfg(not(miri))]
fn loom_nothing_is_accepted_after_the_end_close_returns() {
    explore(|| {
        let queue = loom_queue(128);
        let producer = {
            let queue = queue.clone();
            loom::thread::spawn(move || queue.push(&[1; 8]).map(|pushed| pushed.end))
        };
        let end = queue.close();
        match producer.join().unwrap() {
            Ok(accepted) => assert!(accepted <= end),
            Err(refused) => assert_eq!((refused, end), (Refused::Closed, 0)),
        }
    });
}
