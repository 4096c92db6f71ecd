//! Tests of both journals, and of what concerns only the ring: forks, file systems, a stalled thread, a disk
//! that fails once.

use std::sync::Barrier;

use auditx_store::config::JournalKind;
use auditx_store::testing::FaultyDisk;

use super::checkpoints::checked;
use super::*;

const KINDS: [JournalKind; 2] = [JournalKind::Ring, JournalKind::Direct];

/// Returns what four threads recorded, by thread, in order.
fn recorded_by(kind: JournalKind) -> Vec<Vec<String>> {
    const THREADS: usize = 4;
    let directory = tempfile::tempdir().unwrap();
    let config =
        Config::new(directory.path()).journal(kind).journal_bytes(256 * 1024).max_file_bytes(100_000);
    let logger = AuditLogger::open(config).unwrap();
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (logger, barrier) = (&logger, &barrier);
            scope.spawn(move || {
                let _scope = RequestContext::new().user(format!("thread {thread}")).enter();
                barrier.wait();
                for number in 0..500_usize {
                    logger
                        .log(format!("entry {number}"))
                        .metadata("pad", "x".repeat(number * 7 % 1_500))
                        .record()
                        .unwrap();
                }
            });
        }
    });
    logger.close(TIMEOUT).unwrap();
    assert_eq!(checked(&logger).size(), entries(directory.path()).len() as u64);
    let mut threads = vec![Vec::new(); THREADS];
    for entry in entries(directory.path()).into_iter().filter(|entry| entry.control_record.is_none()) {
        let thread: usize = entry.user.strip_prefix("thread ").unwrap().parse().unwrap();
        threads[thread].push(format!("{} {:?}", entry.description, entry.metadata));
    }
    threads
}

#[test]
fn both_journals_record_the_same_entries_in_each_threads_order() {
    let [ring, direct] = KINDS.map(recorded_by);
    assert_eq!(ring, direct);
    assert!(ring.iter().all(|thread| thread.len() == 500));
}

#[test]
fn receipts_of_both_journals_name_their_line_early_and_late() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path()).journal(kind)).unwrap();
        let early = logger.log("early").record().unwrap();
        for _ in 0..20_000 {
            logger.log("x").record().unwrap();
        }
        let late = logger.log("late").record().unwrap();
        let recorded = [early.wait_durable().unwrap(), late.wait_durable().unwrap()];
        logger.close(TIMEOUT).unwrap();
        for (receipt, recorded) in [early, late].into_iter().zip(recorded) {
            assert_eq!(receipt.wait_durable().unwrap(), recorded);
            let mut reader = TrailReader::new(directory.path(), recorded.seq);
            let (_, line) = reader.next_line().unwrap().unwrap();
            let entry = RecordedEntry::from_line(line).unwrap();
            assert_eq!(entry.leaf_hash(), recorded.leaf_hash);
            assert_eq!(entry.parse().unwrap().id, receipt.id().to_string());
        }
    }
}

