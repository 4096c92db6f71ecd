//! Failing system calls, injected by strace(1) into real processes, and counts of system calls.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::Command;

use auditx_core::{AuditLogger, Config, JournalKind};
use auditx_reader::{Answer, VerifyOptions, verify};
use auditx_tests::deadline::TIMEOUT;
use auditx_tests::trail::{Line, entries, lines};

const COUNT: u64 = 400;

/// The output of `steady` under strace.
struct Output {
    accepted: Vec<u64>,
    durable: Vec<u64>,
    refused: Option<String>,
    done: bool,
}

/// Runs `steady` under strace. Only calls on the active segment fail. strace counts calls per thread; opening
/// the trail already makes two calls of fdatasync.
fn steady(directory: &Path, injection: &str) -> Output {
    let log = directory.with_extension("strace");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg("-P")
        .arg(directory.join("audit.jsonl"))
        .args(["-e", "trace=fdatasync,write", "-e", injection])
        .arg(env!("CARGO_BIN_EXE_steady"))
        .arg(directory)
        .arg(COUNT.to_string())
        .output()
        .unwrap_or_else(|error| panic!("cannot start strace ({error}): run `cargo xtask setup`"));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = |what: &str| {
        text.lines().filter_map(|line| line.strip_prefix(what)?.parse().ok()).collect::<Vec<u64>>()
    };
    assert!(text.starts_with("opened\n"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read_to_string(&log).unwrap().contains("INJECTED"), "nothing failed");
    Output {
        accepted: numbers("accepted "),
        durable: numbers("durable "),
        refused: text.lines().find(|line| line.starts_with("refused ")).map(str::to_owned),
        done: text.ends_with("done\n"),
    }
}

/// Opens the trail again and asserts that it has every accepted entry, once and in order, and verifies.
fn assert_complete(directory: &Path, output: &Output) -> Vec<Line> {
    let logger = AuditLogger::open(Config::new(directory).journal(JournalKind::Ring)).unwrap();
    logger.close(TIMEOUT).unwrap();
    let found: Vec<u64> = entries(directory).iter().map(|line| line.description().parse().unwrap()).collect();
    assert_eq!(found[..output.accepted.len()], output.accepted);
    assert!(found.len() <= output.accepted.len() + 1);
    let options =
        VerifyOptions::new().key(logger.verifier_key().unwrap()).known(logger.checkpoint().unwrap());
    let answer = verify(directory, &options, &mut |_, _| ()).unwrap();
    assert_eq!(answer.answer, Answer::Intact, "{answer:?}");
    lines(directory)
}

#[test]
fn a_single_failed_fdatasync_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    for when in [3, 6, 11] {
        let directory = root.path().join(when.to_string());
        let output = steady(&directory, &format!("inject=fdatasync:error=EIO:when={when}"));
        assert!(output.done && output.refused.is_none(), "{when}: {:?}", output.refused);
        assert_eq!(output.durable.len(), 16, "every receipt that was waited for");
        let lines = assert_complete(&directory, &output);
        let app_log = fs::read_to_string(directory.join("app.log")).unwrap();
        assert!(app_log.contains("written again from the journal"), "{when}: {app_log}");
        assert!(lines.iter().any(|line| line.kind() == Some("recovered")));
    }
}

#[test]
fn a_failing_disk_is_reported_and_the_ring_keeps_entries() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("trail");
    let output = steady(&directory, "inject=fdatasync:error=EIO:when=5+");
    assert!(!output.done && output.refused.as_ref().unwrap().contains("cannot sync"), "{:?}", output.refused);
    assert!(!output.accepted.is_empty() && output.durable.len() < 16);
    assert_complete(&directory, &output);
}

#[test]
fn temporary_write_failures_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("trail");
    let output = steady(&directory, "inject=write:error=ENOSPC:when=4..9");
    assert!(output.done && output.refused.is_none(), "{:?}", output.refused);
    let lines = assert_complete(&directory, &output);
    assert!(lines.iter().all(|line| line.kind() != Some("gap")), "nothing was refused");
    let app_log = fs::read_to_string(directory.join("app.log")).unwrap();
    assert!(
        app_log.contains("entries wait in the journal") && app_log.contains("written again"),
        "{app_log}"
    );
}

#[test]
fn recording_makes_no_system_call() {
    let root = tempfile::tempdir().unwrap();
    let log = root.path().join("strace");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_hot_path"))
        .arg(root.path().join("trail"))
        .arg("5000")
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let log = fs::read_to_string(&log).unwrap();
    let main = log.split(' ').next().unwrap();
    let own: Vec<&str> =
        log.lines().filter_map(|line| line.strip_prefix(main)).map(str::trim_start).collect();
    let printed =
        |what: &str| own.iter().position(|call| call.starts_with("write(1") && call.contains(what)).unwrap();
    let (begin, end) = (printed("begin"), printed("end"));
    let between: Vec<&&str> = own[begin + 1..end]
        .iter()
        // strace splits a call into two lines if another thread's call comes in between: this is the end of
        // the write of `begin`.
        .filter(|call| !call.starts_with("<... write resumed>"))
        .collect();
    assert!(between.is_empty(), "system calls while 5,000 entries were recorded: {between:?}");
}

#[test]
fn a_sync_costs_one_fstat_and_one_stat_of_the_active_segment() {
    let root = tempfile::tempdir().unwrap();
    let (trail, log) = (root.path().join("trail"), root.path().join("strace"));
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg("-P")
        .arg(trail.join("audit.jsonl"))
        .args(["-e", "trace=fdatasync,fstat,stat,lstat,newfstatat,statx"])
        .arg(env!("CARGO_BIN_EXE_steady"))
        .arg(&trail)
        .arg("1000")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("done"));
    let log = fs::read_to_string(&log).unwrap();
    let calls = |thread: &str, call: &str| {
        let matches = |line: &&str| {
            line.split_once(' ').is_some_and(|(of, text)| of == thread && text.trim_start().starts_with(call))
        };
        log.lines().filter(matches).count()
    };
    let threads = log.lines().filter_map(|line| line.split(' ').next());
    let writer = threads.max_by_key(|thread| calls(thread, "fdatasync")).unwrap();
    let syncs = calls(writer, "fdatasync");
    let stats: usize =
        ["fstat", "stat", "lstat", "newfstatat", "statx"].iter().map(|call| calls(writer, call)).sum();
    assert!(syncs >= 40, "{syncs}");
    // The watch adds two calls per second.
    assert!(stats >= 2 * syncs - 10 && stats <= 2 * syncs + 10, "{stats} for {syncs}");
}
