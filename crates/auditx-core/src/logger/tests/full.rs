//! Tests of a full journal: who waits, which error is returned, and what the trail records.

use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Waker};

use auditx_store::config::JournalKind;
use auditx_store::testing::FaultyDisk;

use super::*;
use crate::OnFull;

const CAPACITY: u64 = 256 * 1024;

/// Returns a logger whose disk has no room for another line, so that the ring fills up.
fn stuck(on_full: OnFull) -> (tempfile::TempDir, FaultyDisk, AuditLogger) {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let config = Config::new(directory.path())
        .journal(JournalKind::Ring)
        .journal_bytes(CAPACITY)
        .on_full(on_full)
        .compression(Compression::None);
    let logger = AuditLogger::open_on(config, Arc::new(disk.clone())).unwrap();
    logger.flush(TIMEOUT).unwrap();
    disk.0.space.store(0, Ordering::SeqCst);
    (directory, disk, logger)
}

fn record(logger: &AuditLogger, number: u64) -> Result<crate::Receipt> {
    logger.log(number.to_string()).metadata("pad", "x".repeat(2_000)).record()
}

/// Records until an entry is refused. Returns how many were accepted, and the error.
fn fill(logger: &AuditLogger, first: u64) -> (u64, Error) {
    (first..).find_map(|number| record(logger, number).err().map(|error| (number - first, error))).unwrap()
}

/// Returns the numbers in the trail, and its gap records: after how many numbers, and their counts.
fn found(directory: &Path) -> (Vec<u64>, Vec<(usize, u64)>) {
    let (mut numbers, mut gaps) = (Vec::new(), Vec::new());
    for entry in entries(directory) {
        match &entry.control_record {
            None => numbers.push(entry.description.parse().unwrap()),
            Some(record) if record["kind"] == "gap" => {
                assert!(entry.level == "CRITICAL" && record["first"].as_str() <= record["last"].as_str());
                gaps.push((numbers.len(), record["count"].as_u64().unwrap()));
            }
            Some(_) => {}
        }
    }
    (numbers, gaps)
}

#[test]
fn a_full_journal_rejects_entries_and_the_trail_counts_them() {
    let (directory, disk, logger) = stuck(OnFull::Reject);
    record(&logger, 0).unwrap();
    wait_until(|| logger.metrics().write_failures > 1);
    let (more, error) = fill(&logger, 1);
    let accepted = more + 1;
    assert!(accepted > 50 && error.is_storage() && error.path().is_some(), "{error}");
    for _ in 0..4 {
        record(&logger, 9_999).unwrap_err();
    }
    assert_eq!(logger.metrics().rejected, 5);
    disk.0.space.store(u64::MAX, Ordering::SeqCst);
    logger.flush(TIMEOUT).unwrap();
    record(&logger, accepted).unwrap();
    logger.close(TIMEOUT).unwrap();
    let (numbers, gaps) = found(directory.path());
    assert_eq!(numbers, (0..=accepted).collect::<Vec<_>>());
    assert_eq!(
        gaps,
        [(usize::try_from(accepted).unwrap(), 5)],
        "the gap comes after the earlier entries and before the later one"
    );
    assert!(text(directory.path().join("audit.jsonl")).contains("cannot append to the active segment"));
}

#[test]
fn dropped_entries_are_counted_and_their_receipts_fail() {
    let (directory, disk, logger) = stuck(OnFull::Drop);
    let mut receipts: Vec<_> = (0..300).map(|number| record(&logger, number).unwrap()).collect();
    let dropped = logger.metrics().dropped;
    assert!((1..300).contains(&dropped));
    assert!(receipts.pop().unwrap().wait_durable().unwrap_err().is_full());
    disk.0.space.store(u64::MAX, Ordering::SeqCst);
    receipts[0].wait_durable().unwrap();
    logger.close(TIMEOUT).unwrap();
    let (numbers, gaps) = found(directory.path());
    assert_eq!(numbers, (0..300 - dropped).collect::<Vec<_>>());
    assert_eq!(gaps.iter().map(|(_, count)| count).sum::<u64>(), dropped);
    assert_eq!(logger.metrics().rejected, 0);
}

#[test]
fn a_full_journal_waits_for_room_and_loses_nothing() {
    let (directory, disk, logger) = stuck(OnFull::Wait { max: TIMEOUT });
    let recorded = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..300 {
                record(&logger, number).unwrap();
                recorded.fetch_add(1, Ordering::SeqCst);
            }
        });
        wait_until(|| recorded.load(Ordering::SeqCst) > 100 && logger.metrics().write_failures > 2);
        disk.0.space.store(u64::MAX, Ordering::SeqCst);
    });
    logger.close(TIMEOUT).unwrap();
    assert_eq!(found(directory.path()), ((0..300).collect(), Vec::new()));
}

#[test]
fn waiting_for_room_times_out_with_the_disk_error() {
    let (_directory, disk, logger) = stuck(OnFull::Wait { max: Duration::from_millis(50) });
    record(&logger, 0).unwrap();
    wait_until(|| logger.metrics().write_failures > 0);
    let begin = Instant::now();
    let (_, error) = fill(&logger, 1);
    assert!(error.is_storage() && begin.elapsed() >= Duration::from_millis(50), "{error}");
    assert!(error.path().is_some(), "{error}");
    disk.0.space.store(u64::MAX, Ordering::SeqCst);
    logger.close(TIMEOUT).unwrap();
}

#[test]
fn a_task_waits_for_room_without_blocking_its_thread() {
    let (directory, disk, logger) = stuck(OnFull::Wait { max: TIMEOUT });
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting = None;
    for number in 0..1_000_u64 {
        let text = number.to_string();
        let mut task = Box::pin({
            let logger = logger.clone();
            async move { logger.log(text).metadata("pad", "x".repeat(2_000)).record_async().await }
        });
        match task.as_mut().poll(&mut context) {
            Poll::Ready(receipt) => drop(receipt.unwrap()),
            Poll::Pending => {
                waiting = Some((number, task));
                break;
            }
        }
    }
    let (number, mut task) = waiting.expect("the ring fills up");
    // A task that is dropped while it waits records nothing.
    let given_up = {
        let mut given_up = Box::pin(async {
            logger.log("given up").metadata("pad", "x".repeat(2_000)).record_async().await
        });
        assert!(given_up.as_mut().poll(&mut context).is_pending());
        given_up
    };
    drop(given_up);
    disk.0.space.store(u64::MAX, Ordering::SeqCst);
    wait_until(|| task.as_mut().poll(&mut context).is_ready());
    logger.close(TIMEOUT).unwrap();
    assert_eq!(found(directory.path()).0, (0..=number).collect::<Vec<_>>());
}

#[test]
fn entries_refused_before_a_kill_are_recorded_at_the_next_open() {
    let (directory, _disk, logger) = stuck(OnFull::Drop);
    for number in 0..300 {
        record(&logger, number).unwrap();
    }
    let dropped = logger.metrics().dropped;
    // Stands for a kill within one process: the copy is what the kernel would have kept.
    let left = tempfile::tempdir().unwrap();
    copy_all(directory.path(), left.path());
    drop(AuditLogger::open(Config::new(left.path()).compression(Compression::None)).unwrap());
    let (numbers, gaps) = found(left.path());
    assert_eq!(numbers, (0..300 - dropped).collect::<Vec<_>>());
    assert_eq!(gaps, [(numbers.len(), dropped)]);
}
