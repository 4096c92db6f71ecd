//! Reading commands on trails that somebody damaged: each either gives the answer that it gives of the
//! undamaged trail, or says that something is wrong and fails; and none of them changes anything.

mod call;
mod damage;
mod forgery;
mod trails;
mod verdict;
mod wanted;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::random::Random;
use crate::snapshot::Snapshot;
use call::{Call, Ended};
use damage::Damage;
use trails::Base;
use verdict::Verdict;

pub use trails::record_and_wait_to_be_killed;

/// Calls about each damaged trail.
const CALLS: u64 = 4;

/// Trails, and all that came of damaging copies of them.
#[derive(Debug)]
pub struct Readings {
    auditx: PathBuf,
    root: TempDir,
    /// Anybody may write here.
    scratch: PathBuf,
    bases: Vec<Base>,
    random: Random,
    /// What is said of the undamaged trails.
    intact: HashMap<(usize, Vec<String>), Ended>,
    tally: Tally,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Damaged trails.
    pub rounds: u64,
    /// Answers that were right.
    pub right: u64,
    /// Answers that said that something is wrong.
    pub refused: u64,
    /// Answers that differ in lines that they say nobody signed.
    pub unsigned: u64,
}

impl Readings {
    /// Makes the trails. `auditx` is the program that reads, `recorder` a command that calls
    /// [`record_and_wait_to_be_killed`].
    ///
    /// # Panics
    /// If they cannot be made.
    #[must_use]
    pub fn new(auditx: &Path, recorder: fn(&Path) -> Command, mut random: Random) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let bases = trails::build(root.path(), recorder, &mut random);
        let (auditx, scratch) = (auditx.to_owned(), root.path().join("scratch"));
        fs::create_dir(&scratch).expect("a directory");
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o777)).expect("a directory of ours");
        Self { auditx, root, scratch, bases, random, intact: HashMap::new(), tally: Tally::default() }
    }

    /// What came of all rounds.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Copies a trail, damages the copy and asks about it. Returns what is not as it must be.
    ///
    /// # Panics
    /// If the trail cannot be copied, or the undamaged one is not read as a plain reader reads it.
    pub fn round(&mut self) -> Vec<String> {
        self.tally.rounds += 1;
        let number = self.random.index(self.bases.len());
        let other = (number + 1 + self.random.index(self.bases.len() - 1)) % self.bases.len();
        let copy = self.root.path().join(format!("round-{}", self.tally.rounds));
        let [directory, elsewhere] = ["logs", "elsewhere"].map(|name| copy.join(name));
        fs::create_dir_all(&elsewhere).expect("a directory");
        copy_all(&self.bases[number].directory, &directory);
        let other = &self.bases[other].directory;
        let damage = Damage { directory: &directory, other, elsewhere: &elsewhere };
        let count = if self.random.below(3) == 0 { 2 } else { 1 };
        let mut done = Vec::new();
        while done.len() < count {
            done.extend(damage.strike(&mut self.random));
        }
        let mut faults = Vec::new();
        for _ in 0..CALLS {
            let call = Call::random(&mut self.random, &self.bases[number]);
            let auditx = self.auditx.clone();
            if let Err(fault) = self.judge(number, &call, &directory, &|_| Command::new(&auditx)) {
                let (name, words) = (self.bases[number].name, call.words.join(" "));
                faults.push(format!("{}: `{name}`, {done:?}: auditx {words}: {fault}", copy.display()));
            }
        }
        if faults.is_empty() {
            fs::remove_dir_all(copy).expect("a round that is well is removed");
        } else {
            self.root.disable_cleanup(true);
        }
        faults
    }

    /// Asks about a copy of each undamaged trail with each command, of which `start` makes the beginning.
    /// `prepare` is called with each copy before. Returns what is not right.
    ///
    /// # Panics
    /// As [`Readings::round`].
    pub fn each_command(&mut self, prepare: impl Fn(&Path), start: &dyn Fn(&Path) -> Command) -> Vec<String> {
        let mut faults = Vec::new();
        for number in 0..self.bases.len() {
            let directory = self.copy_of(self.bases[number].name);
            prepare(&directory);
            for call in Call::of_each_command(&self.bases[number]) {
                if let Err(fault) = self.judge(number, &call, &directory, start) {
                    faults.push(format!("{}: auditx {}: {fault}", directory.display(), call.words.join(" ")));
                }
            }
        }
        faults
    }

    /// A copy of the trail of this name.
    ///
    /// # Panics
    /// If there is none, or it cannot be copied.
    #[must_use]
    pub fn copy_of(&self, name: &str) -> PathBuf {
        let base = self.bases.iter().find(|base| base.name == name).expect("a trail of that name");
        let copy = tempfile::tempdir_in(self.root.path()).expect("a directory").keep();
        copy_all(&base.directory, &copy.join("logs"));
        for directory in [&copy, self.root.path()] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("a directory of ours");
        }
        copy.join("logs")
    }

    /// Asks about a trail, which may be damaged. Nothing of it may change.
    fn judge(
        &mut self,
        number: usize,
        call: &Call,
        directory: &Path,
        start: &dyn Fn(&Path) -> Command,
    ) -> Result<(), String> {
        let intact = self.intact(number, call);
        let before = Snapshot::of(directory);
        let found = call.run(&self.bases[number], directory, start(directory), &self.scratch);
        if let Some(difference) = before.difference(&Snapshot::of(directory)) {
            return Err(format!("it changed something: {difference}"));
        }
        let verdict = verdict::of(call, &self.bases[number], directory, (&intact, &found))
            .map_err(|fault| format!("{fault}; status {:?}, it said {:?}", found.status, found.err))?;
        match verdict {
            Verdict::Right => self.tally.right += 1,
            Verdict::Refused => self.tally.refused += 1,
            Verdict::Unsigned => self.tally.unsigned += 1,
        }
        Ok(())
    }

    /// What is said of the undamaged trail, which must be right.
    fn intact(&mut self, number: usize, call: &Call) -> Ended {
        let key = (number, call.words.clone());
        if let Some(known) = self.intact.get(&key) {
            return known.clone();
        }
        let base = &self.bases[number];
        let ended = call.run(base, &base.directory, Command::new(&self.auditx), &self.scratch);
        if let Err(fault) = verdict::check_intact(call, base, &ended) {
            panic!("`{}`, undamaged, auditx {}: {fault}: {ended:?}", base.name, call.words.join(" "));
        }
        self.intact.insert(key, ended.clone());
        ended
    }
}

/// Another directory with the same files, their modes and times.
fn copy_all(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["-a", "--"]).args([from, to]).status().expect("cp starts");
    assert!(status.success(), "cp: {status}");
}
