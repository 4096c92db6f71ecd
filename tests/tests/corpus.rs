//! Every decoder over its corpus, and over each file of it with bytes flipped, cut off and doubled. `cargo xtask fuzz` goes
//! on from the same files for as long as one likes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use auditx_tests::decoders;

/// Changes made to one file.
const MUTATIONS: usize = 96;

fn run(name: &str, decode: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {}", directory.display());
    for file in files {
        let seed = fs::read(&file).unwrap();
        check(&file, "as it is", &seed, decode);
        for (what, mutated) in mutations(&seed) {
            check(&file, &what, &mutated, decode);
        }
    }
}

fn check(file: &Path, what: &str, bytes: &[u8], decode: fn(&[u8])) {
    let outcome = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
    assert!(outcome.is_ok(), "{}, {what}: {}", file.display(), bytes.escape_ascii());
}

/// The same ones in every run, spread over the whole file.
fn mutations(seed: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let step = seed.len().div_ceil(MUTATIONS).max(1);
    seed.iter().enumerate().step_by(step).flat_map(move |(at, byte)| {
        let mut flipped = seed.to_vec();
        flipped[at] = byte ^ 1 << (at / step % 8);
        let mut doubled = seed.to_vec();
        doubled.insert(at, *byte);
        [
            (format!("bit {} of byte {at} flipped", at / step % 8), flipped),
            (format!("cut to {at} bytes"), seed[..at].to_vec()),
            (format!("byte {at} doubled"), doubled),
        ]
    })
}

#[test]
fn notes_that_parse_are_spelled_as_they_would_be_written() {
    run("note", decoders::note);
}

#[test]
fn proofs_that_parse_are_spelled_as_they_would_be_written() {
    run("proof", decoders::proof);
}

#[test]
fn a_cursor_says_only_what_its_checksums_confirm() {
    run("cursor", decoders::cursor);
}

#[test]
fn whatever_a_segment_holds_its_readers_agree_and_end() {
    run("segment", decoders::segment);
}
