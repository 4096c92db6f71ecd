//! Pending entries, as read by another process.

use std::process::{Child, Command, Stdio};

use auditx_store::config::JournalKind;
use auditx_store::testing::FaultyDisk;
use auditx_store::{PendingEntries, pending_entries};
use rustix::process::{Pid, Signal, kill_process};

use super::*;

const CHILD: &str = "AUDITX_TEST_RECORDING_CHILD_OF";

/// Returns a logger whose disk is full, with `count` pending entries.
fn stuck(count: usize) -> (tempfile::TempDir, FaultyDisk, AuditLogger) {
    let (directory, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
    let config = Config::new(directory.path()).journal(JournalKind::Ring).journal_bytes(256 * 1024);
    let logger = AuditLogger::open_on(config, Arc::new(disk.clone())).unwrap();
    logger.log("before").record().unwrap();
    logger.flush(TIMEOUT).unwrap();
    disk.0.space.store(0, Ordering::SeqCst);
    for number in 0..count {
        logger.log(number.to_string()).metadata("said", "\"{\n").record().unwrap();
    }
    (directory, disk, logger)
}

#[test]
fn a_ring_of_version_1_is_recovered_and_replaced() {
    let (directory, _disk, logger) = stuck(100);
    let copy = tempfile::tempdir().unwrap();
    copy_all(directory.path(), copy.path());
    let path = copy.path().join(".auditx/ring");
    let mut ring = fs::read(&path).unwrap();
    auditx_store::testing::of_version_1(&mut ring);
    fs::write(&path, &ring).unwrap();
    let reader = pending_entries(copy.path()).unwrap();
    assert_eq!(numbers(&reader), (0..100).collect::<Vec<_>>(), "readers know it, too");

    let reopened = AuditLogger::open(Config::new(copy.path()).journal_bytes(256 * 1024)).unwrap();
    reopened.close(TIMEOUT).unwrap();
    let found: Vec<String> = entries(copy.path())
        .into_iter()
        .filter_map(|entry| entry.description.parse::<u32>().ok().map(|_| entry.description))
        .collect();
    assert_eq!(found, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    let replaced = fs::read(&path).unwrap();
    assert_eq!((replaced[16], replaced.len()), (2, ring.len() + 64 * 1024), "version 2, with slots");
    drop(logger);
}

fn numbers(pending: &PendingEntries) -> Vec<u64> {
    pending
        .lines()
        .map(|line| {
            auditx_format::row::Row::read(line)
                .unwrap()
                .text(auditx_format::row::Field::Description)
                .parse()
                .unwrap()
        })
        .collect()
}

#[test]
fn entries_behind_a_full_disk_are_pending() {
    let (directory, disk, logger) = stuck(100);
    wait_until(|| logger.metrics().write_failures > 1);
    let mut pending = pending_entries(directory.path()).unwrap();
    assert_eq!((pending.len(), pending.unreadable(), pending.is_empty()), (100, 0, false));
    assert_eq!(numbers(&pending), (0..100).collect::<Vec<_>>());
    let given: Vec<Vec<u8>> = pending.lines().map(<[u8]>::to_vec).collect();

    disk.0.space.store(u64::MAX, Ordering::SeqCst);
    logger.flush(TIMEOUT).unwrap();
    assert!(pending_entries(directory.path()).unwrap().is_empty());
    let mut written = Vec::new();
    let mut reader = TrailReader::new(directory.path(), 0);
    while let Some((seq, line)) = reader.next_line().unwrap() {
        let before = pending.len();
        pending.remove(line);
        if pending.len() < before {
            let prefix = format!("{{\"seq\":{seq},");
            written.push([b"{", line.strip_prefix(prefix.as_bytes()).unwrap()].concat());
        }
    }
    assert_eq!(written, given);
    assert!(pending.is_empty() && pending.lines().next().is_none());
}

#[test]
fn entries_of_a_killed_process_stay_pending() {
    let (directory, _disk, logger) = stuck(50);
    wait_until(|| logger.metrics().write_failures > 1);
    // Simulates a kill within one process: the copy is what the kernel would have kept.
    let pending = tempfile::tempdir().unwrap();
    copy_all(directory.path(), pending.path());
    for _ in 0..2 {
        assert_eq!(numbers(&pending_entries(pending.path()).unwrap()), (0..50).collect::<Vec<_>>());
    }
    AuditLogger::open(Config::new(pending.path())).unwrap().close(TIMEOUT).unwrap();
    assert!(pending_entries(pending.path()).unwrap().is_empty());
}

#[test]
fn nothing_is_pending_without_a_ring_and_a_foreign_ring_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(pending_entries(directory.path()).unwrap().is_empty(), "no trail at all");
    let logger = AuditLogger::open(Config::new(directory.path()).journal(JournalKind::Direct)).unwrap();
    logger.log("direct").record().unwrap();
    assert!(pending_entries(directory.path()).unwrap().is_empty());
    logger.close(TIMEOUT).unwrap();

    let (other, _disk, _logger) = stuck(3);
    fs::copy(other.path().join(".auditx/ring"), directory.path().join(".auditx/ring")).unwrap();
    let error = pending_entries(directory.path()).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("another trail"), "{error}");
}

/// Runs in the child process: records until it is killed, with small segments and a small ring.
#[test]
fn child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let config = Config::new(directory)
        .journal(JournalKind::Ring)
        .journal_bytes(256 * 1024)
        .max_file_bytes(65_535)
        .compression(Compression::None);
    let logger = AuditLogger::open(config).unwrap();
    let begin = Instant::now();
    for number in 0_u64.. {
        logger.log(number.to_string()).record().unwrap();
        if number % 64 == 0 {
            // Limits the disk usage of the test, and how long a child can outlive it.
            std::thread::sleep(Duration::from_micros(300));
            assert!(begin.elapsed() < 2 * TIMEOUT, "the child was not killed");
        }
    }
}

struct Recording(Child);

impl Recording {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "logger::tests::pending::child", "--nocapture", "--test-threads=1"]);
        Self(command.env(CHILD, directory).stdout(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Reads the trail to its end and checks that the numbers are consecutive.
fn read_on(reader: &mut TrailReader, next: &mut u64, pending: &mut PendingEntries) {
    while let Some((_, line)) = reader.next_line().unwrap() {
        pending.remove(line);
        let entry = RecordedEntry::from_line(line).unwrap().parse().unwrap();
        if entry.control_record.is_none() {
            assert_eq!(entry.description, next.to_string());
            *next += 1;
        }
    }
}

#[test]
fn trail_and_pending_entries_together_have_each_entry_once() {
    let directory = tempfile::tempdir().unwrap();
    let recording = Recording::start(directory.path());
    let mut reader = TrailReader::new(directory.path(), 0);
    let (mut next, mut rounds, mut from_journal) = (0, 0, 0);
    let mut look = |next: &mut u64| {
        let mut pending = pending_entries(directory.path()).unwrap();
        read_on(&mut reader, next, &mut pending);
        let numbers = numbers(&pending);
        assert_eq!(numbers, (*next..*next + numbers.len() as u64).collect::<Vec<_>>());
        numbers.len()
    };
    wait_until(|| directory.path().join(".auditx/ring").exists());
    let mut round = || {
        look(&mut next);
        recording.signal(Signal::STOP);
        // The process is stopped anywhere: in a push, a write or a seal.
        from_journal += look(&mut next);
        recording.signal(Signal::CONT);
        rounds += 1;
        rounds > 200 && next > 5_000 && from_journal > 0
    };
    wait_until(&mut round);
    drop(recording);
    look(&mut next);
}
