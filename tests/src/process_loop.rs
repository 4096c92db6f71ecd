//! Several processes record into one trail, each from four threads; random ones are killed and replaced.
//!
//! The test suite runs some rounds, `cargo xtask torture` thousands.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;

use auditx_core::{AuditLogger, Config, OnFull};
use auditx_reader::{Answer, VerifyOptions, verify};

use crate::child::Child;
use crate::deadline::TIMEOUT;
use crate::kill_loop::{Counts, assert_reported_is_recorded, count_in_order, kill_at_random};
use crate::random::Random;
use crate::trail::lines;

/// How many processes record at the same time.
const PROCESSES: u64 = 4;

/// Returns the settings of all processes.
#[must_use]
pub fn config(directory: &Path) -> Config {
    // The smallest ring and small segments, so that kills often hit their ends. Sixteen threads share the
    // ring: one of them may wait for long.
    Config::new(directory)
        .max_file_bytes(256 * 1024)
        .journal_bytes(256 * 1024)
        .on_full(OnFull::Wait { max: TIMEOUT })
}

/// A trail that is shared by processes, some of which are killed.
#[derive(Debug)]
pub struct ProcessLoop {
    writer: PathBuf,
    directory: PathBuf,
    random: Random,
    started: u64,
    running: VecDeque<Child>,
    reported: Counts,
}

impl ProcessLoop {
    /// Starts the processes in an empty directory; `writer` is their program.
    #[must_use]
    pub fn new(writer: &Path, directory: &Path, random: Random) -> Self {
        let mut processes = Self {
            writer: writer.to_owned(),
            directory: directory.to_owned(),
            random,
            started: 0,
            running: VecDeque::new(),
            reported: Counts::new(),
        };
        for _ in 0..PROCESSES {
            processes.start();
        }
        processes
    }

    fn start(&mut self) {
        let mut command = Command::new(&self.writer);
        command.arg(&self.directory).arg(self.started.to_string()).arg("shared");
        self.started += 1;
        self.running.push_back(Child::start(&mut command));
    }

    /// Kills a random process at a random moment, which may be while it opens the trail, and starts another.
    pub fn round(&mut self) {
        let chosen = usize::try_from(self.random.below(PROCESSES)).unwrap_or(0);
        if let Some(child) = self.running.remove(chosen) {
            self.reported.extend(kill_at_random(child, &mut self.random));
        }
        self.start();
    }

    /// Kills the others and checks the whole trail. Returns the numbers of processes and of lines.
    ///
    /// # Panics
    /// If an accepted entry is missing, repeated or out of its thread's order, or the trail is not intact.
    pub fn end(mut self) -> (u64, u64) {
        while let Some(child) = self.running.pop_front() {
            self.reported.extend(kill_at_random(child, &mut self.random));
        }
        let logger = AuditLogger::open(config(&self.directory).exclusive(true)).expect("the trail opens");
        logger.close(TIMEOUT).expect("the trail closes");
        let lines = lines(&self.directory);
        let is_gapless = lines.iter().zip(0..).all(|(line, seq)| line.seq == seq);
        assert!(is_gapless, "each line has the next number");
        assert_reported_is_recorded(&self.reported, &count_in_order(&lines));
        let key = logger.verifier_key().expect("the trail was opened");
        let options = VerifyOptions::new().key(key);
        let answer = verify(&self.directory, &options, &mut |_, _| ()).expect("a trail");
        assert!(matches!(answer.answer, Answer::Intact | Answer::Unconfirmed), "{answer:?}");
        (self.started, lines.len() as u64)
    }
}
