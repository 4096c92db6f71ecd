//! Renames, removes, truncates and replaces files below the directory of a recording process.
//!
//! Every entry with a durable receipt must be readable at the end. The test suite runs some rounds,
//! `cargo xtask torture` as many as there is time for.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config, Durability};
use auditx_reader::{Answer, VerifyOptions, verify};

use crate::child::Child;
use crate::deadline::TIMEOUT;
use crate::random::Random;
use crate::report::{Report, print_line};
use crate::snapshot::names_below;

const THREADS: u64 = 4;

/// Entries of each thread after the last change, so that the change is noticed before the trail is closed.
const LAST: u64 = 5;

/// The duration of long rounds, in which the watch over small files runs at least once.
const LONG_ROUND: Duration = Duration::from_millis(1_300);

/// Records from four threads, waits for each receipt to be durable and prints a report of it, until a file
/// named `stop` exists beside the directory or an entry is refused.
///
/// # Panics
/// If the trail cannot be opened.
pub fn record(directory: &Path, round: u64) {
    let config = Config::new(directory).durability(Durability::Interval(Duration::from_millis(2)));
    // Every other trail has small segments, which are sealed often.
    let config = if round.is_multiple_of(2) { config } else { config.max_file_bytes(65_536) };
    let logger = AuditLogger::open(config).expect("the trail opens");
    let stop = directory.with_file_name("stop");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (logger, stop) = (&logger, &stop);
            scope.spawn(move || {
                let mut last = u64::MAX;
                for number in 0.. {
                    if last == u64::MAX && stop.exists() {
                        last = number + LAST;
                    }
                    if number == last {
                        return;
                    }
                    let report = Report { round, thread, number };
                    let receipt = logger.log(report.to_string()).metadata("text", "x".repeat(300)).record();
                    match receipt.and_then(|receipt| receipt.wait_durable()) {
                        Ok(_) => print_line(&report),
                        Err(error) => return print_line(&format!("refused: {error}")),
                    }
                }
            });
        }
    });
    match logger.close(TIMEOUT) {
        Ok(()) => print_line(&"closed"),
        Err(error) => print_line(&format!("not closed: {error}")),
    }
}

/// A change that another program makes to a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Rename,
    Remove,
    Truncate,
    Recreate,
    HardLink,
    Symlink,
    Directory,
    Mode,
    Move,
}

const CHANGES: [Change; 9] = [
    Change::Rename,
    Change::Remove,
    Change::Truncate,
    Change::Recreate,
    Change::HardLink,
    Change::Symlink,
    Change::Directory,
    Change::Mode,
    Change::Move,
];

impl Change {
    /// Returns whether the change can destroy the bytes of a sealed segment, which no process has open.
    fn is_destructive(self) -> bool {
        !matches!(self, Self::HardLink | Self::Mode)
    }

    fn make(self, path: &Path, elsewhere: &Path, number: u64) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = path.with_file_name(format!("{name}.moved-{number}"));
        match self {
            Self::Rename => fs::rename(path, beside),
            Self::Remove if path.is_dir() => fs::remove_dir_all(path),
            Self::Remove => fs::remove_file(path),
            Self::Truncate => fs::File::options().write(true).truncate(true).open(path).map(drop),
            Self::Recreate => {
                fs::rename(path, beside)?;
                fs::write(path, b"")
            }
            Self::HardLink => fs::hard_link(path, beside),
            Self::Symlink => {
                fs::rename(path, &beside)?;
                symlink(&beside, path)
            }
            Self::Directory => {
                fs::rename(path, beside)?;
                fs::create_dir(path)
            }
            Self::Mode => fs::set_permissions(path, fs::Permissions::from_mode(0o400)),
            Self::Move => fs::rename(path, elsewhere.join(format!("{name}-{number}"))),
        }
    }
}

/// Runs rounds and counts their results.
#[derive(Debug)]
pub struct Interference {
    recorder: fn(&Path, u64) -> Command,
    auditx: PathBuf,
    random: Random,
    tally: Tally,
}

/// The results of all rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rounds, each with a new trail.
    pub rounds: u64,
    /// Changes that were made.
    pub changes: u64,
    /// Durable receipts.
    pub receipts: u64,
    /// Trails that refused entries.
    pub refused: u64,
    /// Trails with a restored segment.
    pub restored: u64,
    /// Trails that lost lines which could not be restored, which verification reports.
    pub lost: u64,
}

/// The trail of one round and the changes made to it.
struct Round {
    logs: PathBuf,
    elsewhere: PathBuf,
    changed: Vec<String>,
    /// Whether a change may have destroyed a sealed segment.
    is_sealed_damaged: bool,
    /// Whether a change may have destroyed the tile cache, without which the active segment cannot be
    /// restored.
    is_cache_damaged: bool,
}

impl Interference {
    /// `recorder` returns the command that calls [`record`] with these arguments; `auditx` is the path of the
    /// program that reads the trail.
    #[must_use]
    pub fn new(recorder: fn(&Path, u64) -> Command, auditx: &Path, random: Random) -> Self {
        Self { recorder, auditx: auditx.to_owned(), random, tally: Tally::default() }
    }

