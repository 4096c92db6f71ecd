//! Runs every decoder over its corpus, and over variants of each file with bytes flipped, cut off and
//! doubled. `cargo xtask fuzz` starts from the same files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use auditx_tests::decoders;

/// Decodes each file of a corpus, and `changes` variants of it.
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

/// Returns variants of a file, with changes spread over the whole file. They are the same in every run.
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
fn parsed_notes_are_printed_as_the_same_bytes() {
    run("note", 400, decoders::note);
}

#[test]
fn parsed_proofs_are_printed_as_the_same_bytes() {
    run("proof", 200, decoders::proof);
}

#[test]
fn a_cursor_is_read_only_if_its_checksum_is_right() {
    run("cursor", 1_000, decoders::cursor);
}

#[test]
fn all_readers_of_a_segment_agree() {
    run("segment", 40, decoders::segment);
}

#[test]
fn recovery_from_a_damaged_ring_invents_and_repeats_nothing() {
    run("ring", 12, decoders::ring);
}

#[test]
fn a_query_reads_back_and_skips_no_matching_line() {
    run("query", 300, decoders::query);
}

#[test]
fn a_time_stamp_is_valid_for_nothing_else() {
    run("stamp", 4_000, decoders::stamp);
}
