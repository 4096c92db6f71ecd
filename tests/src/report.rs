//! Reports of accepted entries, which a child process prints and which are also the entries' descriptions.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use auditx_core::{AuditLogger, Error};

/// The report of one accepted entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Report {
    /// The number of the child process.
    pub round: u64,
    /// The number of the thread.
    pub thread: u64,
    /// The number of the entry; in each round each thread counts from 0.
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
            return Err(format!("{text:?} is not a report"));
        };
        let number_of = |word: &str| word.parse().map_err(|error| format!("{text:?}: {error}"));
        Ok(Self { round: number_of(round)?, thread: number_of(thread)?, number: number_of(number)? })
    }
}

/// The length of long texts: many pages, so that a kill during write(2) can tear the line.
const LONG: usize = 50_000;

/// Records until an entry is refused, and returns that error. Prints a report of each entry right after
/// `record()` accepted it.
pub fn record_forever(logger: &AuditLogger, round: u64, thread: u64) -> Error {
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
        print_line(&report);
    }
    unreachable!("2^64 entries are never reached")
}

/// Prints a line to standard output with one write(2), so that a kill does not leave half a line.
pub fn print_line(what: &impl fmt::Display) {
    let mut stdout = std::io::stdout().lock();
    let line = format!("{what}\n");
    // Fails if the parent has ended; then nobody reads the line.
    drop(stdout.write_all(line.as_bytes()));
}
