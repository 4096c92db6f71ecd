//! Tests of processes that die at a chosen kill point: this program starts itself as a child, names the kill
//! point, and examines what is left.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use auditx_store::config::JournalKind;
use auditx_store::testing::FaultyDisk;

use super::checkpoints::checked;
use super::*;

const ENTRIES: usize = 400;
/// After this entry a sync fails if the process is to die while it rewinds. Some segments are sealed before
/// the next sync.
const FAILING_SYNC: usize = 200;

const CHILD: &str = "AUDITX_TEST_CHILD_OF";
const KILL_AT: &str = "AUDITX_TEST_KILL_AT";

fn config(directory: &Path) -> Config {
    // The smallest segments, so that sealing happens often.
    Config::new(directory)
        .journal(JournalKind::Ring)
        .journal_bytes(256 * 1024)
        .max_file_bytes(65_535)
        .compression(Compression::None)
}

/// The child: prints each number on standard output once it is accepted.
#[test]
fn child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let disk = FaultyDisk::default();
    let logger = AuditLogger::open_on(config(Path::new(&directory)), Arc::new(disk.clone())).unwrap();
    for number in 0..ENTRIES {
        let receipt = logger.log(number.to_string()).metadata("pad", "x".repeat(300)).record().unwrap();
        println!("accepted {number}");
        if number == FAILING_SYNC && std::env::var(KILL_AT).is_ok_and(|point| point.starts_with("rewind")) {
            disk.0.failing_syncs.store(1, Ordering::SeqCst);
        }
        if number % 200 == 199 {
            receipt.wait_durable().unwrap();
        }
    }
    logger.close(TIMEOUT).unwrap();
}

/// Runs the child until it ends. Returns the numbers it printed, and whether it was killed.
fn run_until(directory: &Path, point: &str) -> (Vec<usize>, bool) {
    let (printed, was_killed) = run_child("logger::tests::kill_points::child", CHILD, directory, point);
    let numbers = printed.lines().filter_map(|line| line.split("accepted ").nth(1)?.parse().ok()).collect();
    (numbers, was_killed)
}

/// Runs one test of this program as a child that finds its directory in this variable. Returns what it
/// printed, and whether it was killed.
pub(super) fn run_child(test: &str, variable: &str, directory: &Path, point: &str) -> (String, bool) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(variable, directory)
        .env(KILL_AT, point)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() || output.status.signal() == Some(9), "{point}: {printed}");
    (printed, output.status.signal() == Some(9))
}

/// Asserts that every accepted number is in the trail once and in order, and that the whole trail is signed.
fn assert_nothing_is_lost(directory: &Path, accepted: &[usize], point: &str) {
    let logger = AuditLogger::open(config(directory)).unwrap();
    // Enough for another seal, which segments sealed before must not prevent.
    for _ in 0..200 {
        logger.log("afterwards").metadata("pad", "x".repeat(300)).record().unwrap();
    }
    logger.close(TIMEOUT).unwrap();
    let entries = entries(directory);
    for (seq, entry) in entries.iter().enumerate() {
        assert_eq!(entry.seq, seq as u64, "{point}");
    }
    let own = entries.iter().filter(|entry| entry.control_record.is_none());
    let found: Vec<usize> = own.filter_map(|entry| entry.description.parse().ok()).collect();
    assert_eq!(entries.iter().filter(|entry| entry.description == "afterwards").count(), 200, "{point}");
    assert_eq!(found[..accepted.len()], *accepted, "{point}");
    assert!(found.len() <= accepted.len() + 1, "{point}: {} found, {} accepted", found.len(), accepted.len());
    assert_eq!(checked(&logger).size(), entries.len() as u64, "{point}");
}

fn die_at(points: &[&str]) {
    for point in points {
        let directory = tempfile::tempdir().unwrap();
        let (accepted, was_killed) = run_until(directory.path(), point);
        assert!(was_killed, "{point} was never reached");
        assert_nothing_is_lost(directory.path(), &accepted, point);
    }
}

#[test]
fn a_kill_during_a_push_loses_no_accepted_entry() {
    die_at(&[
        "ring: reserved#1",
        "ring: reserved#123",
        "ring: claimed#123",
        "ring: copied#123",
        "ring: committed#1",
        "ring: committed#123",
    ]);
}

#[test]
fn a_kill_during_draining_loses_and_repeats_nothing() {
    die_at(&["drain: written#1", "drain: written#5", "drain: published#3"]);
}

#[test]
fn a_kill_around_an_fdatasync_loses_and_repeats_nothing() {
    die_at(&["sync: done#2", "sync: published#2", "sync: released#2", "sync: signed#1"]);
}

#[test]
fn a_kill_while_rewinding_loses_and_repeats_nothing() {
    die_at(&["rewind: copied#1", "rewind: removed#1"]);
}

#[test]
fn a_kill_during_a_seal_loses_and_repeats_nothing() {
    die_at(&["seal: renamed#1", "seal: renamed#2", "seal: begun anew#1", "seal: begun anew#2"]);
}

#[test]
fn two_kills_during_recovery_lose_and_repeat_nothing() {
    let recovering = [
        "replay: begun#1",
        "replay: written#1",
        "replay: synced#1",
        "ring: positions written#1",
        "ring: header written#1",
    ];
    for first in recovering {
        for second in recovering {
            let directory = tempfile::tempdir().unwrap();
            let (accepted, was_killed) = run_until(directory.path(), "ring: committed#321");
            assert!(was_killed);
            let (none, was_killed) = run_until(directory.path(), first);
            assert!(was_killed && none.is_empty(), "{first}");
            let (none, _) = run_until(directory.path(), second);
            assert!(none.is_empty() || none.len() == ENTRIES, "{first}, then {second}");
            let expected: Vec<usize> = accepted.iter().copied().chain(none).collect();
            assert_recovered(directory.path(), &expected, &format!("{first}, then {second}"));
        }
    }
}

/// Like [`assert_nothing_is_lost`], for more than one session: the one entry whose acceptance was not printed
/// may come after those of the first session.
fn assert_recovered(directory: &Path, expected: &[usize], point: &str) {
    let logger = AuditLogger::open(config(directory)).unwrap();
    logger.close(TIMEOUT).unwrap();
    let entries = entries(directory);
    let own = entries.iter().filter(|entry| entry.control_record.is_none());
    let mut found: Vec<usize> = own.map(|entry| entry.description.parse().unwrap()).collect();
    if found.len() > expected.len() {
        found.retain({
            let mut seen = 0;
            move |number| {
                let is_unreported = seen < expected.len() && expected[seen] != *number;
                seen += usize::from(!is_unreported);
                !is_unreported
            }
        });
        found.truncate(expected.len());
    }
    assert_eq!(found, expected, "{point}");
    assert_eq!(checked(&logger).size(), entries.len() as u64, "{point}");
}

#[test]
fn a_new_trail_opens_although_its_first_processes_were_killed_before_they_signed_it() {
    let directory = tempfile::tempdir().unwrap();
    let (accepted, was_killed) = run_until(directory.path(), "sync: done#1");
    assert!(was_killed && accepted.is_empty());
    for _ in 0..2 {
        assert!(run_until(directory.path(), "sync: done#1").1);
    }
    assert!(AuditLogger::open(config(directory.path())).is_ok());
}
