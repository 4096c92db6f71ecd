//! Check of recovery with a damaged ring and a damaged active segment.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use auditx_core::{AuditLogger, Cadence, Compression, Config, JournalKind};
use auditx_reader::{Answer, VerifyOptions, verify};
use auditx_store::checkpoint_path;
use auditx_tlog::SignedCheckpoint;
use tempfile::TempDir;

use crate::trail::entries;

/// The offset of the word that holds the position up to which the ring was released; see docs/FORMAT.md.
const HEAD: usize = 0x100;
const RECORDS: usize = 4_096;
const ENTRIES: u64 = 60;

/// A trail with signed and unsigned lines, whose ring still holds every entry.
struct Template {
    directory: TempDir,
    ring: Vec<u8>,
    segment: Vec<u8>,
}

/// Decodes the bytes as changes of five bytes each: an offset in the ring or in the unsigned lines, and the
/// new value. Applies them to a trail and recovers it.
///
/// # Panics
/// If recovery invents or repeats an entry, or the trail does not verify afterwards.
pub fn ring(bytes: &[u8]) {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    let template = TEMPLATE.get_or_init(Template::new);
    let left = tempfile::tempdir().expect("a temporary directory");
    copy(template.directory.path(), left.path());
    let (mut ring, mut segment) = (template.ring.clone(), template.segment.clone());
    for change in bytes.chunks_exact(5) {
        let at = usize::from(change[0]) | usize::from(change[1]) << 8 | usize::from(change[2]) << 16;
        let (offset, value) = (at >> 1, change[3].rotate_left(u32::from(change[4])));
        match at & 1 {
            // The header, the words after it, and the records in use.
            0 => ring[offset % (RECORDS + 64 * 1024)] = value,
            _ => {
                let signed = segment.len() / 2;
                let len = segment.len() - signed;
                // What a power loss may leave: bytes that were not written, or the end of another line.
                segment[signed + offset % len] = if value & 1 == 0 { 0 } else { b'\n' };
            }
        }
    }
    fs::write(left.path().join(".auditx/ring"), ring).expect("a ring");
    fs::write(left.path().join("audit.jsonl"), segment).expect("a segment");
    recover(left.path());
}

fn recover(directory: &Path) {
    // If signed lines were changed, opening fails and changes nothing.
    let Ok(logger) = AuditLogger::open(config(directory)) else { return };
    logger.close(Duration::from_secs(60)).expect("a trail that opened closes");
    let numbers: Vec<u64> =
        entries(directory).iter().filter_map(|line| line.description().parse().ok()).collect();
    let once: BTreeSet<u64> = numbers.iter().copied().collect();
    assert_eq!(once.len(), numbers.len(), "repeated: {numbers:?}");
    assert!(once.last().is_none_or(|last| *last < ENTRIES), "invented: {numbers:?}");
    let latest = SignedCheckpoint::parse(&fs::read(checkpoint_path(directory)).expect("a checkpoint"));
    let options = VerifyOptions::new()
        .key(logger.verifier_key().expect("the logger is open"))
        .known(latest.expect("the checkpoint parses"));
    let answer = verify(directory, &options, &mut |_, _| ()).expect("a trail");
    assert_eq!(answer.answer, Answer::Intact, "{answer:?}");
}

fn config(directory: &Path) -> Config {
    Config::new(directory)
        .journal(JournalKind::Ring)
        .journal_bytes(256 * 1024)
        .compression(Compression::None)
        .checkpoints(Cadence::new(Duration::from_secs(3_600), 1_000_000))
}

impl Template {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let logger = AuditLogger::open(config(directory.path())).expect("a trail");
        for number in 0..ENTRIES {
            let entry = logger.log(number.to_string()).metadata("pad", "x".repeat(300));
            entry.record().expect("an entry");
        }
        logger.flush(Duration::from_secs(60)).expect("a disk");
        let live = tempfile::tempdir().expect("a temporary directory");
        copy(directory.path(), live.path());
        logger.close(Duration::from_secs(60)).expect("a trail that closes");
        let mut ring = fs::read(live.path().join(".auditx/ring")).expect("a ring");
        ring[HEAD..HEAD + 8].fill(0);
        let segment = fs::read(live.path().join("audit.jsonl")).expect("a segment");
        Self { directory: live, ring, segment }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            fs::create_dir_all(&target).expect("a directory");
            copy(&path, &target);
        } else {
            fs::copy(&path, target).expect("a copy");
        }
    }
}
