//! Check of everything that reads segments, plain and compressed.

use std::fs;
use std::path::Path;

use auditx_core::{LogLevel, RecordedEntry, StoredEntry};
use auditx_reader::{Answer, Line, Lines, VerifyOptions, inspect, verify};
use auditx_store::console_line;
use auditx_store::{AUDITX_DIR, TrailReader, checkpoint_path};
use auditx_tlog::{CompactRange, Hash, SignedCheckpoint, leaf_of};
use tempfile::TempDir;

use crate::log::CheckpointSigner;

/// The magic number of a Zstandard frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Reads the bytes as an active segment and, if they begin with the magic number of Zstandard, as a sealed
/// one. Checks that all readers find the same lines, and that only signed lines verify.
///
/// # Panics
/// If one of this is violated.
pub fn segment(bytes: &[u8]) {
    read("audit.jsonl", bytes);
    if bytes.starts_with(&ZSTD_MAGIC) {
        read("audit-00000000000000000000.jsonl.zst", bytes);
    }
}

fn read(name: &str, bytes: &[u8]) {
    let directory = directory();
    fs::write(directory.path().join(name), bytes).expect("a temporary directory takes a file");
    let (lines, is_whole) = lines(directory.path());
    lines.iter().for_each(entry);
    same_in_core(directory.path(), &lines);
    let inspection = inspect(directory.path(), &mut |_, _| ()).expect("inspecting a damaged trail succeeds");
    if is_whole {
        let last: Vec<Line> = Lines::last(directory.path(), 3)
            .expect("the last lines of a readable trail are found")
            .map(|line| line.expect("a readable line is read again"))
            .collect();
        let before = lines.len().saturating_sub(3);
        assert!(last.iter().map(Line::bytes).eq(lines[before..].iter().map(Line::bytes)));
        let count = inspection.entries + inspection.unreadable_lines;
        assert_eq!(count, lines.len() as u64, "{inspection:?}");
    }
    verifies(directory.path(), &lines);
}

/// Verifies without a checkpoint, with one over these lines, and with one over other lines: only signed lines
/// may pass.
fn verifies(directory: &Path, lines: &[Line]) {
    assert_ne!(answer(directory, VerifyOptions::new()), Some(Answer::Intact), "the trail is not signed");
    let mut signed = CompactRange::new(0);
    lines.iter().filter_map(|line| leaf_of(line.bytes())).for_each(|leaf| signed.push(leaf.hash));
    let (size, Some(root)) = (signed.end(), signed.root()) else { return };
    let checkpoint_signer = CheckpointSigner::published("erp.example.com/auditx/9f0c");
    let own = directory.join(AUDITX_DIR);
    fs::create_dir(&own).expect("a temporary directory takes another");
    for (size, root) in [(size, root), (size / 2 + 1, Hash::default())] {
        let note = checkpoint_signer.note(size, &root);
        fs::write(checkpoint_path(directory), &note).expect("a temporary directory takes a file");
        let known = SignedCheckpoint::parse(note.as_bytes()).expect("the note parses");
        let options = VerifyOptions::new().key(checkpoint_signer.verifier().clone()).known(known);
        let answer = answer(directory, options);
        assert!(answer != Some(Answer::Intact) || root != Hash::default(), "{note}");
    }
}

/// Returns the answer of the verification; `None` if it fails, which is no fault as long as it does not
/// panic.
fn answer(directory: &Path, options: VerifyOptions) -> Option<Answer> {
    verify(directory, &options.threads(1), &mut |_, _| ()).ok().map(|verification| verification.answer)
}

/// Creates a temporary directory, in memory if possible: a fuzzer creates thousands per second.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let created = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    created.expect("a temporary directory can be created")
}

/// Returns every readable line, and whether all lines were readable.
fn lines(directory: &Path) -> (Vec<Line>, bool) {
    let (mut lines, mut is_whole) = (Vec::new(), true);
    for line in Lines::all(directory).expect("a directory can be listed") {
        match line {
            Ok(line) => lines.push(line),
            Err(_) => is_whole = false,
        }
    }
    (lines, is_whole)
}

fn entry(line: &Line) {
    if let Ok(entry) = RecordedEntry::from_line(line.bytes()) {
        assert_eq!(line.seq(), Some(entry.seq()));
        let stored = entry.parse();
        if let (Some(level), Ok(stored)) = (entry.level(), &stored) {
            assert_eq!(stored.level.parse().ok(), Some(level), "{}", entry.line());
        }
    }
    if let Ok(stored) = line.parse() {
        let text = console_line(&stored, true);
        let mut plain = StoredEntry::default();
        plain.level = stored.level.parse::<LogLevel>().map_or_else(|_| String::new(), |_| stored.level);
        plain.erased = if stored.erased.is_empty() { String::new() } else { "0".repeat(64) };
        assert_eq!(
            controls(&text),
            controls(&console_line(&plain, true)),
            "control characters other than colours and the newline: {text:?}"
        );
    }
}

/// Returns the control characters in a text.
fn controls(text: &str) -> String {
    let is_bidirectional = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| c.is_control() || is_bidirectional(*c)).collect()
}

/// Checks that the reader in auditx-core finds the same lines, with consecutive seqs, until it fails or ends.
fn same_in_core(directory: &Path, lines: &[Line]) {
    let mut reader = TrailReader::new(directory, 0);
    let mut lines = lines.iter();
    let mut last = None;
    while let Ok(Some((seq, line))) = reader.next_line() {
        assert!(last.is_none_or(|last: u64| last.checked_add(1) == Some(seq)), "{seq} after {last:?}");
        last = Some(seq);
        assert!(lines.any(|other| other.bytes() == line), "only the reader of auditx-core finds line {seq}");
    }
}
