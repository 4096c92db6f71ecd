//! Tests of power cuts at random moments: sectors that were written but not synced are lost at random, and
//! each page of the ring is from a random moment. Durable entries are there; none is invented, repeated or
//! out of order.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use auditx_store::config::{Durability, JournalKind};
use auditx_store::testing::PowerDisk;

use super::checkpoints::checked;
use super::*;

const THREADS: usize = 2;
const PAGE: usize = 4_096;

fn config(directory: &Path) -> Config {
    Config::new(directory)
        .journal(JournalKind::Ring)
        .journal_bytes(256 * 1024)
        .durability(Durability::Interval(Duration::from_millis(3)))
        .max_file_bytes(65_535)
        .compression(Compression::None)
}

fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    }
}

/// How many numbers a thread recorded, and up to which number its receipts were durable.
#[derive(Default)]
struct Progress {
    accepted: AtomicU64,
    durable: AtomicU64,
}

fn record(logger: &AuditLogger, thread: usize, progress: &Progress) -> Result<()> {
    let mut choose = random(thread as u64 + 77);
    for number in 0.. {
        // Stored first: the cut may come between the acceptance and a later store.
        progress.accepted.store(number + 1, Ordering::SeqCst);
        let entry = logger.log(number.to_string()).user(format!("thread {thread}"));
        let receipt = entry.metadata("pad", "x".repeat(choose(1_500))).record()?;
        if choose(20) == 0 {
            receipt.wait_durable()?;
            progress.durable.store(number + 1, Ordering::SeqCst);
        }
    }
    Ok(())
}

/// Takes each page from one of the moments; the header says that the machine was restarted since.
fn mixed(moments: &[Vec<u8>], below: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
    let mut ring = moments[0].clone();
    for (page, bytes) in ring.chunks_mut(PAGE).enumerate() {
        bytes.copy_from_slice(&moments[below(moments.len())][page * PAGE..][..bytes.len()]);
    }
    auditx_store::testing::of_another_boot(&mut ring);
    ring
}

fn cut_once(seed: u64) {
    let mut below = random(seed);
    let (live, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = PowerDisk::default();
    let logger = AuditLogger::open_on(config(live.path()), Arc::new(disk.clone())).unwrap();
    let progress: Vec<Progress> = (0..THREADS).map(|_| Progress::default()).collect();
    let ring = live.path().join(".auditx/ring");
    let (durable, accepted) = std::thread::scope(|scope| {
        for (thread, progress) in progress.iter().enumerate() {
            let logger = &logger;
            scope.spawn(move || record(logger, thread, progress).unwrap_err());
        }
        let enough = below(900) as u64;
        wait_until(|| progress[0].accepted.load(Ordering::SeqCst) > enough);
        let mut moments = vec![fs::read(&ring).unwrap()];
        wait_until(|| progress[0].accepted.load(Ordering::SeqCst) > enough + below(200) as u64);
        moments.push(fs::read(&ring).unwrap());
        let mut durable = Vec::new();
        let seen = |of: fn(&Progress) -> &AtomicU64| -> Vec<u64> {
            progress.iter().map(|progress| of(progress).load(Ordering::SeqCst)).collect()
        };
        let mixed = mixed(&moments, &mut below);
        let copy = || {
            durable = seen(|progress| &progress.durable);
            copy_all(live.path(), left.path());
        };
        disk.cut(live.path(), left.path(), copy, &mut below);
        fs::write(left.path().join(".auditx/ring"), mixed).unwrap();
        let accepted = seen(|progress| &progress.accepted);
        logger.close(TIMEOUT).unwrap();
        (durable, accepted)
    });
    let logger =
        AuditLogger::open(config(left.path())).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    logger.close(TIMEOUT).unwrap();
    let mut found: HashMap<String, Vec<u64>> = HashMap::new();
    for entry in entries(left.path()).into_iter().filter(|entry| entry.control_record.is_none()) {
        found.entry(entry.user).or_default().push(entry.description.parse().unwrap());
    }
    for thread in 0..THREADS {
        let numbers = found.remove(&format!("thread {thread}")).unwrap_or_default();
        assert!(numbers.is_sorted_by(|one, other| one < other), "seed {seed}: {numbers:?}");
        let kept = u64::try_from(numbers.iter().filter(|number| **number < durable[thread]).count()).unwrap();
        assert_eq!(kept, durable[thread], "seed {seed}: thread {thread}, durable entries");
        assert!(
            numbers.last().is_none_or(|last| *last < accepted[thread]),
            "seed {seed}: an entry was invented"
        );
    }
    assert!(found.is_empty(), "seed {seed}: {found:?}");
    assert_eq!(checked(&logger).size(), entries(left.path()).len() as u64);
}

#[test]
fn power_cuts_lose_no_durable_entry_and_invent_none() {
    // AUDITX_SEED=N repeats one of them.
    let seeds = match std::env::var("AUDITX_SEED") {
        Ok(seed) => seed.parse().unwrap()..=seed.parse().unwrap(),
        Err(_) => 1..=40,
    };
    seeds.for_each(cut_once);
}
