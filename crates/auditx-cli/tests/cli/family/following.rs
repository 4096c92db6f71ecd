//! Tests of `auditx tail` on several trails.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use auditx_tests::child::Child;
use auditx_tests::deadline::wait_for;
use rustix::process::Signal;

use super::{Instance, instance, order, rows, sales, workers};
use crate::program::{auditx, command};
use crate::trail::{directory, record};

#[test]
fn the_last_entries_of_all_trails_are_shown() {
    let log_dir = workers();
    let tail = sales(&["tail", "-n", "4"], log_dir.path());
    assert_eq!((tail.status, tail.err.as_str()), (Some(0), ""));
    assert_eq!(order(&tail.out), "3 4 5 5");
    let trails: Vec<String> = rows(&tail.out).into_iter().map(|(trail, _)| trail).collect();
    assert_eq!(trails, ["two", "one", "one", "two"]);
}

#[test]
fn new_entries_of_all_trails_are_shown() {
    let log_dir = workers();
    let [one, two] = ["one", "two"].map(|name| Instance::open(log_dir.path(), name));
    let arguments = ["tail", "-f", "-n", "1", "--module", "sales"];
    let tail = Child::start(&mut command(&arguments, log_dir.path()));
    let next = || rows(&tail.next_line().expect("another line")).remove(0);
    let line = |trail: &str, description: &str| (trail.to_owned(), description.to_owned());
    assert_eq!(next(), line("two", "5"));
    one.record(6, "6");
    assert_eq!(next(), line("one", "6"));
    two.record(7, "7");
    assert_eq!(next(), line("two", "7"));
    one.record(8, "8");
    assert_eq!(next(), line("one", "8"));
    tail.signal(Signal::INT);
    assert_eq!(tail.end().0.code(), Some(0));
}

#[test]
fn a_trail_that_is_created_later_is_shown_from_its_beginning() {
    let log_dir = workers();
    let arguments = ["tail", "-f", "-n", "1", "--module", "sales"];
    let tail = Child::start(&mut command(&arguments, log_dir.path()));
    let next = || rows(&tail.next_line().expect("another line")).remove(0);
    assert_eq!(next().0, "two");
    let three = Instance::open(log_dir.path(), "three");
    for second in [6, 7] {
        three.record(second, &second.to_string());
        assert_eq!(next(), ("three".to_owned(), second.to_string()));
    }
    tail.signal(Signal::INT);
    assert_eq!(tail.end().0.code(), Some(0));
}

#[test]
fn trails_that_are_created_below_an_empty_directory_are_named() {
    let log_dir = directory();
    let mut child = command(&["tail", "-f"], log_dir.path());
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut complaints = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = || complaints.next().unwrap().unwrap();
    assert!(next().starts_with("auditx: waiting for the first entry in "));
    instance(log_dir.path(), "one", &[1]);
    assert_eq!(
        next(),
        format!("auditx: not read, below {}: one; to read one, give --trail NAME", log_dir.path().display())
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn lines_that_are_new_at_the_same_time_are_merged() {
    let (log_dir, tenant) = (workers(), directory());
    instance(tenant.path(), "a", &[11, 13]);
    instance(tenant.path(), "b", &[12, 14]);
    let arguments = ["tail", "-f", "-n", "1", "--module", "sales"];
    let tail = Child::start(&mut command(&arguments, log_dir.path()));
    let next = || order(&tail.next_line().expect("another line"));
    assert_eq!(next(), "5");
    // Both trails appear at once.
    fs::rename(tenant.path(), log_dir.path().join("tenant")).unwrap();
    assert_eq!([next(), next(), next(), next()], ["11", "12", "13", "14"]);
    fs::create_dir(tenant.path()).unwrap();
    tail.signal(Signal::INT);
    assert_eq!(tail.end().0.code(), Some(0));
}

#[test]
fn an_unfinished_line_of_any_trail_is_reported() {
    let log_dir = workers();
    let segment = log_dir.path().join("two").join(auditx_store::ACTIVE);
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text + "{\"seq\":9").unwrap();
    let tail = auditx(&["tail"], log_dir.path());
    let place = segment.display().to_string();
    assert!(
        tail.err.contains("an unfinished line of 8 bytes (") && tail.err.contains(&place),
        "{}",
        tail.err
    );
}

#[test]
fn a_closed_pipe_ends_the_commands_quietly() {
    let log_dir = directory();
    for name in ["one", "two"] {
        let instance = Instance::open(log_dir.path(), name);
        record(&instance.logger, 300);
        instance.close();
    }
    for arguments in [&["query"][..], &["tail", "-n", "100000", "-f"]] {
        let mut child = command(arguments, log_dir.path());
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.starts_with("{\"trail\":\"one\","), "{first}");
        let status = wait_for("the end of the command", || child.try_wait().unwrap());
        let mut complaints = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        assert_eq!((status.code(), complaints.as_str()), (Some(0), ""), "{arguments:?}");
    }
}
