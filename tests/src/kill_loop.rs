//! Repeatedly kills a process that records from four threads, at a random moment, and checks the trail it
//! leaves.
//!
//! The test suite runs some rounds, `cargo xtask torture` as many as there is time for.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use auditx_core::{AuditLogger, Config, Durability, JournalKind};
use auditx_reader::{Answer, VerifyOptions, verify};
use auditx_store::{TrailReader, checkpoint_path};
use auditx_tlog::{CompactRange, SignedCheckpoint, leaf_hash};
use rustix::process::Signal;

use crate::child::Child;
use crate::deadline::TIMEOUT;
use crate::random::Random;
use crate::report::Report;
use crate::trail::{Line, lines, lines_from};

/// The number of entries by round and thread.
pub type Counts = BTreeMap<(u64, u64), u64>;

/// Returns the settings of a round. The rounds alternate between journals, journal sizes and durabilities.
#[must_use]
pub fn config(directory: &Path, round: u64) -> Config {
    let journal = if round % 5 == 4 { JournalKind::Direct } else { JournalKind::Ring };
    let durability = match round % 3 {
        0 => Durability::Interval(Duration::from_millis(2)),
        1 => Durability::default(),
        _ => Durability::Os,
    };
    // The smallest segments that are allowed, so that kills often hit sealing and compression.
    Config::new(directory)
        .max_file_bytes(65_536)
        .journal(journal)
        .journal_bytes(if round.is_multiple_of(2) { 256 * 1024 } else { 1024 * 1024 })
        .durability(durability)
}

/// A trail whose writers are killed, and its state after the last check.
#[derive(Debug)]
pub struct KillLoop {
    writer: PathBuf,
    directory: PathBuf,
    random: Random,
    round: u64,
    all_recorded: Counts,
    checked: u64,
    /// The tree up to the last checkpoint, computed from the segments.
    signed: CompactRange,
}

/// The results of all rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Killed processes.
    pub kills: u64,
    /// Lines in the trail.
    pub lines: u64,
    /// Pending entries that recovery wrote to the trail.
    pub replayed: u64,
    /// Kills that left a torn line.
    pub torn: u64,
    /// Sealed segments.
    pub sealed: u64,
}

impl KillLoop {
    /// Starts with an empty directory; `writer` is the program to kill.
    #[must_use]
    pub fn new(writer: &Path, directory: &Path, random: Random) -> Self {
        Self {
            writer: writer.to_owned(),
            directory: directory.to_owned(),
            random,
            round: 0,
            all_recorded: Counts::new(),
            checked: 0,
            signed: CompactRange::new(0),
        }
    }

    /// Starts a process, kills it, opens the trail again and checks it.
    ///
    /// # Panics
    /// If an accepted entry is missing, repeated or out of its thread's order, or a signed line has changed.
    pub fn round(&mut self) {
        let (round, directory) = (self.round, self.directory.clone());
        self.round += 1;
        let mut command = Command::new(&self.writer);
        let child = Child::start(command.arg(&directory).arg(round.to_string()));
        let reported = kill_at_random(child, &mut self.random);
        self.check_signed_lines();
        if round % 10 == 9 {
            // Verified before recovery.
            let answer = verify(&directory, &VerifyOptions::new(), &mut |_, _| ()).expect("a trail");
            assert_eq!(answer.answer, Answer::Unconfirmed, "round {round}: {answer:?}");
        }
        let logger = AuditLogger::open(config(&directory, round + 1)).expect("the trail opens again");
        logger.close(TIMEOUT).expect("the trail closes");
        let new = lines_from(&directory, self.checked);
        assert_eq!(new[0].seq, self.checked, "round {round}");
        self.checked += new.len() as u64;
        let recorded = count_in_order(&new);
        assert_reported_is_recorded(&reported, &recorded);
        assert!(recorded.keys().all(|(of, _)| *of == round), "round {round}: {recorded:?}");
        self.all_recorded.extend(recorded);
    }

