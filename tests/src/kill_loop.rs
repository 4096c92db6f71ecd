//! Processes that record from four threads and are killed at a random moment, again and again, and what must be left of it.
//! The suite runs some rounds, `cargo xtask torture` as many as there is time for.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use auditx_core::{
    AuditLogger, CompactRange, Config, Durability, JournalKind, SignedCheckpoint, TrailReader,
    checkpoint_path, leaf_hash,
};
use auditx_reader::{Answer, VerifyOptions, verify};
use rustix::process::Signal;

use crate::child::Child;
use crate::deadline::PATIENCE;
use crate::random::Random;
use crate::report::Report;
use crate::trail::{Line, lines, lines_from};

/// How many entries each thread of one round has.
pub type Counts = BTreeMap<(u64, u64), u64>;

/// The settings of one round: each journal, small and large, and each durability come up.
#[must_use]
pub fn config(directory: &Path, round: u64) -> Config {
    let journal = if round % 5 == 4 { JournalKind::Direct } else { JournalKind::Ring };
    let durability = match round % 3 {
        0 => Durability::Interval(Duration::from_millis(2)),
        1 => Durability::default(),
        _ => Durability::Os,
    };
    // Segments as small as they may be, so that sealing and compressing are often under way.
    Config::new(directory)
        .max_file_bytes(65_536)
        .journal(journal)
        .journal_bytes(if round.is_multiple_of(2) { 256 * 1024 } else { 1024 * 1024 })
        .durability(durability)
}

/// One trail and all that was seen of it.
#[derive(Debug)]
pub struct KillLoop {
    writer: PathBuf,
    directory: PathBuf,
    random: Random,
    round: u64,
    all_recorded: Counts,
    checked: u64,
    /// The tree up to the last checkpoint, from the files.
    signed: CompactRange,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Processes that were killed.
    pub kills: u64,
    /// Lines in their trails.
    pub lines: u64,
    /// Entries that were accepted and not yet written, and were brought in afterwards.
    pub replayed: u64,
    /// Kills that tore a line.
    pub torn: u64,
    /// Segments that were sealed.
    pub sealed: u64,
}

impl KillLoop {
    /// On an empty directory; `writer` is the program to be killed.
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

    /// Starts a process, kills it, opens the trail again and looks.
    ///
    /// # Panics
    /// Where an accepted entry is missing, one is there twice or out of its thread's order, or a line that was signed is not
    /// the one that is there.
    pub fn round(&mut self) {
        let (round, directory) = (self.round, self.directory.clone());
        self.round += 1;
        let mut command = Command::new(&self.writer);
        let child = Child::start(command.arg(&directory).arg(round.to_string()));
        let reported = kill_at_random(child, &mut self.random);
        self.assert_what_is_signed_is_there();
        if round % 10 == 9 {
            // As it was left, before anybody repairs anything.
            let answer = verify(&directory, &VerifyOptions::new(), &mut |_, _| ()).expect("a trail");
            assert_eq!(answer.answer, Answer::Unconfirmed, "round {round}: {answer:?}");
        }
        let logger = AuditLogger::open(config(&directory, round + 1)).expect("the trail opens again");
        logger.close(PATIENCE).expect("and closes");
        let new = lines_from(&directory, self.checked);
        assert_eq!(new[0].seq, self.checked, "round {round}");
        self.checked += new.len() as u64;
        let recorded = count_in_order(&new);
        assert_reported_is_recorded(&reported, &recorded);
        assert!(recorded.keys().all(|(of, _)| *of == round), "round {round}: {recorded:?}");
        self.all_recorded.extend(recorded);
    }

    /// Looks at the whole trail once more.
    ///
    /// # Panics
    /// As [`KillLoop::round`].
    pub fn end(mut self) -> Tally {
        let lines = lines(&self.directory);
        assert_eq!((lines[0].seq, lines.len() as u64), (0, self.checked));
        assert_eq!(count_in_order(&lines), self.all_recorded, "what was there stays");
        assert_projection_is_whole(&self.directory, &lines);
        self.assert_what_is_signed_is_there();
        assert_eq!(self.signed.end(), self.checked, "closed, so everything is signed");
        let logger = AuditLogger::open(config(&self.directory, self.round)).expect("the trail opens");
        logger.close(PATIENCE).expect("and closes");
        let note = fs::read(checkpoint_path(&self.directory)).expect("a checkpoint");
        let latest = SignedCheckpoint::parse(&note).expect("a whole one");
        let options = VerifyOptions::new().key(logger.verifier_key().expect("open")).known(latest);
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

    /// The checkpoint that a killed process left speaks of lines that are there, and of no others.
    fn assert_what_is_signed_is_there(&mut self) {
        let signed = &mut self.signed;
        let Ok(note) = fs::read(checkpoint_path(&self.directory)) else {
            assert_eq!(signed.end(), 0, "a checkpoint does not go away");
            return;
        };
        let checkpoint = SignedCheckpoint::parse(&note).expect("a checkpoint is never half written");
        assert!(checkpoint.size() >= signed.end(), "{} lines were signed already", signed.end());
        let mut reader = TrailReader::new(&self.directory, signed.end());
        while signed.end() < checkpoint.size() {
            let (_, line) = reader.next_line().expect("a trail").expect("a line that was signed");
            signed.push(leaf_hash(line));
        }
        assert_eq!(signed.root().as_ref(), Some(checkpoint.root()));
    }
}

/// Kills after so many entries, or so long after the start, which hits opening as well.
fn kill_at_random(child: Child, random: &mut Random) -> Counts {
    let mut reports: Vec<Report> = Vec::new();
    if random.below(3) == 0 {
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
    } else {
        for _ in 0..random.below(600) {
            let said = child.next_line().expect("the child records until it is killed");
            reports.push(said.parse().expect("a report"));
        }
    }
    child.signal(Signal::KILL);
    let (status, said) = child.end();
    assert_eq!(status.signal(), Some(9), "{status}: it records until it is killed");
    reports.extend(said.iter().map(|line| line.parse::<Report>().expect("a report")));
    count_reports(reports)
}

/// Counts the entries of each thread, which must stand in the thread's order, none missing and none twice.
///
/// # Panics
/// Where they do not.
#[must_use]
pub fn count_in_order<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Counts {
    let reports = lines.into_iter().filter(|line| line.kind().is_none());
    count_reports(reports.map(|line| line.description().parse().expect("a report")))
}

/// The same for what a process said.
///
/// # Panics
/// As [`count_in_order`].
#[must_use]
pub fn count_reports(reports: impl IntoIterator<Item = Report>) -> Counts {
    let mut counts = Counts::new();
    for report in reports {
        let next = counts.entry((report.round, report.thread)).or_default();
        assert_eq!(report.number, *next, "{report}, out of its thread's order");
        *next += 1;
    }
    counts
}

/// Everything reported is there, and of what was not reported at most what each thread was just recording.
///
/// # Panics
/// Where it is not so.
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

/// security.jsonl says each line of its levels once, unchanged and in order, kills or not.
fn assert_projection_is_whole(directory: &Path, lines: &[Line]) {
    let sensitive =
        lines.iter().filter(|line| matches!(line.json["level"].as_str(), Some("SECURITY" | "CRITICAL")));
    let expected: Vec<&str> = sensitive.map(|line| line.text.as_str()).collect();
    let projection = fs::read_to_string(directory.join("security.jsonl")).expect("security.jsonl");
    let found: Vec<&str> = projection.lines().collect();
    assert!(found == expected, "{} lines in security.jsonl, {} in the trail", found.len(), expected.len());
    assert!(!expected.is_empty());
}
