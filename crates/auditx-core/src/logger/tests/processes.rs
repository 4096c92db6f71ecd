//! Tests of several processes that share one trail: this program starts itself as workers, which record what
//! it asks for on their standard input, and kills, stops and ends them.

mod faults;
mod moved;
mod takeover;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::checkpoints::checked;
use super::*;

const WORKER: &str = "AUDITX_TEST_WORKER_OF";
const KILL_AT: &str = "AUDITX_TEST_KILL_AT";

fn config(directory: &Path) -> Config {
    // Small segments and a small ring, so that both are passed often.
    Config::new(directory).journal_bytes(256 * 1024).max_file_bytes(200_000)
}

/// A worker: records numbered entries under its own name.
#[test]
fn worker() {
    let Ok(directory) = std::env::var(WORKER) else { return };
    let name = std::process::id();
    let logger = AuditLogger::open(config(Path::new(&directory))).unwrap();
    println!("ready");
    let mut next = 0;
    for command in std::io::stdin().lines().map_while(std::result::Result::ok) {
        if command == "fork" {
            println!("forked {}", super::forking::idle_child());
            continue;
        }
        let mut last = None;
        for _ in 0..command.parse().unwrap() {
            last =
                Some(logger.log(format!("{name}-{next}")).metadata("pad", "x".repeat(next % 300)).record());
            last.as_ref().unwrap().as_ref().unwrap();
            println!("accepted {next}");
            next += 1;
        }
        if let Some(receipt) = last {
            let seq = receipt.unwrap().wait_durable().unwrap().seq;
            println!("durable {seq}");
        }
    }
    logger.close(TIMEOUT).unwrap();
}

struct Worker {
    process: Child,
    commands: ChildStdin,
    printed: Lines<BufReader<ChildStdout>>,
    accepted: Vec<u64>,
}

impl Worker {
    /// Starts a worker that has the trail open when this returns. It may be killed at a kill point later.
    fn start(directory: &Path, kill_at: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "logger::tests::processes::worker", "--nocapture", "--test-threads=1"])
            .env(WORKER, directory)
            .env(KILL_AT, kill_at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let printed = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut worker = Self { process, commands, printed, accepted: Vec::new() };
        worker.wait_for("ready");
        worker
    }

    fn name(&self) -> u32 {
        self.process.id()
    }

    fn record(&mut self, count: u32) {
        writeln!(self.commands, "{count}").unwrap();
    }

    /// Reads until a line that contains `what`, which is returned; `None` if the worker has ended.
    fn read_until(&mut self, what: &str) -> Option<String> {
        for line in &mut self.printed {
            let line = line.unwrap();
            if let Some((_, number)) = line.split_once("accepted ") {
                self.accepted.push(number.parse().unwrap());
            }
            if line.contains(what) {
                return Some(line);
            }
        }
        None
    }

    fn wait_for(&mut self, what: &str) -> String {
        self.read_until(what).unwrap_or_else(|| panic!("the worker has ended before it printed {what:?}"))
    }

    /// Stops it, and waits until it has stopped.
    fn stop(&self) {
        self.signal(Signal::STOP);
        let stat = || fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        wait_until(|| stat().rsplit(") ").next().unwrap().starts_with('T'));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Reads what is left, and returns the worker's name, what it reported as accepted, and whether it was
    /// killed.
    fn end(mut self) -> (u32, Vec<u64>, bool) {
        drop(std::mem::replace(
            &mut self.commands,
            Command::new("true").stdin(Stdio::piped()).spawn().unwrap().stdin.take().unwrap(),
        ));
        assert_eq!(self.read_until("no worker prints this"), None);
        let status = self.process.wait().unwrap();
        let was_killed = status.signal() == Some(9);
        assert!(was_killed || status.success(), "{status}");
        (self.name(), self.accepted, was_killed)
    }

    fn kill(self) -> (u32, Vec<u64>, bool) {
        self.signal(Signal::KILL);
        self.end()
    }
}

