//! Segments, plain and compressed, through everything that reads a trail.

use std::fs;
use std::path::Path;

use auditx_core::{
    AUDITX_DIR, CompactRange, Hash, LogLevel, RecordedEntry, SignedCheckpoint, StoredEntry, TrailReader,
    checkpoint_path, for_people, leaf_of,
};
use auditx_reader::{Answer, Line, Lines, VerifyOptions, inspect, verify};
use tempfile::TempDir;

use crate::log::CheckpointSigner;

/// How a Zstandard frame begins.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The bytes as an active segment and, where they begin as a Zstandard file does, as a sealed one: every reader ends, and
/// what one of them says of a line is what the others say.
///
/// # Panics
/// Where that is not so.
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
    let inspection = inspect(directory.path(), &mut |_, _| ()).expect("what is wrong in a trail is no error");
    if is_whole {
        let last: Vec<Line> = Lines::last(directory.path(), 3)
            .expect("the last lines of a trail that can be read can be found")
            .map(|line| line.expect("a line that was read can be read again"))
            .collect();
        let before = lines.len().saturating_sub(3);
        assert!(last.iter().map(Line::bytes).eq(lines[before..].iter().map(Line::bytes)));
        let count = inspection.entries + inspection.unreadable_lines;
        assert_eq!(count, lines.len() as u64, "{inspection:?}");
    }
    verifies(directory.path(), &lines);
}

/// Verified without a checkpoint, with one over the very lines, and with one over others: only what was signed may pass.
fn verifies(directory: &Path, lines: &[Line]) {
    assert_ne!(answer(directory, VerifyOptions::new()), Some(Answer::Intact), "nobody signed it");
    let mut signed = CompactRange::new(0);
    lines.iter().filter_map(|line| leaf_of(line.bytes())).for_each(|leaf| signed.push(leaf.hash));
    let (size, Some(root)) = (signed.end(), signed.root()) else { return };
    let checkpoint_signer = CheckpointSigner::published("erp.example.com/auditx/9f0c");
    let own = directory.join(AUDITX_DIR);
    fs::create_dir(&own).expect("a temporary directory takes another");
    for (size, root) in [(size, root), (size / 2 + 1, Hash::default())] {
        let note = checkpoint_signer.note(size, &root);
        fs::write(checkpoint_path(directory), &note).expect("a temporary directory takes a file");
        let known = SignedCheckpoint::parse(note.as_bytes()).expect("a note made by hand is one");
        let options = VerifyOptions::new().key(checkpoint_signer.verifier().clone()).known(known);
        let answer = answer(directory, options);
        assert!(answer != Some(Answer::Intact) || root != Hash::default(), "{note}");
    }
}

/// None where it cannot be verified: no panic is what matters then.
fn answer(directory: &Path, options: VerifyOptions) -> Option<Answer> {
    verify(directory, &options.threads(1), &mut |_, _| ()).ok().map(|verification| verification.answer)
}

/// In memory where there is such a place: a fuzzer makes thousands a second.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory can be made")
}

/// Every line, and whether that is all there is.
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
        let text = for_people(&stored);
        let mut plain = StoredEntry::default();
        plain.level = stored.level.parse::<LogLevel>().map_or_else(|_| String::new(), |_| stored.level);
        plain.erased = if stored.erased.is_empty() { String::new() } else { "0".repeat(64) };
        assert_eq!(controls(&text), controls(&for_people(&plain)), "its colours and its newline: {text:?}");
    }
}

/// What a terminal would obey.
fn controls(text: &str) -> String {
    let is_bidirectional = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| c.is_control() || is_bidirectional(*c)).collect()
}

/// The core's reader finds the same lines as far as it goes: numbered without a gap.
fn same_in_core(directory: &Path, lines: &[Line]) {
    let mut reader = TrailReader::new(directory, 0);
    let mut lines = lines.iter();
    let mut last = None;
    while let Ok(Some((seq, line))) = reader.next_line() {
        assert!(last.is_none_or(|last: u64| last.checked_add(1) == Some(seq)), "{seq} after {last:?}");
        last = Some(seq);
        assert!(lines.any(|other| other.bytes() == line), "only the core's reader finds line {seq}");
    }
}
