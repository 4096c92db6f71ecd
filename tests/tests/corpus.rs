//! Every decoder over its corpus, and over each file of it with bytes flipped, cut off and doubled. `cargo xtask fuzz` goes
//! on from the same files for as long as one likes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use auditx_tests::decoders;

/// With so many changes made to each file.
fn run(name: &str, changes: usize, decode: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {}", directory.display());
    for file in files {
        let seed = fs::read(&file).unwrap();
        check(&file, "as it is", &seed, decode);
        for (what, mutated) in mutations(&seed, changes) {
            check(&file, &what, &mutated, decode);
        }
    }
}

fn check(file: &Path, what: &str, bytes: &[u8], decode: fn(&[u8])) {
    let outcome = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
    assert!(outcome.is_ok(), "{}, {what}: {}", file.display(), bytes.escape_ascii());
}

/// The same ones in every run, spread over the whole file.
fn mutations(seed: &[u8], count: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    let step = seed.len().div_ceil(count).max(1);
    seed.iter().enumerate().step_by(step).enumerate().map(|(number, (at, byte))| {
        let mut mutated = seed.to_vec();
        let what = match number % 4 {
            0 => {
                mutated.truncate(at);
                format!("cut to {at} bytes")
            }
            1 => {
                mutated.insert(at, *byte);
                format!("byte {at} doubled")
            }
            _ => {
                let bit = number / 2 % 8;
                mutated[at] ^= 1 << bit;
                format!("bit {bit} of byte {at} flipped")
            }
        };
        (what, mutated)
    })
}

#[test]
fn notes_that_parse_are_spelled_as_they_would_be_written() {
    run("note", 400, decoders::note);
}

#[test]
fn proofs_that_parse_are_spelled_as_they_would_be_written() {
    run("proof", 200, decoders::proof);
}

#[test]
fn a_cursor_says_only_what_its_checksums_confirm() {
    run("cursor", 1_000, decoders::cursor);
}

#[test]
fn whatever_a_segment_holds_its_readers_agree_and_end() {
    run("segment", 40, decoders::segment);
}

#[test]
fn whatever_became_of_a_ring_recovery_invents_and_repeats_nothing() {
    run("ring", 12, decoders::ring);
}

#[test]
fn a_question_reads_back_and_finds_no_line_that_a_search_passes_over() {
    run("query", 300, decoders::query);
}
