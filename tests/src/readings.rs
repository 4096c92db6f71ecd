//! Runs reading commands on damaged trails.
//!
//! Each command must either answer as for the undamaged trail, or report that something is wrong and fail. No
//! command may change a file.

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
use call::{Call, Output};
use damage::Damage;
use trails::Base;
use verdict::Verdict;

pub use trails::record_and_wait_to_be_killed;

/// Commands per damaged trail.
const CALLS: u64 = 4;

/// The undamaged trails, and the results of all rounds.
#[derive(Debug)]
pub struct Readings {
    auditx: PathBuf,
    root: TempDir,
    /// A directory that all users may write.
    scratch: PathBuf,
    bases: Vec<Base>,
    random: Random,
    /// The answers for the undamaged trails.
    intact: HashMap<(usize, Vec<String>), Output>,
    tally: Tally,
}

/// The results of all rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Damaged trails.
    pub rounds: u64,
    /// Correct answers.
    pub right: u64,
    /// Answers that reported damage.
    pub refused: u64,
    /// Answers that differ only in lines that they report as not signed.
    pub unsigned: u64,
}

impl Readings {
    /// Writes the trails. `auditx` is the path of the program that reads; `recorder` returns a command that
    /// calls [`record_and_wait_to_be_killed`].
    ///
    /// # Panics
    /// If they cannot be written.
    #[must_use]
    pub fn new(auditx: &Path, recorder: fn(&Path) -> Command, mut random: Random) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let bases = trails::build(root.path(), recorder, &mut random);
        let (auditx, scratch) = (auditx.to_owned(), root.path().join("scratch"));
        fs::create_dir(&scratch).expect("a directory");
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o777)).expect("the mode can be set");
        Self { auditx, root, scratch, bases, random, intact: HashMap::new(), tally: Tally::default() }
    }

    /// Returns the results of all rounds.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Copies a trail, damages the copy and runs commands on it. Returns the faults that were found.
    ///
    /// # Panics
    /// If the trail cannot be copied, or a command's answer for the undamaged trail is wrong.
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
            done.extend(damage.apply(&mut self.random));
        }
        let mut faults = Vec::new();
        for _ in 0..CALLS {
            let call = Call::random(&mut self.random, &self.bases[number]);
            let auditx = self.auditx.clone();
            if let Err(fault) = self.check(number, &call, &directory, &|_| Command::new(&auditx)) {
                let (name, words) = (self.bases[number].name, call.words.join(" "));
                faults.push(format!("{}: `{name}`, {done:?}: auditx {words}: {fault}", copy.display()));
            }
        }
        if faults.is_empty() {
            fs::remove_dir_all(copy).expect("the directory of a correct round can be removed");
        } else {
            self.root.disable_cleanup(true);
        }
        faults
    }

    /// Runs each command on a copy of each undamaged trail. `start` returns the beginning of the command for
    /// a directory; `prepare` is called first with each copy. Returns the faults that were found.
    ///
    /// # Panics
    /// As [`Readings::round`].
    pub fn each_command(&mut self, prepare: impl Fn(&Path), start: &dyn Fn(&Path) -> Command) -> Vec<String> {
        let mut faults = Vec::new();
        for number in 0..self.bases.len() {
            let directory = self.copy_of(self.bases[number].name);
            prepare(&directory);
            for call in Call::of_each_command(&self.bases[number]) {
                if let Err(fault) = self.check(number, &call, &directory, start) {
                    faults.push(format!("{}: auditx {}: {fault}", directory.display(), call.words.join(" ")));
                }
            }
        }
        faults
    }

    /// Copies the trail of this name and returns the copy's path.
    ///
    /// # Panics
    /// If there is none, or it cannot be copied.
    #[must_use]
    pub fn copy_of(&self, name: &str) -> PathBuf {
        let base = self.bases.iter().find(|base| base.name == name).expect("a trail with this name");
        let copy = tempfile::tempdir_in(self.root.path()).expect("a directory").keep();
        copy_all(&base.directory, &copy.join("logs"));
        for directory in [&copy, self.root.path()] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("the mode can be set");
        }
        copy.join("logs")
    }

    /// Runs a command on a trail, which may be damaged, and checks its answer and that no file has changed.
    fn check(
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
            return Err(format!("the command changed the trail: {difference}"));
        }
        let verdict = verdict::of(call, &self.bases[number], directory, (&intact, &found))
            .map_err(|fault| format!("{fault}; status {:?}, standard error {:?}", found.status, found.err))?;
        match verdict {
            Verdict::Right => self.tally.right += 1,
            Verdict::Refused => self.tally.refused += 1,
            Verdict::Unsigned => self.tally.unsigned += 1,
        }
        Ok(())
    }

    /// Returns the command's answer for the undamaged trail, which must be right.
    fn intact(&mut self, number: usize, call: &Call) -> Output {
        let key = (number, call.words.clone());
        if let Some(known) = self.intact.get(&key) {
            return known.clone();
        }
        let base = &self.bases[number];
        let output = call.run(base, &base.directory, Command::new(&self.auditx), &self.scratch);
        if let Err(fault) = verdict::check_intact(call, base, &output) {
            panic!("`{}`, undamaged, auditx {}: {fault}: {output:?}", base.name, call.words.join(" "));
        }
        self.intact.insert(key, output.clone());
        output
    }
}

/// Copies a directory with the modes and times of its files.
fn copy_all(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["-a", "--"]).args([from, to]).status().expect("cp starts");
    assert!(status.success(), "cp: {status}");
}
