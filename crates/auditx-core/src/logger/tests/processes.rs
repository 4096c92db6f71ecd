//! Tests of several processes that share one trail: this program starts itself as workers, which record what
//! it asks for on their standard input, and kills, stops and ends them.

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
fn a_worker_goes_on_when_the_writer_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Worker::start(directory.path(), "");
    let mut other = Worker::start(directory.path(), "");
    writer.record(100);
    other.record(100);
    writer.wait_for("durable");
    other.wait_for("durable");
    writer.record(1_000_000);
    writer.wait_for("accepted 500");
    let writer = writer.kill();
    other.record(1_000);
    other.wait_for("durable");
    assert_complete(directory.path(), &[writer, other.end()], "");
}

#[test]
fn what_a_killed_worker_left_unfinished_is_skipped() {
    for point in ["ring: intended", "ring: reserved", "ring: claimed", "ring: copied", "ring: committed"] {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Worker::start(directory.path(), "");
        let mut killed = Worker::start(directory.path(), &format!("{point}#321"));
        killed.record(1_000);
        assert_eq!(killed.read_until("durable"), None, "{point}");
        writer.record(1_000);
        writer.wait_for("durable");
        let mut third = Worker::start(directory.path(), "");
        third.record(10);
        third.wait_for("durable");
        let ended = [writer.end(), killed.end(), third.end()];
        assert!(ended[1].2, "{point}");
        assert_complete(directory.path(), &ended, point);
    }
}

#[test]
fn a_writer_may_be_killed_at_any_step_while_others_record() {
    let points = [
        "drain: written#2",
        "drain: published#2",
        "sync: done#2",
        "sync: released#2",
        "sync: published#2",
        "sync: signed#2",
        "seal: renamed#2",
        "index: made#1",
        "close: recorded#1",
        "close: signed#1",
        "close: released#1",
    ];
    for point in points {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Worker::start(directory.path(), point);
        let mut others: Vec<Worker> = (0..2).map(|_| Worker::start(directory.path(), "")).collect();
        others.iter_mut().for_each(|other| other.record(3_000));
        writer.record(3_000);
        let writer = writer.end();
        assert!(writer.2, "{point}");
        for other in &mut others {
            other.wait_for("durable");
            other.record(100);
            other.wait_for("durable");
        }
        let mut ended = vec![writer];
        ended.extend(others.into_iter().map(Worker::end));
        assert_complete(directory.path(), &ended, point);
    }
}

#[test]
fn a_child_that_a_killed_writer_has_forked_does_not_keep_the_trail() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Worker::start(directory.path(), "");
    writer.record(10);
    writer.wait_for("durable");
    writeln!(writer.commands, "fork").unwrap();
    let forked = writer.wait_for("forked");
    let child = Pid::from_raw(forked.rsplit(' ').next().unwrap().parse().unwrap()).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    writer.signal(Signal::KILL);
    logger.log("afterwards").record().unwrap();
    let outcome = logger.flush(TIMEOUT);
    // It holds the other end of the pipe from which `end` reads.
    kill_process(child, Signal::KILL).unwrap();
    outcome.unwrap();
    let ended = [writer.end()];
    logger.close(TIMEOUT).unwrap();
    assert_complete(directory.path(), &ended, "");
}

#[test]
fn a_takeover_may_be_killed_at_any_step() {
    for point in ["takeover: locked", "takeover: recovered", "takeover: done"] {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Worker::start(directory.path(), "");
        let mut killed = Worker::start(directory.path(), &format!("{point}#1"));
        let mut stopped = Worker::start(directory.path(), "");
        for worker in [&mut writer, &mut killed, &mut stopped] {
            worker.record(200);
            worker.wait_for("durable");
        }
        // Only one is left to take over, and dies while it does.
        stopped.record(1);
        stopped.wait_for("durable");
        stopped.signal(Signal::STOP);
        let writer = writer.kill();
        assert_eq!(killed.read_until("no worker prints this"), None, "{point}");
        stopped.signal(Signal::CONT);
        stopped.record(200);
        stopped.wait_for("durable");
        let ended = [writer, killed.end(), stopped.end()];
        assert!(ended[1].2, "{point}");
        assert_complete(directory.path(), &ended, point);
    }
}

