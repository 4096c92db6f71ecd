//! A process that records while another one renames, removes, truncates and replaces files below its directory: whatever
//! a receipt called durable must be readable at the end, or the application was told by an error before it got the
//! receipt. The suite runs some rounds, `cargo xtask torture` as many as there is time for.

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
use crate::deadline::PATIENCE;
use crate::random::Random;
use crate::report::{Report, say};
use crate::snapshot::names_below;

const THREADS: u64 = 4;

/// Entries of each thread after the last change, so that it is noticed before the trail is closed.
const LAST: u64 = 5;

/// How long the rounds last that give the watch over small files time to look.
const LONG_ROUND: Duration = Duration::from_millis(1_300);

/// Records from four threads with durable receipts, and reports each receipt, until there is a file named `stop` beside the
/// directory, or an entry is refused.
///
/// # Panics
/// Where the trail cannot be opened.
pub fn record(directory: &Path, round: u64) {
    let config = Config::new(directory).durability(Durability::Interval(Duration::from_millis(2)));
    // Every other trail is sealed again and again.
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
                        Ok(_) => say(&report),
                        Err(error) => return say(&format!("refused: {error}")),
                    }
                }
            });
        }
    });
    match logger.close(PATIENCE) {
        Ok(()) => say(&"closed"),
        Err(error) => say(&format!("not closed: {error}")),
    }
}

/// What another program does to a name.
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
    /// Takes bytes away that no name leads to any more, nor an open file where the segment is sealed and settled.
    fn destroys(self) -> bool {
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

/// Rounds, and all that came of them.
#[derive(Debug)]
pub struct Interference {
    recorder: fn(&Path, u64) -> Command,
    auditx: PathBuf,
    random: Random,
    tally: Tally,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Trails.
    pub rounds: u64,
    /// Changes that were made to their names.
    pub changes: u64,
    /// Receipts that said durable.
    pub receipts: u64,
    /// Trails that refused entries.
    pub refused: u64,
    /// Trails of which a segment was restored.
    pub restored: u64,
    /// Trails that lost lines with a sealed segment, which verifying names.
    pub lost_with_sealed: u64,
}

/// One trail.
struct Round {
    logs: PathBuf,
    elsewhere: PathBuf,
    changed: Vec<String>,
    is_sealed_struck: bool,
}

impl Interference {
    /// `recorder` is the command that calls [`record`] with these arguments, `auditx` the program that reads.
    #[must_use]
    pub fn new(recorder: fn(&Path, u64) -> Command, auditx: &Path, random: Random) -> Self {
        Self { recorder, auditx: auditx.to_owned(), random, tally: Tally::default() }
    }

    /// What came of all rounds.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Records, interferes and reads, in a directory of its own, which is kept where something is wrong.
    ///
    /// # Panics
    /// Where a durable entry cannot be read and nobody was told, or the trail is broken without a word.
    pub fn round(&mut self) {
        let number = self.tally.rounds;
        self.tally.rounds += 1;
        let root = tempfile::tempdir().expect("a temporary directory").keep();
        let (logs, elsewhere) = (root.join("logs"), root.join("elsewhere"));
        fs::create_dir(&elsewhere).expect("a directory is made");
        let mut round = Round { logs: logs.clone(), elsewhere, changed: Vec::new(), is_sealed_struck: false };
        let child = Child::start(&mut (self.recorder)(&logs, number));
        let began = Instant::now();
        let mut said = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let wanted = said.len() as u64 + 5 + self.random.below(120);
            while (said.len() as u64) < wanted
                && let Some(line) = child.next_line()
            {
                said.push(line);
            }
            round.interfere(&mut self.random);
        }
        while number.is_multiple_of(8)
            && began.elapsed() < LONG_ROUND
            && let Some(line) = child.next_line()
        {
            said.push(line);
        }
        fs::write(root.join("stop"), b"").expect("the child is told to stop");
        let (status, rest) = child.end();
        said.extend(rest);
        let Round { changed, .. } = &round;
        assert!(status.success(), "{status} in {}: {changed:?}, {:?}", root.display(), said.last());
        self.tally.changes += changed.len() as u64;
        self.judge(&round, &said);
        fs::remove_dir_all(root).expect("a round that is well is removed");
    }

    fn judge(&mut self, round: &Round, said: &[String]) {
        let Round { logs, changed, is_sealed_struck, .. } = round;
        let durable: BTreeSet<Report> = said.iter().filter_map(|line| line.parse().ok()).collect();
        self.tally.receipts += durable.len() as u64;
        self.tally.refused += u64::from(said.iter().any(|line| line.starts_with("refused")));
        // Read as it was left, before anything is opened again.
        let output =
            Command::new(&self.auditx).args(["query", "--dir"]).arg(logs).output().expect("auditx starts");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let found: BTreeSet<Report> = printed
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|line| line["description"].as_str()?.parse().ok())
            .collect();
        self.tally.restored += u64::from(printed.contains("Audit trail recovered: segment"));
        let missing: Vec<&Report> = durable.difference(&found).collect();
        let what = || {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            format!("{}: {changed:?}; {} said {:?}; {complaint}", logs.display(), said.len(), said.last())
        };
        let answer = verify(logs, &VerifyOptions::new(), &mut |_, _| ());
        let is_broken = answer.as_ref().map_or(true, |verified| verified.answer == Answer::Broken);
        if !missing.is_empty() {
            // Nobody can restore a segment that was sealed, settled and destroyed; but it is said.
            assert!(*is_sealed_struck && is_broken, "{missing:?} cannot be read in {}", what());
            self.tally.lost_with_sealed += 1;
            return;
        }
        match AuditLogger::open(Config::new(logs)) {
            Ok(logger) => {
                drop(logger);
                let answer = verify(logs, &VerifyOptions::new(), &mut |_, _| ());
                let is_well = answer.as_ref().is_ok_and(|verified| verified.answer != Answer::Broken);
                assert!(is_well || *is_sealed_struck, "{answer:?} in {}", what());
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
    /// Changes one name below the directory.
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
        // The kernel kills a process that touches a mapping whose file was cut: tests/kill.rs shows what is left then.
        if name.ends_with("ring") && change == Change::Truncate {
            return;
        }
        let number = self.changed.len() as u64;
        let outcome = change.make(&self.logs.join(&name), &self.elsewhere, number);
        if outcome.is_ok() {
            let is_sealed = name.to_string_lossy().starts_with("audit-");
            self.is_sealed_struck |= is_sealed && change.destroys();
            self.changed.push(format!("{change:?} {}", name.display()));
        }
    }
}
