//! Tests of what the drain skips after the death of a producer: on the heap, in loom, and under Miri.
//!
//! A producer that dies is one that stops between two steps and stores nothing more. Its slot's lock becomes
//! free afterwards.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::super::layout::{ALIGN, records_at};
use super::super::Reserved;
use super::*;

const SLOTS: usize = 2;

/// One memory, of which each producer has a queue.
struct Shared<W>(Arc<Vec<W>>);

impl<W: Word> Memory for Shared<W> {
    type Word = W;

    fn words(&self) -> &[W] {
        &self.0
    }
}

/// The queue of the process that drains, and that of another producer.
fn queues<W: Word>(capacity: u64, zero: impl Fn() -> W) -> [Queue<Shared<W>>; SLOTS] {
    let words = (records_at(SLOTS) + usize::try_from(capacity).unwrap()) / WORD;
    let memory = Arc::new((0..words).map(|_| zero()).collect());
    std::array::from_fn(|slot| {
        let queue = Queue::new(Shared(Arc::clone(&memory)), capacity, 7, SLOTS);
        assert!(queue.take_slot(slot));
        queue
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Intended,
    Reserved,
    Claimed,
    Copied,
}

const STEPS: [Step; 4] = [Step::Intended, Step::Reserved, Step::Claimed, Step::Copied];

/// Pushes like a thread that dies after this step.
fn die<M: Memory>(queue: &Queue<M>, step: Step, body: &[u8]) {
    let Ok(lane) = queue.lane() else { panic!("a lane is free") };
    let size = record_size(body.len());
    if step == Step::Intended {
        lane.intend(queue.tail(), queue.tail() + size);
    } else if let Ok(Reserved { start, .. }) = queue.reserve(size, &lane) {
        if step != Step::Reserved {
            queue.claim(start, body.len());
        }
        if step == Step::Copied {
            super::super::store_bytes(&queue.record(start)[2..], body);
        }
    }
    lane.keep();
}

/// Takes what can be taken; skips what `is_alive` shows to be dead.
fn drain<M: Memory>(queue: &Queue<M>, at: &mut u64, is_alive: impl Fn(usize) -> bool) -> Vec<Vec<u8>> {
    let mut taken = Vec::new();
    loop {
        match queue.next(*at) {
            Next::Entry { len, end } => {
                let mut body = Vec::new();
                queue.copy(*at, len, &mut body);
                taken.push(body);
                *at = end;
            }
            Next::Skip { end } => *at = end,
            Next::Unfinished if queue.skip_dead(*at, &is_alive) => {}
            Next::Empty | Next::Unfinished => break,
        }
    }
    queue.release(*at, 0);
    taken
}

fn heap() -> [Queue<Shared<AtomicU64>>; SLOTS] {
    queues(1_024, || AtomicU64::new(0))
}

#[test]
fn what_a_dead_producer_left_is_skipped_and_its_slot_is_clean_again() {
    for step in STEPS {
        let [queue, other] = heap();
        let mut at = 0;
        // Each lap leaves bytes of entries in which the next dies.
        for lap in 0..if cfg!(miri) { 5 } else { 100_u8 } {
            let body = vec![lap; usize::from(lap) * 13 % 200];
            queue.push(b"before").unwrap();
            die(&other, step, &body);
            queue.push(b"after").unwrap();
            assert_eq!(drain(&queue, &mut at, |_| true).len(), if step == Step::Intended { 2 } else { 1 });
            let left = drain(&queue, &mut at, |_| false);
            assert_eq!(
                left,
                if step == Step::Intended { vec![] } else { vec![b"after".to_vec()] },
                "{step:?}"
            );
            assert_eq!(at, queue.tail());
            assert!(!other.take_slot(1), "{step:?}: an unclean slot");
            queue.clear_dead(at, |_| true);
            assert!(!other.take_slot(1), "{step:?}: a living producer's lanes stay");
            queue.clear_dead(at, |_| false);
            // After the compare-and-swap it lost, an intent may name room that nobody has reserved.
            let is_clean = other.take_slot(1);
            assert!(is_clean || step == Step::Intended, "{step:?}");
            if !is_clean {
                queue.push(&[0; 300]).unwrap();
                drain(&queue, &mut at, |_| false);
                queue.clear_dead(at, |_| false);
                assert!(other.take_slot(1));
            }
        }
    }
}

#[test]
fn a_pad_of_a_dead_producer_is_skipped_too() {
    let [queue, other] = heap();
    let mut at = 0;
    queue.push(&[1; 800]).unwrap();
    drain(&queue, &mut at, |_| true);
    // It does not fit before the end of the memory: a pad was reserved with it, and not filled.
    let Ok(lane) = other.lane() else { panic!("a lane is free") };
    let (begin, end) = (other.tail(), 1_024 + record_size(400));
    lane.intend(begin, end);
    other.control(super::super::TAIL).store(end, Ordering::SeqCst);
    lane.keep();
    queue.push(b"after").unwrap();
    assert_eq!(drain(&queue, &mut at, |_| true), [] as [Vec<u8>; 0]);
    assert_eq!(drain(&queue, &mut at, |_| false), [b"after".to_vec()]);
}

#[test]
fn a_longer_intent_that_lost_the_race_hides_nothing() {
    let [queue, other] = heap();
    let mut at = 0;
    // Two threads of one process tried to reserve the same room; the shorter one got it.
    let (Ok(loser), Ok(winner)) = (other.lane(), other.lane()) else { panic!("lanes are free") };
    loser.intend(0, 4 * ALIGN);
    assert!(other.reserve(ALIGN, &winner).is_ok());
    loser.keep();
    winner.keep();
    queue.push(b"after").unwrap();
    assert_eq!(drain(&queue, &mut at, |_| false), [b"after".to_vec()]);
}

#[test]
fn a_producer_that_has_left_records_nothing_more() {
    let [queue, other] = heap();
    let Ok(lane) = other.lane() else { panic!("a lane is free") };
    other.leave();
    assert!(!other.is_quiet(), "a thread is recording");
    drop(lane);
    assert!(other.is_quiet());
    assert_eq!(other.push(b"late").unwrap_err(), Refused::Closed);
    queue.push(b"of another producer").unwrap();
    assert_eq!((queue.accepted(), other.accepted()), (1, 0));
}

/// Explores a drain, a producer beside it, and one that dies.
#[cfg(not(miri))]
fn explore_a_death(step: Step) {
    use loom::sync::atomic::{AtomicBool, AtomicU64};

    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let [queue, other] = queues(256, || AtomicU64::new(0));
        let (queue, is_dead) = (Arc::new(queue), Arc::new(AtomicBool::new(false)));
        let dying = {
            let is_dead = is_dead.clone();
            loom::thread::spawn(move || {
                die(&other, step, &[9; 8]);
                // The kernel frees the lock after the last store.
                is_dead.store(true, Ordering::Release);
            })
        };
        let producer = {
            let queue = queue.clone();
            loom::thread::spawn(move || queue.push(&[1; 8]).is_ok())
        };
        let is_alive = |_| !is_dead.load(Ordering::Acquire);
        let mut at = 0;
        let mut taken = drain(&queue, &mut at, is_alive);
        assert!(producer.join().unwrap());
        dying.join().unwrap();
        taken.extend(drain(&queue, &mut at, is_alive));
        assert_eq!((taken, at), (vec![vec![1; 8]], queue.tail()));
    });
}