    /// Checks the whole trail and returns the results.
    ///
    /// # Panics
    /// As [`KillLoop::round`].
    pub fn end(mut self) -> Tally {
        let lines = lines(&self.directory);
        assert_eq!((lines[0].seq, lines.len() as u64), (0, self.checked));
        assert_eq!(count_in_order(&lines), self.all_recorded, "recorded entries do not change");
        assert_projection_is_complete(&self.directory, &lines);
        self.check_signed_lines();
        assert_eq!(self.signed.end(), self.checked, "a closed trail is signed completely");
        let logger = AuditLogger::open(config(&self.directory, self.round)).expect("the trail opens");
        logger.close(TIMEOUT).expect("the trail closes");
        let note = fs::read(checkpoint_path(&self.directory)).expect("a checkpoint");
        let latest = SignedCheckpoint::parse(&note).expect("the checkpoint parses");
        let options =
            VerifyOptions::new().key(logger.verifier_key().expect("the trail was opened")).known(latest);
        let answer = verify(&self.directory, &options, &mut |_, _| ()).expect("a trail");
        assert_eq!(answer.answer, Answer::Intact, "{answer:?}");
        let of = |kind: &'static str| lines.iter().filter(move |line| line.kind() == Some(kind));
        Tally {
            kills: self.round,
            lines: self.checked,
            replayed: of("recovered").filter_map(|line| line.json["auditx"]["replayed"].as_u64()).sum(),
            torn: of("recovered").filter(|line| line.json["auditx"]["torn_bytes"].is_u64()).count() as u64,
            sealed: of("rotated").count() as u64,
        }
    }

    /// Checks that the checkpoint left by a killed process covers exactly lines that exist.
    fn check_signed_lines(&mut self) {
        let signed = &mut self.signed;
        let Ok(note) = fs::read(checkpoint_path(&self.directory)) else {
            assert_eq!(signed.end(), 0, "the checkpoint disappeared");
            return;
        };
        let checkpoint = SignedCheckpoint::parse(&note).expect("a checkpoint is never half written");
        assert!(checkpoint.size() >= signed.end(), "{} lines were signed before", signed.end());
        let mut reader = TrailReader::new(&self.directory, signed.end());
        while signed.end() < checkpoint.size() {
            let (_, line) = reader.next_line().expect("a trail").expect("a signed line exists");
            signed.push(leaf_hash(line));
        }
        assert_eq!(signed.root().as_ref(), Some(checkpoint.root()));
    }
}

/// Kills the child after a random number of entries, or after a random time, which may also hit opening.
pub(crate) fn kill_at_random(child: Child, random: &mut Random) -> Counts {
    let mut reports: Vec<Report> = Vec::new();
    if random.below(3) == 0 {
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
    } else {
        for _ in 0..random.below(600) {
            let line = child.next_line().expect("the child records until it is killed");
            reports.push(line.parse().expect("a report"));
        }
    }
    child.signal(Signal::KILL);
    let (status, rest) = child.end();
    assert_eq!(status.signal(), Some(9), "{status}: it records until it is killed");
    reports.extend(rest.iter().map(|line| line.parse::<Report>().expect("a report")));
    count_reports(reports)
}

/// Counts the entries of each thread in these lines.
///
/// # Panics
/// If an entry is missing, repeated or out of its thread's order.
#[must_use]
pub fn count_in_order<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Counts {
    let reports = lines.into_iter().filter(|line| line.kind().is_none());
    count_reports(reports.map(|line| line.description().parse().expect("a report")))
}

/// Counts the entries of each thread in these reports.
///
/// # Panics
/// As [`count_in_order`].
#[must_use]
pub fn count_reports(reports: impl IntoIterator<Item = Report>) -> Counts {
    let mut counts = Counts::new();
    for report in reports {
        let next = counts.entry((report.round, report.thread)).or_default();
        assert_eq!(report.number, *next, "{report} is out of its thread's order");
        *next += 1;
    }
    counts
}

/// Checks that all reported entries are recorded, and at most one more per thread: the one that it was
/// recording when it was killed.
///
/// # Panics
/// If this is violated.
pub fn assert_reported_is_recorded(reported: &Counts, recorded: &Counts) {
    for (thread, reported) in reported {
        let recorded = recorded.get(thread).copied().unwrap_or(0);
        assert!(recorded >= *reported, "{thread:?}: {recorded} recorded, {reported} reported");
    }
    for (thread, recorded) in recorded {
        let reported = reported.get(thread).copied().unwrap_or(0);
        assert!(*recorded <= reported + 1, "{thread:?}: {recorded} recorded, {reported} reported");
    }
}

/// Checks that security.jsonl has each line of its levels exactly once, unchanged and in order.
fn assert_projection_is_complete(directory: &Path, lines: &[Line]) {
    let sensitive =
        lines.iter().filter(|line| matches!(line.json["level"].as_str(), Some("SECURITY" | "CRITICAL")));
    let expected: Vec<&str> = sensitive.map(|line| line.text.as_str()).collect();
    let projection = fs::read_to_string(directory.join("security.jsonl")).expect("security.jsonl");
    let found: Vec<&str> = projection.lines().collect();
    assert!(found == expected, "{} lines in security.jsonl, {} in the trail", found.len(), expected.len());
    assert!(!expected.is_empty());
}
