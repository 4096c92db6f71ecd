//! What a child tells its parent of each entry, in the same words the entry has.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use auditx_core::{AuditLogger, Error};

/// One accepted entry: the numbers of a thread grow by one from 0, in each round anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Report {
    /// Which child.
    pub round: u64,
    /// Which of its threads.
    pub thread: u64,
    /// Which of the thread's entries.
    pub number: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} thread {} entry {}", self.round, self.thread, self.number)
    }
}

impl FromStr for Report {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let ["round", round, "thread", thread, "entry", number] = words[..] else {
            return Err(format!("{text:?} is no report"));
        };
        let number_of = |word: &str| word.parse().map_err(|error| format!("{text:?}: {error}"));
        Ok(Self { round: number_of(round)?, thread: number_of(thread)?, number: number_of(number)? })
    }
}

/// Longer than many pages: a kill in the middle of write(2) can tear such a line.
const LONG: usize = 50_000;

/// Records for ever, and reports each entry on standard output right after `record()` accepted it. Gives the error that
/// ended it.
pub fn record_for_ever(logger: &AuditLogger, round: u64, thread: u64) -> Error {
    let long = "long ".repeat(LONG / 5);
    for number in 0.. {
        let report = Report { round, thread, number };
        let words = report.to_string();
        let recorded = match number % 16 {
            3 | 11 => logger.log_security(&words).success(false).record(),
            7 => logger.log(&words).metadata("text", &long).record(),
            _ => logger.log(&words).metadata("text", &long[..300]).record(),
        };
        if let Err(error) = recorded {
            return error;
        }
        say(&report);
    }
    unreachable!("nobody records 2^64 entries")
}

/// One write(2), so that a kill leaves no half of it.
pub fn say(what: &impl fmt::Display) {
    let mut stdout = std::io::stdout().lock();
    let line = format!("{what}\n");
    // Where the parent is gone there is nobody left to tell.
    drop(stdout.write_all(line.as_bytes()));
}
