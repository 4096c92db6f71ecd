//! Tests of `auditx tail`.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use auditx_core::Retention;
use auditx_store::ACTIVE;
use auditx_tests::child::Child;
use auditx_tests::deadline::{TIMEOUT, wait_for};
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{auditx, command, ended, on_terminal};
use crate::trail::{closed, directory, logger, parsed, record};

fn seqs(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect()
}

/// Returns the next line of a following command.
fn next(tail: &Child) -> Value {
    serde_json::from_str(&tail.next_line().expect("another line")).unwrap()
}

#[test]
fn a_query_that_is_probably_wrong_causes_a_warning() {
    let directory = closed(3);
    let tail = auditx(&["tail", "user=admin"], directory.path());
    assert!(tail.err.starts_with("auditx: warning: user=admin is searched for as a word"), "{}", tail.err);
}

#[test]
fn the_last_lines_are_shown_across_segments() {
    let directory = closed(300);
    let all = auditx(&["tail", "-n", "100000"], directory.path());
    assert_eq!((all.status, all.err.as_str()), (Some(0), ""));
    let lines = parsed(&all.out);
    assert_eq!(seqs(&lines), (0..lines.len() as u64).collect::<Vec<_>>());
    assert_eq!(lines.last().unwrap()["auditx"]["kind"], "close");
    for count in [1, 10, 60, 250] {
        let tail = auditx(&["tail", "-n", &count.to_string()], directory.path());
        let end: Vec<&str> = all.out.lines().skip(lines.len() - count).collect();
        assert_eq!(tail.out.lines().collect::<Vec<_>>(), end, "the last {count}");
    }
    let ten = auditx(&["tail"], directory.path());
    assert_eq!(ten.out.lines().count(), 10);
}

#[test]
fn following_crosses_seals_and_ends_at_ctrl_c() {
    let directory = directory();
    let logger = logger(directory.path());
    let tail = Child::start(&mut command(&["tail", "-n", "100000", "-f"], directory.path()));
    let writer = thread::spawn({
        let logger = logger.clone();
        move || record(&logger, 300)
    });
    let mut seen = Vec::new();
    while seen.iter().filter(|line: &&Value| line["user"] == "admin").count() < 300 {
        seen.push(next(&tail));
    }
    writer.join().unwrap();
    logger.flush(TIMEOUT).unwrap();
    logger.log("one more").record().unwrap();
    loop {
        seen.push(next(&tail));
        if seen.last().unwrap()["description"] == "one more" {
            break;
        }
    }
    let sealed = seen.iter().filter(|line| line["auditx"]["kind"] == "rotated").count();
    assert!(sealed >= 5, "{sealed} seals");
    logger.flush(TIMEOUT).unwrap();
    let all = auditx(&["tail", "-n", "100000"], directory.path());
    // Entries that were pending when the command began are shown without a seq, and before the control records
    // that the trail has between them.
    let entries = |lines: &[Value]| -> Vec<Value> {
        lines.iter().filter(|line| line["auditx"].is_null()).map(|line| line["id"].clone()).collect()
    };
    assert!(entries(&seen) == entries(&parsed(&all.out)), "each entry once");
    tail.signal(Signal::INT);
    assert_eq!(tail.end().0.code(), Some(0));
}