#[test]
#[cfg(not(miri))]
fn loom_a_producer_that_dies_before_it_reserves_is_not_waited_for() {
    explore_a_death(Step::Intended);
}

#[test]
#[cfg(not(miri))]
fn loom_a_producer_that_dies_after_it_reserved_is_skipped() {
    explore_a_death(Step::Reserved);
}

#[test]
#[cfg(not(miri))]
fn loom_a_producer_that_dies_after_it_claimed_is_skipped() {
    explore_a_death(Step::Copied);
}

thread_local! {
    static AFTER_STORE_OF_ZERO: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A word whose next store of zero runs something afterwards, as another process might at that moment.
struct Hooked(AtomicU64);

impl Word for Hooked {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
        if value == 0
            && let Some(run) = AFTER_STORE_OF_ZERO.take()
        {
            run();
        }
    }

    fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_or(value, order)
    }

    fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_and(value, order)
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    fn compare_exchange(&self, old: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        self.0.compare_exchange(old, new, success, failure)
    }
}

#[test]
fn clearing_a_slot_spares_its_next_owner() {
    let [queue, dead] = queues(1_024, || Hooked(AtomicU64::new(0)));
    let next = Queue::new(Shared(Arc::clone(&dead.memory.0)), 1_024, 7, SLOTS);
    // Killed with its first lane in use.
    let Ok(lane) = dead.lane() else { panic!("a lane is free") };
    lane.keep();
    AFTER_STORE_OF_ZERO.set(Some(Box::new(move || {
        // Another process joins. One of its threads is about to record, and another one has reserved.
        assert!(next.take_slot(1));
        let (Ok(about_to), Ok(reserving)) = (next.lane(), next.lane()) else { panic!("lanes are free") };
        assert!(next.reserve(ALIGN, &reserving).is_ok());
        about_to.keep();
        reserving.keep();
    })));
    queue.clear_dead(0, |_| false);
    queue.push(b"after").unwrap();
    let mut at = 0;
    assert_eq!(drain(&queue, &mut at, |_| false), [b"after".to_vec()], "what it reserved is known");
}
