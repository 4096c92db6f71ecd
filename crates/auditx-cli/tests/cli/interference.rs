//! A trail whose files another process renames, removes and replaces while it is recorded into, read by the command.

use std::path::Path;
use std::process::Command;

use auditx_tests::interference::{Interference, record};
use auditx_tests::random::Random;

const ROUNDS: u64 = 200;

/// Set in the process that records: the directory, and the number of the round.
const RECORDER: &str = "AUDITX_TEST_RECORDER";

fn recorder(directory: &Path, round: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["interference::the_process_that_records", "--exact", "--nocapture"]);
    command.env(RECORDER, format!("{round} {}", directory.display()));
    command
}

/// Does nothing unless another test starts it as a process of its own.
#[test]
fn the_process_that_records() {
    if let Ok(text) = std::env::var(RECORDER) {
        let (round, directory) = text.split_once(' ').unwrap();
        record(Path::new(directory), round.parse().unwrap());
    }
}

#[test]
fn what_was_durable_is_read_or_refused_whatever_two_hundred_interferences_do() {
    let auditx = Path::new(env!("CARGO_BIN_EXE_auditx"));
    let mut interference = Interference::new(recorder, auditx, Random::seeded());
    for _ in 0..ROUNDS {
        interference.round();
    }
    let tally = interference.tally();
    eprintln!("{tally:?}");
    assert!(tally.restored > ROUNDS / 4, "{tally:?}");
}
