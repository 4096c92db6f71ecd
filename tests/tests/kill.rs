//! Accepted entries are in the trail, however the process ends.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use auditx_core::{AuditLogger, Config};
use auditx_tests::child::Child;
use auditx_tests::deadline::TIMEOUT;
use auditx_tests::kill_loop::{Counts, KillLoop, assert_reported_is_recorded, count_in_order, count_reports};
use auditx_tests::process_loop::ProcessLoop;
use auditx_tests::random::Random;
use auditx_tests::report::Report;
use auditx_tests::trail::{Line, lines};
use rustix::process::Signal;

const ROUNDS: u64 = 200;

fn config(directory: &Path) -> Config {
    Config::new(directory).max_file_bytes(65_536)
}

#[test]
fn two_hundred_kills_lose_and_repeat_no_accepted_entry() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Path::new(env!("CARGO_BIN_EXE_kill_writer"));
    let mut trail = KillLoop::new(writer, directory.path(), Random::seeded());
    for _ in 0..ROUNDS {
        trail.round();
    }
    let tally = trail.end();
    eprintln!("{tally:?}");
    assert!(tally.sealed > 10, "segments were sealed: {tally:?}");
    assert!(tally.replayed > 10, "kills left pending entries: {tally:?}");
}

#[test]
fn kills_of_processes_that_share_a_trail_lose_and_repeat_no_entry() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Path::new(env!("CARGO_BIN_EXE_kill_writer"));
    let mut processes = ProcessLoop::new(writer, directory.path(), Random::seeded());
    // `auditx-core` has two hundred kills of processes with one thread each.
    for _ in 0..50 {
        processes.round();
    }
    eprintln!("{:?} processes and lines", processes.end());
}

/// Starts a process that ends in this way. Returns its exit status, its reports and its lines.
fn leave(way: &str, ending: impl FnOnce(&Child)) -> (ExitStatus, Counts, Vec<Line>) {
    let directory = tempfile::tempdir().unwrap();
    let child = Child::start(Command::new(env!("CARGO_BIN_EXE_leave")).arg(directory.path()).arg(way));
    let mut reports: Vec<Report> = Vec::new();
    loop {
        let line = child.next_line().expect("it prints `leaving`");
        if line == "leaving" {
            break;
        }
        reports.push(line.parse().unwrap());
    }
    ending(&child);
    let (status, rest) = child.end();
    reports.extend(rest.iter().map(|line| line.parse::<Report>().unwrap()));
    AuditLogger::open(config(directory.path())).unwrap().close(TIMEOUT).unwrap();
    let mut lines = lines(directory.path());
    // Recovered entries come before the `open` record of the process that recovers.
    let opened = lines.iter().rposition(|line| line.kind() == Some("open")).unwrap();
    lines.truncate(opened);
    (status, count_reports(reports), lines)
}

fn close_records(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.kind() == Some("close")).count()
}

fn assert_accepted_and_closed(reported: &Counts, lines: &[Line]) {
    assert_reported_is_recorded(reported, &count_in_order(lines));
    assert_eq!(lines.last().unwrap().kind(), Some("close"));
    assert_eq!(close_records(lines), 1);
}

#[test]
fn returning_from_main_closes_the_trail() {
    let (status, reported, lines) = leave("return", |_| ());
    assert!(status.success(), "{status}");
    assert_eq!(reported[&(0, 0)], 100);
    assert_accepted_and_closed(&reported, &lines);
}

#[test]
fn exit_closes_the_trail() {
    let (status, reported, lines) = leave("exit", |_| ());
    assert_eq!(status.code(), Some(7));
    assert_eq!(reported[&(0, 0)], 100);
    assert_accepted_and_closed(&reported, &lines);
}

#[test]
fn a_panic_in_main_closes_the_trail() {
    let (status, reported, lines) = leave("panic", |_| ());
    assert_eq!(status.code(), Some(101));
    assert_eq!(reported[&(0, 0)], 100);
    assert_accepted_and_closed(&reported, &lines);
}

#[test]
fn exit_while_other_threads_record_closes_the_trail() {
    for (way, code) in [("return-while-others-record", 0), ("exit-while-others-record", 7)] {
        let (status, reported, lines) = leave(way, |_| ());
        assert_eq!(status.code(), Some(code), "{way}");
        assert!(reported.len() > 1, "{way}: other threads recorded");
        assert_accepted_and_closed(&reported, &lines);
    }
}

#[test]
fn a_fatal_signal_loses_no_accepted_entry() {
    let (status, reported, lines) = leave("stay", |child| child.signal(Signal::TERM));
    assert_eq!(status.signal(), Some(15));
    assert_eq!(count_in_order(&lines), reported);
    assert_eq!(close_records(&lines), 0, "a killed process writes no close record");
}

#[test]
fn an_abort_loses_no_accepted_entry() {
    let (status, reported, lines) = leave("abort", |_| ());
    assert_eq!(status.signal(), Some(6));
    assert_eq!(count_in_order(&lines), reported);
}

#[test]
fn a_truncated_ring_kills_the_writer_and_the_next_one_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kill_writer"));
    let child = Child::start(command.arg(directory.path()).arg("0"));
    for _ in 0..50 {
        child.next_line().expect("it records");
    }
    let ring = directory.path().join(".auditx/ring");
    fs::File::options().write(true).open(&ring).unwrap().set_len(4_096).unwrap();
    let (status, rest) = child.end();
    assert_eq!(status.signal(), Some(7), "{status}: SIGBUS on access to the truncated mapping");
    let whole: Vec<Report> = rest.iter().map(|line| line.parse().unwrap()).collect();
    assert!(!whole.is_empty());

    let logger = AuditLogger::open(config(directory.path())).unwrap();
    logger.log("round 9 thread 9 entry 0").record().unwrap();
    logger.close(TIMEOUT).unwrap();
    let lines = lines(directory.path());
    assert_eq!(count_in_order(&lines)[&(9, 9)], 1, "written lines are intact, and the trail continues");
    let app_log = fs::read_to_string(directory.path().join("app.log")).unwrap();
    assert!(app_log.contains("was truncated"), "{app_log}");
}