#[test]
fn a_closed_pipe_ends_the_command_quietly() {
    let directory = closed(300);
    for arguments in [&["tail", "-n", "100000"][..], &["tail", "-n", "100000", "-f"], &["tail", "-f"]] {
        let mut tail = command(arguments, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let head =
            Command::new("head").args(["-n", "1"]).stdin(tail.stdout.take().unwrap()).output().unwrap();
        assert!(head.stdout.starts_with(b"{\"seq\":"));
        let status = wait_for("the end of the command", || tail.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{arguments:?}, though nothing new was recorded");
        let mut complaints = String::new();
        std::io::Read::read_to_string(&mut tail.stderr.take().unwrap(), &mut complaints).unwrap();
        assert_eq!(complaints, "");
    }
}

#[test]
fn a_table_has_colours_on_a_terminal() {
    let directory = closed(1);
    let table = ended(command(&["tail", "-n", "1", "-o", "table"], directory.path()).env("COLUMNS", "80"));
    assert!(table.out.starts_with("   Seq  UTC       Level"), "{}", table.out);
    assert!(table.out.ends_with("  INFO      SYSTEM      UPDATE    Audit trail closed\n"), "{}", table.out);
    assert!(!table.out.contains('\u{1b}'));

    let (status, shown) = on_terminal(&mut command(&["tail", "-n", "1"], directory.path()), 80);
    assert_eq!(status, Some(0));
    assert!(shown.contains("\u{1b}[") && shown.contains("Audit trail closed"), "{shown}");
    let (_, plain) = on_terminal(command(&["tail", "-n", "1"], directory.path()).env("NO_COLOR", "1"), 80);
    assert_eq!(plain, table.out);
    let (_, raw) = on_terminal(&mut command(&["tail", "-n", "1", "-o", "raw"], directory.path()), 80);
    assert!(raw.starts_with("{\"seq\":"), "{raw}");
}

#[test]
fn hostile_text_is_escaped_on_a_terminal() {
    let directory = directory();
    let legacy =
        "{\"description\": \"\\u001b]0;owned\\u0007 \\u202e\", \"timestamp\": \"t\", \"user\": \"a\\nb\"}\n";
    fs::write(directory.path().join(ACTIVE), legacy).unwrap();
    let (_, shown) = on_terminal(command(&["tail"], directory.path()).env("NO_COLOR", "1"), 80);
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
    assert_eq!(shown.lines().count(), 2, "the heading and one entry: {shown:?}");
}

#[test]
fn unreadable_lines_are_reported_with_file_and_byte() {
    let directory = directory();
    let active = directory.path().join(ACTIVE);
    let origin = "{\"timestamp\": \"2026-11-24T00:00:00+00:00\", \"description\": \"of the origin\"}";
    let mut file = fs::File::create(&active).unwrap();
    writeln!(file, "{{\"seq\":0,\"description\":\"good\",\"success\":true}}").unwrap();
    let at = file.metadata().unwrap().len();
    file.write_all(b"{\"seq\":1,\"description\":\"\xff\"}\n").unwrap();
    write!(file, "{origin}\n{{\"seq\":2,\"unfin").unwrap();
    let tail = auditx(&["tail"], directory.path());
    assert_eq!(tail.status, Some(0));
    assert_eq!(tail.out, format!("{{\"seq\":0,\"description\":\"good\",\"success\":true}}\n{origin}\n"));
    let place = active.display();
    let unfinished = fs::metadata(&active).unwrap().len() - 15;
    assert_eq!(
        tail.err.lines().collect::<Vec<_>>(),
        [
            format!("auditx: unreadable line: not UTF-8, 24 bytes into the line ({place}, byte {at})"),
            "auditx: 1 line could not be read".to_owned(),
            format!(
                "auditx: an unfinished line of 15 bytes ({place}, byte {unfinished}): \
                 the next process that opens the trail moves it to a separate file"
            ),
        ]
    );
}

#[test]
fn the_exit_status_is_one_if_nothing_is_found_and_two_on_error() {
    let directory = directory();
    let nothing = auditx(&["tail"], directory.path());
    assert_eq!((nothing.status, nothing.out.as_str()), (Some(1), ""));
    assert!(nothing.err.starts_with("auditx: no entries in ") && nothing.err.contains("auditx demo --dir "));
    let missing = auditx(&["tail"], &directory.path().join("none"));
    assert_eq!((missing.status, missing.out.as_str()), (Some(2), ""));
    assert!(missing.err.starts_with("auditx: there is no such directory "), "{}", missing.err);
    let wrong = auditx(&["tail", "-n", "many"], directory.path());
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.err.starts_with("auditx: invalid value 'many' for '--lines <N>'"), "{}", wrong.err);
}

#[test]
fn following_says_how_many_lines_were_retired_before_they_were_shown() {
    let directory = directory();
    let logger = logger(directory.path());
    let messages = directory.path().join("messages");
    let mut tail = command(&["tail", "-f"], directory.path());
    let tail = Child::start(tail.stderr(fs::File::create(&messages).unwrap()));
    record(&logger, 1);
    while next(&tail)["user"] != "admin" {}
    tail.signal(Signal::STOP);
    record(&logger, 300);
    logger.flush(TIMEOUT).unwrap();
    let retired = logger.retire(Retention::BackupCount(1)).unwrap().segments;
    assert!(!retired.is_empty());
    tail.signal(Signal::CONT);
    // The active segment, which the command has open, is read to its end.
    let mut newest = 0;
    let missing = wait_for("a line after the retired ones", || {
        let seq = next(&tail)["seq"].as_u64().unwrap();
        let missing = (newest > 0 && seq > newest + 1).then(|| seq - newest - 1);
        newest = seq;
        missing
    });
    let messages = fs::read_to_string(messages).unwrap();
    assert!(messages.contains(&format!("{missing} lines were retired, or cannot be read")), "{messages}");
    logger.close(TIMEOUT).unwrap();
}

#[test]
fn following_may_start_before_the_trail_exists() {
    let directory = directory();
    let tail = Child::start(command(&["tail", "-f"], directory.path()).stderr(Stdio::null()));
    let logger = logger(directory.path());
    logger.log("the first").record().unwrap();
    let lines: Vec<Value> = (0..3).map(|_| next(&tail)).collect();
    assert_eq!(seqs(&lines), [0, 1, 2]);
    logger.close(TIMEOUT).unwrap();
}

#[test]
fn a_query_filters_old_and_new_entries() {
    let directory = directory();
    let logger = logger(directory.path());
    let say = |user: &str, count: usize| {
        for number in 0..count {
            logger.log(format!("{user} {number}")).user(user).record().unwrap().wait_durable().unwrap();
        }
    };
    say("clerk", 5);
    say("admin", 5);
    say("clerk", 2);
    let said = |out: &str| -> Vec<String> {
        parsed(out).iter().map(|line| line["description"].as_str().unwrap().to_owned()).collect()
    };
    let last = auditx(&["tail", "-n", "4", "--user", "clerk"], directory.path());
    assert_eq!(said(&last.out), ["clerk 3", "clerk 4", "clerk 0", "clerk 1"], "oldest first");

    let tail = Child::start(&mut command(&["tail", "-n", "1", "-f", "user:admin"], directory.path()));
    assert_eq!(next(&tail)["description"], "admin 4");
    say("clerk", 3);
    say("admin", 1);
    assert_eq!(next(&tail)["description"], "admin 0");
    tail.signal(Signal::INT);
    assert_eq!(tail.end().0.code(), Some(0));

    let none = auditx(&["tail", "--user", "nobody"], directory.path());
    assert_eq!((none.status, none.out.as_str()), (Some(1), ""));
    let array = auditx(&["tail", "-f", "-o", "json"], directory.path());
    assert_eq!(array.status, Some(2), "an array that never ends");
}
