//! Tests of `auditx record --ndjson` while its input is open, and of its ends.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdin, Stdio};

use auditx_tests::child::Child;
use rustix::process::Signal;

use super::{descriptions, entries, trail};
use crate::program::{auditx, command, ended, fed};
use crate::trail::active_lines;

/// Writes one object, without a line end.
fn write(input: &mut ChildStdin, description: &str) {
    write!(input, "{{\"description\":\"{description}\"}}").and_then(|()| input.flush()).unwrap();
}

#[test]
fn a_line_is_answered_while_the_input_is_open() {
    for flags in [&[][..], &["--durable"]] {
        let trail = trail();
        let words = [&["record", "--ndjson"], flags].concat();
        let (child, mut input) = Child::start_fed(&mut command(&words, trail.path()));
        for number in 1..=3 {
            write(&mut input, &format!("entry {number}"));
            input.write_all(b"\n").unwrap();
            let answer = child.next_line().expect("an answer");
            assert!(answer.starts_with(&format!("{number} ")), "{answer}");
            let found = auditx(&["query", "--count", &format!("\"entry {number}\"")], trail.path());
            assert_eq!(found.out, "1\n", "{}", found.err);
        }
        // An unfinished line is not recorded before its end.
        write(&mut input, "the last");
        drop(input);
        let (status, rest) = child.end();
        assert_eq!((status.code(), rest.len()), (Some(0), 1), "{rest:?}");
        assert_eq!(descriptions(trail.path()), ["entry 1", "entry 2", "entry 3", "the last"]);
    }
}

#[test]
fn a_refused_line_is_answered_while_the_input_is_open() {
    let trail = trail();
    let words = ["record", "--ndjson", "--durable"];
    let (child, mut input) = Child::start_fed(command(&words, trail.path()).stderr(Stdio::null()));
    input.write_all(b"nonsense\n").unwrap();
    assert_eq!(child.next_line().as_deref(), Some("1 -"));
    drop(input);
    assert_eq!(child.end().0.code(), Some(1));
}

#[test]
fn a_durable_answer_has_the_seq_of_its_line() {
    let trail = trail();
    let input: String = (0..5_000).map(|number| format!("{{\"description\":\"{number}\"}}\n")).collect();
    let recorded = fed(&mut command(&["record", "--ndjson", "--durable"], trail.path()), input.as_bytes());
    assert_eq!((recorded.status, recorded.err.as_str()), (Some(0), ""));
    let expected: Vec<String> = entries(trail.path())
        .iter()
        .enumerate()
        .map(|(index, entry)| format!("{} {} {}", index + 1, entry["id"].as_str().unwrap(), entry["seq"]))
        .collect();
    assert_eq!(expected.len(), 5_000);
    assert_eq!(recorded.out.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_closed_output_does_not_stop_recording() {
    let trail = trail();
    let mut input = tempfile::NamedTempFile::new().unwrap();
    input.write_all(b"{\"description\":\"b\"}\nnonsense\n{\"description\":\"c\"}\n").unwrap();
    for (words, status) in [(&["record", "a"][..], 0), (&["record", "--ndjson", "--durable"], 1)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(words, trail.path());
        let ended = ended(command.stdin(input.reopen().unwrap()).stdout(writer));
        assert_eq!(ended.status, Some(status), "{}", ended.err);
    }
    assert_eq!(descriptions(trail.path()), ["a", "b", "c"]);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_after_recording() {
    let trail = trail();
    for words in [&["record", "a"][..], &["record", "--ndjson"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut input = tempfile::NamedTempFile::new().unwrap();
        input.write_all(b"{\"description\":\"b\"}\n").unwrap();
        let mut command = command(words, trail.path());
        let failed = ended(command.stdin(input.reopen().unwrap()).stdout(full));
        assert_eq!(failed.status, Some(2), "{words:?}");
        assert!(failed.err.starts_with("auditx: cannot write the output: "), "{}", failed.err);
    }
    assert_eq!(descriptions(trail.path()), ["a", "b"]);
}

#[test]
fn a_signal_closes_the_trail() {
    let trail = trail();
    for signal in [Signal::INT, Signal::TERM] {
        let (child, mut input) = Child::start_fed(&mut command(&["record", "--ndjson"], trail.path()));
        input.write_all(b"{\"description\":\"a\"}\n").unwrap();
        child.next_line().expect("an answer");
        child.signal(signal);
        let (status, _) = child.end();
        assert_eq!(status.signal(), Some(signal.as_raw()));
        let last = active_lines(trail.path()).pop().expect("a line");
        assert_eq!(last["auditx"]["kind"], "close", "{last}");
    }
    assert_eq!(descriptions(trail.path()), ["a", "a"]);
}
