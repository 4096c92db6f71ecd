//! Both journals, and what only the ring can meet: forks, file systems, a thread that stalls, a disk that fails once.

use std::sync::Barrier;

use super::checkpoints::checked;
use super::*;
use crate::config::JournalKind;
use crate::storage::testing::FaultyDisk;

const KINDS: [JournalKind; 2] = [JournalKind::Ring, JournalKind::Direct];

/// What four threads recorded, each thread's in its order.
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
    logger.close(PATIENCE).unwrap();
    assert_eq!(checked(&logger).size(), entries(directory.path()).len() as u64);
    let mut threads = vec![Vec::new(); THREADS];
    for entry in entries(directory.path()).into_iter().filter(|entry| entry.control_record.is_none()) {
        let thread: usize = entry.user.strip_prefix("thread ").unwrap().parse().unwrap();
        threads[thread].push(format!("{} {:?}", entry.description, entry.metadata));
    }
    threads
}

#[test]
fn the_same_input_gives_the_same_entries_in_the_same_order_of_each_thread() {
    let [ring, direct] = KINDS.map(recorded_by);
    assert_eq!(ring, direct);
    assert!(ring.iter().all(|thread| thread.len() == 500));
}

#[test]
fn receipts_of_both_journals_name_the_line_at_once_and_long_after() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path()).journal(kind)).unwrap();
        let early = logger.log("early").record().unwrap();
        for _ in 0..20_000 {
            logger.log("x").record().unwrap();
        }
        let late = logger.log("late").record().unwrap();
        let recorded = [early.wait_durable().unwrap(), late.wait_durable().unwrap()];
        logger.close(PATIENCE).unwrap();
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
fn entries_of_one_journal_are_brought_in_by_the_other() {
    for (before, after) in [(KINDS[0], KINDS[1]), (KINDS[0], KINDS[0])] {
        let (directory, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
        let config = |kind| Config::new(directory.path()).journal(kind);
        let logger = AuditLogger::open_on(config(before), Arc::new(disk.clone())).unwrap();
        logger.flush(PATIENCE).unwrap();
        disk.0.room.store(0, Ordering::SeqCst);
        for number in 0..100 {
            logger.log(number.to_string()).record().unwrap();
        }
        assert!(logger.close(Duration::from_millis(50)).unwrap_err().is_timed_out());
        assert_eq!(crate::pending_entries(directory.path()).unwrap().len(), 100);
        let logger = AuditLogger::open(config(after)).unwrap();
        logger.close(PATIENCE).unwrap();
        assert_eq!(directory.path().join(".auditx/ring").exists(), after == JournalKind::Ring);
        let numbers: Vec<String> = entries(directory.path())
            .into_iter()
            .filter(|entry| entry.control_record.is_none())
            .map(|entry| entry.description)
            .collect();
        assert_eq!(numbers, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
        let brought = kinds(directory.path()).into_iter().filter(|kind| kind == "recovered").count();
        assert_eq!(brought, 1);
    }
}

#[test]
fn an_fdatasync_that_fails_once_costs_nothing_and_twice_ends_the_trail() {
    for failures in [1, 2] {
        let (directory, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
        let config = Config::new(directory.path()).journal(JournalKind::Ring).max_file_bytes(65_535);
        let config = config.compression(Compression::None);
        let logger = AuditLogger::open_on(config, Arc::new(disk.clone())).unwrap();
        let record =
            |number: usize| logger.log(number.to_string()).metadata("pad", "x".repeat(1_000)).record();
        record(0).unwrap().wait_durable().unwrap();
        disk.0.failing_syncs.store(failures, Ordering::SeqCst);
        // Enough for several segments, so that what was sealed meanwhile is written anew as well.
        let receipts: Vec<_> = (1..300).map_while(|number| record(number).ok()).collect();
        let outcomes: Vec<_> = receipts.iter().map(crate::Receipt::wait_durable).collect();
        if failures == 1 {
            assert!(outcomes.iter().all(Result::is_ok) && receipts.len() == 299);
            logger.close(PATIENCE).unwrap();
            let all = entries(directory.path());
            let own = all.iter().filter(|entry| entry.control_record.is_none());
            let numbers: Vec<usize> = own.map(|entry| entry.description.parse().unwrap()).collect();
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
            // What was accepted is in the ring, and a disk that works again gets it.
            let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
            logger.close(PATIENCE).unwrap();
            let all = entries(directory.path());
            let own = all.iter().filter(|entry| entry.control_record.is_none()).count();
            assert!(own > receipts.len(), "{own} of {}", receipts.len());
        }
    }
}

#[test]
fn a_ring_is_refused_where_space_cannot_be_promised() {
    let refusal = |directory: &str| crate::ring::refusal(&Path::new(directory).into());
    assert!(refusal("/proc/self").unwrap().contains("promised space"));
    assert_eq!(refusal("/dev/shm"), None);
}

#[test]
fn somebody_elses_ring_is_put_aside_and_a_cut_one_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let config = || Config::new(directory.path()).journal_bytes(256 * 1024);
    let own = directory.path().join(".auditx");
    AuditLogger::open(config()).unwrap().close(PATIENCE).unwrap();
    fs::write(own.join("ring"), "no ring").unwrap();
    AuditLogger::open(config()).unwrap().close(PATIENCE).unwrap();
    assert_eq!(text(own.join("ring.aside")), "no ring");
    assert!(text(directory.path().join("app.log")).contains("ring.aside"));

    let logger = AuditLogger::open(config()).unwrap();
    logger.close(PATIENCE).unwrap();
    let whole = fs::metadata(own.join("ring")).unwrap().len();
    fs::File::options().write(true).open(own.join("ring")).unwrap().set_len(9_000).unwrap();
    let logger = AuditLogger::open(config()).unwrap();
    logger.log("goes on").record().unwrap();
    logger.close(PATIENCE).unwrap();
    assert_eq!(fs::metadata(own.join("ring")).unwrap().len(), whole);
    assert!(text(directory.path().join("app.log")).contains("somebody cut it"));
    assert!(kinds(directory.path()).contains(&"goes on".to_owned()));
}

#[test]
fn a_thread_that_stalls_is_waited_for_and_reported_and_nothing_is_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path()).journal(JournalKind::Ring)).unwrap();
    logger.log("before").record().unwrap();
    logger.flush(PATIENCE).unwrap();
    let core = logger.core().unwrap().clone();
    let queue = core.housekeeping.ring.as_ref().unwrap().queue();
    let finish = queue.stall(b"\"id\":\"stalled\",\"success\":true}");
    logger.log("after").record().unwrap();
    wait_until(|| text(directory.path().join("app.log")).contains("has not finished for a second"));
    assert_eq!(logger.metrics().written, logger.metrics().durable, "nothing that follows is written");
    assert_eq!(kinds(directory.path()).last().unwrap(), "before");
    finish(queue);
    logger.close(PATIENCE).unwrap();
    let lines = text(directory.path().join("audit.jsonl"));
    let place = |what: &str| lines.find(what).unwrap();
    assert!(place("before") < place("stalled") && place("stalled") < place("\"after\""));
}

#[test]
fn a_forked_child_is_told_that_the_trail_is_not_its_own() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path()).journal(kind)).unwrap();
        logger.log("parent").record().unwrap();
        let outcome = crate::ring::forking::in_child(|| {
            let error = logger.log("child").record().unwrap_err();
            // The parent's threads are not here: closing must not wait for them.
            logger.close(Duration::from_millis(10)).unwrap();
            error.is_locked() && error.to_string().contains("forked")
        });
        assert!(outcome, "{kind:?}");
        logger.log("parent again").record().unwrap();
        logger.close(PATIENCE).unwrap();
        assert_eq!(kinds(directory.path())[2..], ["parent", "parent again", "close"]);
    }
}
