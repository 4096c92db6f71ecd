//! Kills processes that record, and interferes with the files of others, for as long as there is time: `torture MINUTES`.
//!
//! It panics at the first thing that is not so, and leaves the trail where it is then. The program `auditx` is beside it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use auditx_tests::interference::Interference;
use auditx_tests::kill_loop::{KillLoop, Tally};
use auditx_tests::random::Random;

/// A trail grows longer and longer to look at.
const ROUNDS_OF_A_TRAIL: u64 = 100;

/// Between two trails whose processes are killed.
const INTERFERENCES: u64 = 50;

fn recorder(directory: &Path, round: u64) -> Command {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program.with_file_name("durable_writer"));
    command.arg(directory).arg(round.to_string());
    command
}

fn main() {
    let minutes: u64 =
        std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("usage: torture MINUTES");
    let deadline = Instant::now() + Duration::from_secs(minutes * 60);
    let program = std::env::current_exe().expect("this program has a path");
    let writer = program.with_file_name("kill_writer");
    let mut interference = Interference::new(recorder, &program.with_file_name("auditx"), Random::seeded());
    let mut total = Tally::default();
    let mut trails = 0_u64;
    while Instant::now() < deadline {
        // Kept where something is found.
        let directory = tempfile::tempdir().expect("a temporary directory").keep();
        println!("trail {} in {}", trails + 1, directory.display());
        let mut trail = KillLoop::new(&writer, &directory, Random::seeded());
        for _ in 0..ROUNDS_OF_A_TRAIL {
            if Instant::now() >= deadline {
                break;
            }
            trail.round();
        }
        let tally = trail.end();
        std::fs::remove_dir_all(&directory).expect("a trail that is well is removed");
        trails += 1;
        total.kills += tally.kills;
        total.lines += tally.lines;
        total.replayed += tally.replayed;
        total.torn += tally.torn;
        total.sealed += tally.sealed;
        println!("{trails} trails so far: {total:?}");
        for _ in 0..INTERFERENCES {
            if Instant::now() < deadline {
                interference.round();
            }
        }
        println!("interferences so far: {:?}", interference.tally());
    }
    println!(
        "torture: {} kills on {trails} trails, {} lines, {} brought in from the journal, {} torn lines set aside, {} \
         segments sealed: nothing lost, repeated or out of order, every trail verified",
        total.kills, total.lines, total.replayed, total.torn, total.sealed
    );
    println!("interferences: {:?}: every durable entry was read, or its loss was said", interference.tally());
}