    /// Returns the results of all rounds.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Runs a round in a new directory, which is kept if the round fails.
    ///
    /// # Panics
    /// If a durable entry cannot be read and its loss is not reported, or the trail is damaged without an
    /// error.
    pub fn round(&mut self) {
        let number = self.tally.rounds;
        self.tally.rounds += 1;
        let root = tempfile::tempdir().expect("a temporary directory").keep();
        let (logs, elsewhere) = (root.join("logs"), root.join("elsewhere"));
        fs::create_dir(&elsewhere).expect("the directory can be created");
        let mut round = Round {
            logs: logs.clone(),
            elsewhere,
            changed: Vec::new(),
            is_sealed_damaged: false,
            is_cache_damaged: false,
        };
        let child = Child::start(&mut (self.recorder)(&logs, number));
        let began = Instant::now();
        let mut output = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let wanted = output.len() as u64 + 5 + self.random.below(120);
            while (output.len() as u64) < wanted
                && let Some(line) = child.next_line()
            {
                output.push(line);
            }
            round.interfere(&mut self.random);
        }
        while number.is_multiple_of(8)
            && began.elapsed() < LONG_ROUND
            && let Some(line) = child.next_line()
        {
            output.push(line);
        }
        fs::write(root.join("stop"), b"").expect("the stop file can be written");
        let (status, rest) = child.end();
        output.extend(rest);
        let Round { changed, .. } = &round;
        assert!(status.success(), "{status} in {}: {changed:?}, {:?}", root.display(), output.last());
        self.tally.changes += changed.len() as u64;
        self.check(&round, &output);
        fs::remove_dir_all(root).expect("the directory of a correct round can be removed");
    }

    fn check(&mut self, round: &Round, printed: &[String]) {
        let Round { logs, changed, is_sealed_damaged, is_cache_damaged, .. } = round;
        let durable: BTreeSet<Report> = printed.iter().filter_map(|line| line.parse().ok()).collect();
        self.tally.receipts += durable.len() as u64;
        let is_refused = printed.iter().any(|line| line.starts_with("refused"));
        self.tally.refused += u64::from(is_refused);
        // Read before the trail is opened, and possibly repaired, again.
        let output =
            Command::new(&self.auditx).args(["query", "--dir"]).arg(logs).output().expect("auditx starts");
        let read = String::from_utf8_lossy(&output.stdout).into_owned();
        let found: BTreeSet<Report> = read
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|line| line["description"].as_str()?.parse().ok())
            .collect();
        self.tally.restored += u64::from(read.contains("Audit trail recovered: segment"));
        let missing: Vec<&Report> = durable.difference(&found).collect();
        let what = || {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            let (count, last) = (printed.len(), printed.last());
            format!("{}: {changed:?}; {count} lines printed, the last is {last:?}; {stderr}", logs.display())
        };
        let answer = verify(logs, &VerifyOptions::new(), &mut |_, _| ());
        let is_broken = answer.as_ref().map_or(true, |verified| verified.answer == Answer::Broken);
        if !missing.is_empty() {
            // A sealed segment that was destroyed cannot be restored, nor the active one together with the
            // tile cache. Their loss is reported, and a writer that finds it records no more.
            let is_irreparable = *is_sealed_damaged || *is_cache_damaged && is_refused;
            assert!(is_irreparable && is_broken, "{missing:?} cannot be read in {}", what());
            self.tally.lost += 1;
            return;
        }
        match AuditLogger::open(Config::new(logs)) {
            Ok(logger) => {
                drop(logger);
                let answer = verify(logs, &VerifyOptions::new(), &mut |_, _| ());
                let is_intact = answer.as_ref().is_ok_and(|verified| verified.answer != Answer::Broken);
                assert!(is_intact || *is_sealed_damaged, "{answer:?} in {}", what());
            }
            Err(error) => {
                let is_clear =
                    error.is_corrupt() || error.is_storage() || error.is_signing() || error.is_invalid();
                assert!(is_clear && error.path().is_some(), "{error} in {}", what());
            }
        }
    }
}

impl Round {
    /// Makes a random change to a random file or directory below the log directory.
    fn interfere(&mut self, random: &mut Random) {
        let mut names = names_below(&self.logs, Path::new(""));
        names.retain(|name| !name.to_string_lossy().contains(".moved-"));
        let change = *random.one_of(&CHANGES);
        let Some(name) = (if random.below(2) == 0 {
            Some(PathBuf::from("audit.jsonl"))
        } else {
            (!names.is_empty()).then(|| names.swap_remove(random.index(names.len())))
        }) else {
            return;
        };
        // The kernel kills a process that accesses a mapping of a truncated file; tests/kill.rs tests this
        // case.
        if name.ends_with("ring") && change == Change::Truncate {
            return;
        }
        let number = self.changed.len() as u64;
        let outcome = change.make(&self.logs.join(&name), &self.elsewhere, number);
        if outcome.is_ok() {
            let is_sealed = name.to_string_lossy().starts_with("audit-");
            self.is_sealed_damaged |= is_sealed && change.is_destructive();
            let has_cache = name.starts_with(".auditx/tiles") || name == Path::new(".auditx");
            self.is_cache_damaged |= has_cache && change.is_destructive();
            self.changed.push(format!("{change:?} {}", name.display()));
        }
    }
}
