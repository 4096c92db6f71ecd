//! What was accepted is in the trail, however the process ends.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use auditx_core::{
    AuditLogger, CompactRange, Config, SignedCheckpoint, TrailReader, checkpoint_path, leaf_hash,
};
use auditx_reader::{Answer, VerifyOptions, verify};
use auditx_tests::child::Child;
use auditx_tests::deadline::PATIENCE;
use auditx_tests::random::Random;
use auditx_tests::report::Report;
use auditx_tests::trail::{Line, lines, lines_from};
use rustix::process::Signal;

const ROUNDS: u64 = 50;

/// How many entries each thread of one round has.
type Counts = BTreeMap<(u64, u64), u64>;

fn config(directory: &Path) -> Config {
    Config::new(directory).max_file_bytes(65_536)
}

/// Counts the entries of each thread, which must stand in the thread's order, none missing and none twice.
fn count_in_order<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Counts {
    let reports = lines.into_iter().filter(|line| line.kind().is_none());
    count_reports(reports.map(|line| line.description().parse().unwrap()))
}

fn count_reports(reports: impl IntoIterator<Item = Report>) -> Counts {
    let mut counts = Counts::new();
    for report in reports {
        let next = counts.entry((report.round, report.thread)).or_default();
        assert_eq!(report.number, *next, "{report}, out of its thread's order");
        *next += 1;
    }
    counts
}

/// Everything reported is there, and of what was not reported at most what each thread was just recording.
fn assert_reported_is_recorded(reported: &Counts, recorded: &Counts) {
    for (thread, reported) in reported {
        let recorded = recorded.get(thread).copied().unwrap_or(0);
        assert!(recorded >= *reported, "{thread:?}: {recorded} recorded, {reported} reported");
    }
    for (thread, recorded) in recorded {
        let reported = reported.get(thread).copied().unwrap_or(0);
        assert!(*recorded <= reported + 1, "{thread:?}: {recorded} recorded, {reported} reported");
    }
}

/// Kills at a random moment: after so many entries, or so long after the start, which hits opening as well.
fn kill_at_random(child: Child, random: &mut Random) -> Counts {
    let mut reports: Vec<Report> = Vec::new();
    if random.below(3) == 0 {
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
    } else {
        for _ in 0..random.below(600) {
            let said = child.next_line().expect("the child records until it is killed");
            reports.push(said.parse().unwrap());
        }
    }
    child.signal(Signal::KILL);
    let (status, said) = child.end();
    assert_eq!(status.signal(), Some(9), "{status}: it records until it is killed");
    reports.extend(said.iter().map(|line| line.parse::<Report>().unwrap()));
    count_reports(reports)
}

#[test]
fn nothing_accepted_is_lost_or_repeated_by_fifty_kills() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let mut all_recorded = Counts::new();
    let mut checked = 0;
    let mut signed = CompactRange::new(0);
    for round in 0..ROUNDS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kill_writer"));
        let child = Child::start(command.arg(directory.path()).arg(round.to_string()));
        let reported = kill_at_random(child, &mut random);
        assert_what_is_signed_is_there(directory.path(), &mut signed);
        if round % 10 == 9 {
            // As it was left, before anybody repairs anything.
            let answer = verify(directory.path(), &VerifyOptions::new(), &mut |_, _| ()).unwrap();
            assert_eq!(answer.answer, Answer::Unconfirmed, "round {round}: {answer:?}");
        }

        let logger = AuditLogger::open(config(directory.path())).unwrap();
        logger.close(PATIENCE).unwrap();
        let new = lines_from(directory.path(), checked);
        assert_eq!(new[0].seq, checked, "round {round}");
        checked += new.len() as u64;
        let recorded = count_in_order(&new);
        assert_reported_is_recorded(&reported, &recorded);
        assert!(recorded.keys().all(|(of, _)| *of == round), "round {round}: {recorded:?}");
        all_recorded.extend(recorded);
    }
    let lines = lines(directory.path());
    assert_eq!(lines[0].seq, 0);
    assert_eq!(lines.len() as u64, checked);
    assert_eq!(count_in_order(&lines), all_recorded, "what was there stays");
    assert!(lines.iter().filter(|line| line.kind() == Some("rotated")).count() > 10, "seals were under way");
    assert_projection_is_whole(directory.path(), &lines);
    let recovered: Vec<&Line> = lines.iter().filter(|line| line.kind() == Some("recovered")).collect();
    let torn = recovered.iter().filter(|line| line.json["auditx"]["torn_bytes"].is_u64()).count();
    assert!(recovered.len() > 10, "kills before the last lines were signed");
    eprintln!("{} lines in {ROUNDS} rounds, {torn} of them torn and set aside", lines.len());
    assert_what_is_signed_is_there(directory.path(), &mut signed);
    assert_eq!(signed.end(), checked, "closed, so everything is signed");
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    logger.close(PATIENCE).unwrap();
    let latest = SignedCheckpoint::parse(&fs::read(checkpoint_path(directory.path())).unwrap()).unwrap();
    let options = VerifyOptions::new().key(logger.verifier_key().unwrap()).known(latest);
    let answer = verify(directory.path(), &options, &mut |_, _| ()).unwrap();
    assert_eq!(answer.answer, Answer::Intact, "{answer:?}");
}

