//! Many threads record into one trail while segments are sealed and compressed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use auditx_core::{AuditLogger, Config, RecordedEntry};
use auditx_store::TrailReader;
use auditx_tests::deadline::{TIMEOUT, wait_until};
use auditx_tests::report::Report;
use auditx_tests::stop::Stop;
use auditx_tests::trail::{Line, lines};

const THREADS: u64 = 64;
const ENTRIES: u64 = 2_000;

fn config(directory: &Path) -> Config {
    Config::new(directory).max_file_bytes(65_536)
}

/// Asserts that the trail has each thread's entries exactly once and in order.
fn assert_complete(lines: &[Line]) {
    assert_eq!(lines[0].seq, 0);
    let mut next = vec![0; usize::try_from(THREADS).unwrap()];
    for line in lines.iter().filter(|line| line.kind().is_none()) {
        let report: Report = line.description().parse().unwrap();
        let next = &mut next[usize::try_from(report.thread).unwrap()];
        assert_eq!(report.number, *next, "thread {}, at line {}", report.thread, line.seq);
        *next += 1;
    }
    assert!(next.iter().all(|next| *next == ENTRIES), "{next:?}");
}

/// Follows the trail until `stop` is set and returns how many lines it read.
fn follow(directory: &Path, stop: &Stop) -> u64 {
    let mut reader = TrailReader::new(directory, 0);
    let mut seen = 0;
    loop {
        // Read before the lines, so that all lines recorded before the stop are still read.
        let is_over = stop.is_set();
        while let Some((seq, line)) = reader.next_line().unwrap() {
            assert_eq!(seq, seen);
            assert!(line.starts_with(b"{\"seq\":") && line.ends_with(b"}"));
            seen += 1;
        }
        if is_over {
            return seen;
        }
        std::thread::yield_now();
    }
}

#[test]
fn sixty_four_threads_lose_repeat_and_reorder_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let hooked = Arc::new(AtomicU64::new(0));
    let config = config(directory.path()).on_audit("count", {
        let hooked = hooked.clone();
        move |entry: &RecordedEntry<'_>| {
            let next = hooked.fetch_add(1, Ordering::SeqCst);
            if next == entry.seq() { Ok(()) } else { Err(format!("{} after {next}", entry.seq()).into()) }
        }
    });
    let logger = AuditLogger::open(config).unwrap();
    let stop = Stop::default();
    let seen = std::thread::scope(|scope| {
        let stopping = stop.when_dropped();
        let follower = scope.spawn(|| follow(directory.path(), &stop));
        let recorders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let logger = &logger;
                scope.spawn(move || {
                    for number in 0..ENTRIES {
                        let report = Report { round: 0, thread, number };
                        logger.log(report.to_string()).metadata("thread", thread).record().unwrap();
                    }
                })
            })
            .collect();
        for recorder in recorders {
            recorder.join().unwrap();
        }
        logger.flush(TIMEOUT).unwrap();
        // Compression comes after the index of a segment, which is also recorded in the trail.
        wait_until("the compression of every sealed segment", || {
            let metrics = logger.metrics();
            metrics.compressed == metrics.seals && metrics.durable == metrics.written
        });
        logger.flush_hooks(TIMEOUT).unwrap();
        drop(stopping);
        follower.join().unwrap()
    });
    let metrics = logger.metrics();
    assert!(metrics.seals > 50, "{metrics:?}");
    assert_eq!((metrics.accepted, metrics.rejected, metrics.dropped), (THREADS * ENTRIES, 0, 0));
    let failures = [
        metrics.write_failures,
        metrics.seal_failures,
        metrics.fsync_failures,
        metrics.maintenance_failures,
        metrics.followers.iter().map(|follower| follower.failures).sum(),
    ];
    assert_eq!(failures, [0; 5], "{metrics:?}");
    assert_eq!(seen, metrics.written, "the reader reads each line");
    assert_eq!(hooked.load(Ordering::SeqCst), metrics.written, "the hook gets each line: {metrics:?}");
    logger.close(TIMEOUT).unwrap();

    let closed = lines(directory.path());
    assert_eq!(closed.len() as u64, metrics.written + 1, "all lines and the close record");
    assert_complete(&closed);

    AuditLogger::open(self::config(directory.path())).unwrap().close(TIMEOUT).unwrap();
    let reopened = lines(directory.path());
    assert_eq!(reopened[..closed.len()], closed[..]);
    // A pending seal may be done now.
    let kinds = reopened[closed.len()..].iter().map(Line::kind).filter(|kind| *kind != Some("rotated"));
    assert_eq!(kinds.collect::<Vec<_>>(), [Some("open"), Some("checkpoint"), Some("close")]);
}

#[test]
fn a_reader_opened_during_a_seal_starts_at_the_first_line() {
    for round in 0..50 {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        let stop = Stop::default();
        std::thread::scope(|scope| {
            let stopping = stop.when_dropped();
            let reader = scope.spawn(|| {
                while !stop.is_set() {
                    let mut reader = TrailReader::new(directory.path(), 0);
                    if let Some((seq, _)) = reader.next_line().unwrap() {
                        assert_eq!(seq, 0, "round {round}: nothing was retired");
                    }
                }
            });
            while logger.metrics().seals < 3 {
                logger.log("filling").metadata("text", "x".repeat(2_000)).record().unwrap();
            }
            drop(stopping);
            reader.join().unwrap();
        });
    }
}

#[test]
fn a_closed_trail_is_unlocked_while_the_process_forks() {
    let directory = tempfile::tempdir().unwrap();
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let stopping = stop.when_dropped();
        // Between fork and exec, a child has all open files of its parent, including locks.
        let starter = scope.spawn(|| {
            while !stop.is_set() {
                assert!(Command::new("true").status().unwrap().success());
            }
        });
        let open_and_close =
            |_| AuditLogger::open(config(directory.path())).and_then(|logger| logger.close(TIMEOUT));
        let refused: Vec<_> = (0..100).map(open_and_close).filter_map(Result::err).collect();
        drop(stopping);
        starter.join().unwrap();
        assert!(refused.is_empty(), "open failed {} times: {}", refused.len(), refused[0]);
    });
}
