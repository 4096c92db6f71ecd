//! Kills recording processes and changes the files of others, for the given time: `torture MINUTES`.
//!
//! Panics at the first failure and keeps the trail's directory. The program `auditx` must be beside this one.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use auditx_tests::interference::Interference;
use auditx_tests::kill_loop::{KillLoop, Tally};
use auditx_tests::process_loop::ProcessLoop;
use auditx_tests::random::Random;

/// Kills per trail. Each round checks the trail, which takes longer as it grows.
const KILLS_PER_TRAIL: u64 = 100;

/// Kills of processes that share a trail, per trail.
const SHARED_KILLS: u64 = 200;

/// Rounds of interference after each trail of kills.
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
    let (mut trails, mut shared_kills, mut shared_lines) = (0_u64, 0_u64, 0_u64);
    while Instant::now() < deadline {
        // Kept, so that a failed trail can be examined.
        let directory = tempfile::tempdir().expect("a temporary directory").keep();
        println!("trail {} in {}", trails + 1, directory.display());
        let mut trail = KillLoop::new(&writer, &directory, Random::seeded());
        for _ in 0..KILLS_PER_TRAIL {
            if Instant::now() >= deadline {
                break;
            }
            trail.round();
        }
        let tally = trail.end();
        std::fs::remove_dir_all(&directory).expect("the directory of a correct trail can be removed");
        trails += 1;
        total.kills += tally.kills;
        total.lines += tally.lines;
        total.replayed += tally.replayed;
        total.torn += tally.torn;
        total.sealed += tally.sealed;
        println!("{trails} trails so far: {total:?}");
        let directory = tempfile::tempdir().expect("a temporary directory").keep();
        println!("shared trail {trails} in {}", directory.display());
        let mut processes = ProcessLoop::new(&writer, &directory, Random::seeded());
        for _ in 0..SHARED_KILLS {
            if Instant::now() < deadline {
                processes.round();
                shared_kills += 1;
            }
        }
        shared_lines += processes.end().1;
        std::fs::remove_dir_all(&directory).expect("the directory of a correct trail can be removed");
        println!("shared trails so far: {shared_kills} kills, {shared_lines} lines");
        for _ in 0..INTERFERENCES {
            if Instant::now() < deadline {
                interference.round();
            }
        }
        println!("interferences so far: {:?}", interference.tally());
    }
    println!(
        "torture: {} kills on {trails} trails, {} lines, {} recovered from the journal, {} torn lines, \
         {} segments sealed: no entry lost, repeated or out of order; every trail verified",
        total.kills, total.lines, total.replayed, total.torn, total.sealed
    );
    println!(
        "torture: {shared_kills} kills of processes that shared a trail with three others, {shared_lines} lines: \
         the same"
    );
    println!(
        "interferences: {:?}: every durable entry was read, or its loss was reported",
        interference.tally()
    );
}