/// The checkpoint that a killed process left speaks of lines that are there, and of no others. `signed` is the tree up to
/// the last one, from the files.
fn assert_what_is_signed_is_there(directory: &Path, signed: &mut CompactRange) {
    let Ok(note) = fs::read(checkpoint_path(directory)) else {
        assert_eq!(signed.end(), 0, "a checkpoint does not go away");
        return;
    };
    let checkpoint = SignedCheckpoint::parse(&note).expect("a checkpoint is never half written");
    assert!(checkpoint.size() >= signed.end(), "{} lines were signed already", signed.end());
    let mut reader = TrailReader::new(directory, signed.end());
    while signed.end() < checkpoint.size() {
        let (_, line) = reader.next_line().unwrap().expect("a line that was signed");
        signed.push(leaf_hash(line));
    }
    assert_eq!(signed.root().as_ref(), Some(checkpoint.root()));
}

/// security.jsonl says each line of its levels once, unchanged and in order, kills or not.
fn assert_projection_is_whole(directory: &Path, lines: &[Line]) {
    let sensitive =
        lines.iter().filter(|line| matches!(line.json["level"].as_str(), Some("SECURITY" | "CRITICAL")));
    let expected: Vec<&str> = sensitive.map(|line| line.text.as_str()).collect();
    let projection = fs::read_to_string(directory.join("security.jsonl")).unwrap();
    let found: Vec<&str> = projection.lines().collect();
    assert!(found == expected, "{} lines in security.jsonl, {} in the trail", found.len(), expected.len());
    assert!(!expected.is_empty());
}

/// Starts a process that leaves in this way; gives how it ended, what it reported, and its trail.
fn leave(way: &str, ending: impl FnOnce(&Child)) -> (ExitStatus, Counts, Vec<Line>) {
    let directory = tempfile::tempdir().unwrap();
    let child = Child::start(Command::new(env!("CARGO_BIN_EXE_leave")).arg(directory.path()).arg(way));
    let mut reports: Vec<Report> = Vec::new();
    loop {
        let said = child.next_line().expect("it says that it is leaving");
        if said == "leaving" {
            break;
        }
        reports.push(said.parse().unwrap());
    }
    ending(&child);
    let (status, said) = child.end();
    reports.extend(said.iter().map(|line| line.parse::<Report>().unwrap()));
    // Before any other open repairs or adds anything.
    let lines = lines(directory.path());
    AuditLogger::open(config(directory.path())).unwrap().close(PATIENCE).unwrap();
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
fn leaving_while_other_threads_record_closes_the_trail_after_the_last_entry() {
    for (way, code) in [("return-while-others-record", 0), ("exit-while-others-record", 7)] {
        let (status, reported, lines) = leave(way, |_| ());
        assert_eq!(status.code(), Some(code), "{way}");
        assert_eq!(reported.len(), 4, "{way}: every thread recorded");
        assert_accepted_and_closed(&reported, &lines);
    }
}

#[test]
fn a_signal_that_ends_the_process_loses_no_accepted_entry() {
    let (status, reported, lines) = leave("stay", |child| child.signal(Signal::TERM));
    assert_eq!(status.signal(), Some(15));
    assert_eq!(count_in_order(&lines), reported);
    assert_eq!(close_records(&lines), 0, "nobody was there to write one");
}

#[test]
fn an_abort_loses_no_accepted_entry() {
    let (status, reported, lines) = leave("abort", |_| ());
    assert_eq!(status.signal(), Some(6));
    assert_eq!(count_in_order(&lines), reported);
}