#[test]
fn what_two_dead_writers_have_written_and_not_released_is_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    // The entries are then in a sealed segment.
    let mut writer = Worker::start(directory.path(), "seal: renamed#2");
    let killed = Worker::start(directory.path(), "takeover: done#1");
    let mut stopped = Worker::start(directory.path(), "");
    stopped.signal(Signal::STOP);
    writer.record(1_000_000);
    let ended = [writer.end(), killed.end()];
    assert!(ended.iter().all(|(_, _, was_killed)| *was_killed));
    stopped.signal(Signal::CONT);
    stopped.record(200);
    stopped.wait_for("durable");
    let [writer, killed] = ended;
    assert_complete(directory.path(), &[writer, killed, stopped.end()], "");
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
        stopped.signal(Signal::STOP);
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
fn a_full_ring_whose_writer_dies_is_drained_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Worker::start(directory.path(), "");
    writer.record(10);
    writer.wait_for("durable");
    writer.signal(Signal::STOP);
    let mut other = Worker::start(directory.path(), "");
    // More than the ring holds: it waits for room.
    other.record(3_000);
    other.wait_for("accepted 300");
    let writer = writer.kill();
    other.wait_for("durable");
    assert_complete(directory.path(), &[writer, other.end()], "");
}

#[test]
fn a_rolling_restart_refuses_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut ended = Vec::new();
    let mut old = Worker::start(directory.path(), "");
    old.record(2_000);
    for _ in 0..10 {
        old.wait_for("accepted");
        let mut new = Worker::start(directory.path(), "");
        new.record(2_000);
        ended.push(std::mem::replace(&mut old, new).end());
    }
    ended.push(old.end());
    assert!(ended.iter().all(|(_, accepted, was_killed)| accepted.len() == 2_000 && !was_killed));
    assert_complete(directory.path(), &ended, "");
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

/// Kills random ones of four processes, each of which a new one replaces.
#[test]
fn random_kills_lose_and_repeat_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let mut ended = Vec::new();
    let start = || {
        let mut worker = Worker::start(directory.path(), "");
        worker.record(1_000_000);
        worker
    };
    let mut workers: Vec<Worker> = (0..4).map(|_| start()).collect();
    for _ in 0..200 {
        let chosen = usize::try_from(random(4)).unwrap();
        let worker = &mut workers[chosen];
        let reported = worker.accepted.len() + usize::try_from(random(40)).unwrap();
        while worker.accepted.len() <= reported {
            worker.wait_for("accepted");
        }
        ended.push(std::mem::replace(&mut workers[chosen], start()).kill());
    }
    ended.extend(workers.into_iter().map(Worker::kill));
    assert_complete(directory.path(), &ended, "");
}

#[test]
fn processes_follow_the_ring_when_another_program_removes_or_renames_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let ring = directory.path().join(".auditx/ring");
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    let mut workers: Vec<Worker> = (0..2).map(|_| Worker::start(directory.path(), "")).collect();
    for (round, interfere) in [
        |ring: &Path| fs::remove_file(ring).unwrap(),
        |ring: &Path| fs::rename(ring, ring.with_extension("moved")).unwrap(),
        |ring: &Path| {
            fs::remove_file(ring).unwrap();
            fs::write(ring, "of another program").unwrap();
        },
    ]
    .into_iter()
    .enumerate()
    {
        workers.iter_mut().for_each(|worker| worker.record(3_000));
        interfere(&ring);
        wait_until(|| logger.metrics().restored == round as u64 + 1);
        workers.iter_mut().for_each(|worker| drop(worker.wait_for("durable")));
        // A new process finds the others.
        let mut new = Worker::start(directory.path(), "");
        new.record(10);
        new.wait_for("durable");
        workers.push(new);
        let accepted = logger.log(format!("round {round}")).record().unwrap();
        accepted.wait_durable().unwrap();
    }
    assert_eq!(logger.metrics().accepted, 3);
    // One of those that followed writes now.
    logger.close(TIMEOUT).unwrap();
    workers.iter_mut().for_each(|worker| worker.record(500));
    workers.iter_mut().for_each(|worker| drop(worker.wait_for("durable")));
    let ended: Vec<_> = workers.into_iter().map(Worker::end).collect();
    assert_complete(directory.path(), &ended, "");
}

#[test]
fn a_writer_that_dies_while_it_restores_the_ring_loses_nothing() {
    for point in ["ring: moved#1", "ring: renamed#1"] {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Worker::start(directory.path(), point);
        let mut others: Vec<Worker> = (0..2).map(|_| Worker::start(directory.path(), "")).collect();
        writer.record(100);
        others.iter_mut().for_each(|other| other.record(100));
        writer.wait_for("durable");
        fs::remove_file(directory.path().join(".auditx/ring")).unwrap();
        assert_eq!(writer.read_until("no worker prints this"), None, "{point}");
        for other in &mut others {
            other.record(1_000);
            other.wait_for("durable");
            other.wait_for("durable");
        }
        let mut ended = vec![writer.end()];
        assert!(ended[0].2, "{point}");
        ended.extend(others.into_iter().map(Worker::end));
        assert_complete(directory.path(), &ended, point);
    }
}