#[test]
fn pending_entries_of_the_ring_are_written_by_either_journal() {
    for (before, after) in [(KINDS[0], KINDS[1]), (KINDS[0], KINDS[0])] {
        let (directory, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
        let config = |kind| Config::new(directory.path()).journal(kind);
        let logger = AuditLogger::open_on(config(before), Arc::new(disk.clone())).unwrap();
        logger.flush(TIMEOUT).unwrap();
        disk.0.space.store(0, Ordering::SeqCst);
        for number in 0..100 {
            logger.log(number.to_string()).record().unwrap();
        }
        assert!(logger.close(Duration::from_millis(50)).unwrap_err().is_timed_out());
        assert_eq!(auditx_store::pending_entries(directory.path()).unwrap().len(), 100);
        let logger = AuditLogger::open(config(after)).unwrap();
        logger.close(TIMEOUT).unwrap();
        assert_eq!(directory.path().join(".auditx/ring").exists(), after == JournalKind::Ring);
        let numbers: Vec<String> = entries(directory.path())
            .into_iter()
            .filter(|entry| entry.control_record.is_none())
            .map(|entry| entry.description)
            .collect();
        assert_eq!(numbers, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
        let recovered = kinds(directory.path()).into_iter().filter(|kind| kind == "recovered").count();
        assert_eq!(recovered, 1);
    }
}

#[test]
fn one_failed_fdatasync_costs_nothing_and_a_second_ends_the_trail() {
    for failures in [1, 2] {
        let (directory, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
        let config = Config::new(directory.path()).journal(JournalKind::Ring).max_file_bytes(65_535);
        let config = config.compression(Compression::None);
        let logger = AuditLogger::open_on(config, Arc::new(disk.clone())).unwrap();
        let record =
            |number: usize| logger.log(number.to_string()).metadata("pad", "x".repeat(1_000)).record();
        record(0).unwrap().wait_durable().unwrap();
        disk.0.failing_syncs.store(failures, Ordering::SeqCst);
        // Enough for several segments, so that segments sealed meanwhile are written again as well.
        let receipts: Vec<_> = (1..300).map_while(|number| record(number).ok()).collect();
        let outcomes: Vec<_> = receipts.iter().map(crate::Receipt::wait_durable).collect();
        if failures == 1 {
            assert!(outcomes.iter().all(Result::is_ok) && receipts.len() == 299);
            logger.close(TIMEOUT).unwrap();
            let all = entries(directory.path());
            let recorded = all.iter().filter(|entry| entry.control_record.is_none());
            let numbers: Vec<usize> = recorded.map(|entry| entry.description.parse().unwrap()).collect();
            assert_eq!(numbers, (0..300).collect::<Vec<_>>());
            for (receipt, recorded) in receipts.iter().zip(outcomes) {
                let seq = usize::try_from(recorded.unwrap().seq).unwrap();
                assert_eq!(all[seq].id, receipt.id().to_string());
            }
            assert_eq!(checked(&logger).size(), all.len() as u64);
            assert!(kinds(directory.path()).contains(&"recovered".to_owned()));
        } else {
            assert!(outcomes.last().unwrap().as_ref().unwrap_err().is_storage());
            wait_until(|| record(300).is_err_and(|error| error.is_storage()));
            assert_eq!(logger.metrics().fsync_failures, 2);
            drop(logger);
            // The accepted entries are in the ring, and are written when the disk works again.
            let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
            logger.close(TIMEOUT).unwrap();
            let all = entries(directory.path());
            let count = all.iter().filter(|entry| entry.control_record.is_none()).count();
            assert!(count > receipts.len(), "{count} of {}", receipts.len());
        }
    }
}

#[test]
fn a_ring_is_refused_on_an_unsuitable_file_system() {
    let reason = |directory: &str| auditx_store::testing::unsupported_reason(&Path::new(directory).into());
    assert!(reason("/proc/self").unwrap().contains("keep allocated space"));
    assert_eq!(reason("/dev/shm"), None);
}

#[test]
fn a_foreign_ring_is_moved_aside_and_a_truncated_one_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let config = || Config::new(directory.path()).journal_bytes(256 * 1024);
    let own = directory.path().join(".auditx");
    AuditLogger::open(config()).unwrap().close(TIMEOUT).unwrap();
    fs::write(own.join("ring"), "no ring").unwrap();
    AuditLogger::open(config()).unwrap().close(TIMEOUT).unwrap();
    assert_eq!(text(own.join("ring.aside")), "no ring");
    assert!(text(directory.path().join("app.log")).contains("ring.aside"));

    let logger = AuditLogger::open(config()).unwrap();
    logger.close(TIMEOUT).unwrap();
    let whole = fs::metadata(own.join("ring")).unwrap().len();
    fs::File::options().write(true).open(own.join("ring")).unwrap().set_len(9_000).unwrap();
    let logger = AuditLogger::open(config()).unwrap();
    logger.log("goes on").record().unwrap();
    logger.close(TIMEOUT).unwrap();
    assert_eq!(fs::metadata(own.join("ring")).unwrap().len(), whole);
    assert!(text(directory.path().join("app.log")).contains("was truncated"));
    assert!(kinds(directory.path()).contains(&"goes on".to_owned()));
}

#[test]
fn the_drain_waits_for_a_stalled_thread_and_reports_it() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path()).journal(JournalKind::Ring)).unwrap();
    logger.log("before").record().unwrap();
    logger.flush(TIMEOUT).unwrap();
    let finish = logger.core().unwrap().writer.stall(b"\"id\":\"stalled\",\"success\":true}");
    logger.log("after").record().unwrap();
    wait_until(|| text(directory.path().join("app.log")).contains("has not finished for a second"));
    assert_eq!(logger.metrics().written, logger.metrics().durable, "no later entry is written");
    assert_eq!(kinds(directory.path()).last().unwrap(), "before");
    finish();
    logger.close(TIMEOUT).unwrap();
    let lines = text(directory.path().join("audit.jsonl"));
    let index = |what: &str| lines.find(what).unwrap();
    assert!(index("before") < index("stalled") && index("stalled") < index("\"after\""));
}

#[test]
fn a_forked_child_cannot_record_into_the_trail() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path()).journal(kind)).unwrap();
        logger.log("parent").record().unwrap();
        let outcome = super::forking::in_child(|| {
            let error = logger.log("child").record().unwrap_err();
            // The child does not have the parent's threads: closing must not wait for them.
            logger.close(Duration::from_millis(10)).unwrap();
            error.is_locked() && error.to_string().contains("forked")
        });
        assert!(outcome, "{kind:?}");
        logger.log("parent again").record().unwrap();
        logger.close(TIMEOUT).unwrap();
        assert_eq!(kinds(directory.path())[2..], ["parent", "parent again", "close"]);
    }
}
