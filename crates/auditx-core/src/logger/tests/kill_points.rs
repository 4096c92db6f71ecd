//! Processes that die at a chosen place: this program starts itself, names the place, and looks at what is left.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::checkpoints::checked;
use super::*;
use crate::config::JournalKind;
use crate::storage::testing::FaultyDisk;

const ENTRIES: usize = 400;
/// After this entry a sync fails where going back is what a process is to die in. Some segments are sealed before the next one.
const FAILING_SYNC: usize = 200;

const CHILD: &str = "AUDITX_TEST_CHILD_OF";
const KILL_AT: &str = "AUDITX_TEST_KILL_AT";

fn config(directory: &Path) -> Config {
    // Segments as small as they may be, so that sealing is under way.
    Config::new(directory)
        .journal(JournalKind::Ring)
        .journal_bytes(256 * 1024)
        .max_file_bytes(65_535)
        .compression(Compression::None)
}

/// What the child does: it says each number on standard output once it is accepted.
#[test]
fn child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let disk = FaultyDisk::default();
    let logger = AuditLogger::open_on(config(Path::new(&directory)), Arc::new(disk.clone())).unwrap();
    for number in 0..ENTRIES {
        let receipt = logger.log(number.to_string()).metadata("pad", "x".repeat(300)).record().unwrap();
        println!("accepted {number}");
        if number == FAILING_SYNC && std::env::var(KILL_AT).is_ok_and(|place| place.starts_with("rewind")) {
            disk.0.failing_syncs.store(1, Ordering::SeqCst);
        }
        if number % 200 == 199 {
            receipt.wait_durable().unwrap();
        }
    }
    logger.close(PATIENCE).unwrap();
}

/// Runs the child until it dies; gives the numbers it said, and whether it was killed.
fn run_until(directory: &Path, place: &str) -> (Vec<usize>, bool) {
    let (said, was_killed) = run_child("logger::tests::kill_points::child", CHILD, directory, place);
    let numbers = said.lines().filter_map(|line| line.split("accepted ").nth(1)?.parse().ok()).collect();
    (numbers, was_killed)
}

/// Runs one test of this program as a child that finds its directory in this variable; gives what it said, and whether it was
/// killed.
pub(super) fn run_child(test: &str, variable: &str, directory: &Path, place: &str) -> (String, bool) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(variable, directory)
        .env(KILL_AT, place)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() || output.status.signal() == Some(9), "{place}: {said}");
    (said, output.status.signal() == Some(9))
}

/// Every accepted number is there once and in order, and the trail is signed whole.
fn assert_nothing_is_lost(directory: &Path, accepted: &[usize], place: &str) {
    let logger = AuditLogger::open(config(directory)).unwrap();
    // Enough for another seal: what was sealed before must not be in its way.
    for _ in 0..200 {
        logger.log("afterwards").metadata("pad", "x".repeat(300)).record().unwrap();
    }
    logger.close(PATIENCE).unwrap();
    let entries = entries(directory);
    for (seq, entry) in entries.iter().enumerate() {
        assert_eq!(entry.seq, seq as u64, "{place}");
    }
    let own = entries.iter().filter(|entry| entry.control_record.is_none());
    let found: Vec<usize> = own.filter_map(|entry| entry.description.parse().ok()).collect();
    assert_eq!(entries.iter().filter(|entry| entry.description == "afterwards").count(), 200, "{place}");
    assert_eq!(found[..accepted.len()], *accepted, "{place}");
    assert!(found.len() <= accepted.len() + 1, "{place}: {} found, {} accepted", found.len(), accepted.len());
    assert_eq!(checked(&logger).size(), entries.len() as u64, "{place}");
}

fn die_at(places: &[&str]) {
    for place in places {
        let directory = tempfile::tempdir().unwrap();
        let (accepted, was_killed) = run_until(directory.path(), place);
        assert!(was_killed, "{place} is never passed");
        assert_nothing_is_lost(directory.path(), &accepted, place);
    }
}

#[test]
fn dying_while_an_entry_is_pushed_loses_no_accepted_one() {
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
fn dying_while_the_ring_is_drained_loses_and_repeats_nothing() {
    die_at(&["drain: written#1", "drain: written#5", "drain: published#3"]);
}

#[test]
fn dying_around_an_fdatasync_loses_and_repeats_nothing() {
    die_at(&["sync: done#2", "sync: published#2", "sync: released#2", "sync: signed#1"]);
}

#[test]
fn dying_while_going_back_after_a_failed_fdatasync_loses_and_repeats_nothing() {
    die_at(&["rewind: copied#1", "rewind: removed#1"]);
}

#[test]
fn dying_in_the_middle_of_a_seal_loses_and_repeats_nothing() {
    die_at(&["seal: renamed#1", "seal: renamed#2", "seal: begun anew#1", "seal: begun anew#2"]);
}

#[test]
fn dying_while_recovering_and_once_more_loses_and_repeats_nothing() {
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

/// As [`assert_nothing_is_lost`], for more than one session: the one entry that nobody heard of may stand after the first.
fn assert_recovered(directory: &Path, expected: &[usize], place: &str) {
    let logger = AuditLogger::open(config(directory)).unwrap();
    logger.close(PATIENCE).unwrap();
    let entries = entries(directory);
    let own = entries.iter().filter(|entry| entry.control_record.is_none());
    let mut found: Vec<usize> = own.map(|entry| entry.description.parse().unwrap()).collect();
    if found.len() > expected.len() {
        found.retain({
            let mut seen = 0;
            move |number| {
                let is_unheard = seen < expected.len() && expected[seen] != *number;
                seen += usize::from(!is_unheard);
                !is_unheard
            }
        });
        found.truncate(expected.len());
    }
    assert_eq!(found, expected, "{place}");
    assert_eq!(checked(&logger).size(), entries.len() as u64, "{place}");
}