/// Asserts that the trail holds what the workers reported, each entry once and in the worker's order, and is
/// signed to its end.
fn assert_complete(directory: &Path, ended: &[(u32, Vec<u64>, bool)], case: &str) {
    let logger = AuditLogger::open(config(directory).exclusive(true)).unwrap();
    logger.close(TIMEOUT).unwrap();
    let entries = entries(directory);
    let mut found: HashMap<u32, Vec<u64>> = HashMap::new();
    for (seq, entry) in entries.iter().enumerate() {
        assert_eq!(entry.seq, seq as u64, "{case}");
        if let Some((name, number)) = entry.description.split_once('-')
            && entry.control_record.is_none()
        {
            found.entry(name.parse().unwrap()).or_default().push(number.parse().unwrap());
        }
    }
    for (name, accepted, was_killed) in ended {
        let found = found.remove(name).unwrap_or_default();
        let wrong = found.iter().zip(0..).find(|(number, expected)| *number != expected);
        assert_eq!(wrong, None, "{case}: worker {name}, entry and what was expected there");
        // The last entry of a killed worker may have been accepted and not reported.
        let unreported = found.len() - accepted.len();
        assert!(unreported <= usize::from(*was_killed), "{case}: {unreported} entries more than reported");
    }
    assert!(found.is_empty(), "{case}: of no worker: {found:?}");
    assert_eq!(checked(&logger).size(), entries.len() as u64, "{case}");
}

#[test]
fn two_loggers_of_a_directory_share_one_trail_and_the_second_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let first = AuditLogger::open(config(directory.path())).unwrap();
    let second = AuditLogger::open(config(directory.path())).unwrap();
    for round in 0..20 {
        let logger = [&first, &second][round % 2];
        let recorded = logger.log(format!("round {round}")).record().unwrap().wait_durable().unwrap();
        let entry = &entries(directory.path())[usize::try_from(recorded.seq).unwrap()];
        assert_eq!(entry.description, format!("round {round}"));
    }
    assert_eq!((first.metrics().accepted, second.metrics().accepted), (10, 10));
    first.close(TIMEOUT).unwrap();
    assert!(first.log("late").record().unwrap_err().is_closed());
    let recorded = second.log("after").record().unwrap().wait_durable().unwrap();
    second.close(TIMEOUT).unwrap();
    let kinds = kinds(directory.path());
    assert_eq!(kinds[usize::try_from(recorded.seq).unwrap()], "after");
    assert_eq!(kinds.iter().filter(|kind| *kind == "close").count(), 2, "{kinds:?}");
    assert_eq!(kinds.last().unwrap(), "close");
    assert_eq!(checked(&second).size(), kinds.len() as u64);
}

#[test]
fn entries_after_those_of_a_stopped_worker_wait_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    let mut stopped = Worker::start(directory.path(), "");
    // Most of the time it is between a reservation and a commit, or about to be.
    for _ in 0..20 {
        stopped.record(200);
        stopped.wait_for("accepted");
        stopped.stop();
        let receipt = logger.log("beside").record().unwrap();
        stopped.signal(Signal::CONT);
        receipt.wait_durable().unwrap();
        stopped.wait_for("durable");
    }
    let ended = [stopped.end()];
    logger.close(TIMEOUT).unwrap();
    assert_complete(directory.path(), &ended, "");
    assert_eq!(kinds(directory.path()).iter().filter(|kind| *kind == "beside").count(), 20);
}

#[test]
fn a_process_with_other_settings_is_told_whose_apply() {
    let directory = tempfile::tempdir().unwrap();
    let first = AuditLogger::open(config(directory.path())).unwrap();
    let same = AuditLogger::open(config(directory.path())).unwrap();
    let other = AuditLogger::open(config(directory.path()).max_file_bytes(300_000)).unwrap();
    let log = || text(directory.path().join("app.log"));
    wait_until(|| log().contains("the writer's apply"));
    assert_eq!(log().lines().count(), 1, "{}", log());
    for logger in [first, same, other] {
        logger.close(TIMEOUT).unwrap();
    }
}

#[test]
fn another_process_cannot_do_what_only_the_writer_can() {
    let directory = tempfile::tempdir().unwrap();
    let first = AuditLogger::open(config(directory.path())).unwrap();
    let second = AuditLogger::open(config(directory.path())).unwrap();
    let recorded = second.log("personal").record().unwrap().wait_durable().unwrap();
    let error = second.erase(recorded.seq, "request 17").unwrap_err();
    assert!(error.is_locked() && error.to_string().contains("is being written by process"), "{error}");
    first.erase(recorded.seq, "request 17").unwrap();
}
