//! Tests of reading a trail whose files another process renames, removes and replaces during recording.

use std::path::Path;
use std::process::Command;

use auditx_tests::interference::{Interference, record};
use auditx_tests::random::Random;

const ROUNDS: u64 = 200;

/// Environment variable of the recording process: the number of the round and the directory.
const RECORDER: &str = "AUDITX_TEST_RECORDER";

fn recorder(directory: &Path, round: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["interference::the_process_that_records", "--exact", "--nocapture"]);
    command.env(RECORDER, format!("{round} {}", directory.display()));
    command
}

/// Does nothing unless another test starts it as a separate process.
#[test]
fn the_process_that_records() {
    if let Ok(text) = std::env::var(RECORDER) {
        let (round, directory) = text.split_once(' ').unwrap();
        record(Path::new(directory), round.parse().unwrap());
    }
}

#[test]
fn durable_lines_survive_interference_or_are_reported() {
    let auditx = Path::new(env!("CARGO_BIN_EXE_auditx"));
    let mut interference = Interference::new(recorder, auditx, Random::seeded());
    for _ in 0..ROUNDS {
        interference.round();
    }
    let tally = interference.tally();
    eprintln!("{tally:?}");
    assert!(tally.restored > ROUNDS / 4, "{tally:?}");
}
