//! When checkpoints are signed, what they cover, and what happens if signing fails.

use std::sync::atomic::AtomicBool;

use auditx_store::TrailReader;
use auditx_store::testing::FaultyDisk;
use auditx_store::{checkpoint_history, checkpoint_path};
use auditx_tlog::{CompactRange, Hash, SignedCheckpoint, Signer, SigningKey, leaf_of};

use super::*;
use crate::{Cadence, Durability};

/// Computes the root of the first `size` lines from the files.
pub(super) fn root_of(directory: &Path, size: u64) -> Hash {
    let mut reader = TrailReader::new(directory, 0);
    let mut range = CompactRange::new(0);
    while range.end() < size {
        let (_, line) = reader.next_line().unwrap().expect("all signed lines exist");
        range.push(leaf_of(line).unwrap().hash);
    }
    range.root().unwrap()
}

/// Returns the latest checkpoint on disk, after verifying its signature and its root.
pub(super) fn checked(logger: &AuditLogger) -> SignedCheckpoint {
    let directory = logger.trail_dir().unwrap();
    let checkpoint = SignedCheckpoint::parse(&fs::read(checkpoint_path(directory)).unwrap()).unwrap();
    checkpoint.verify(&[logger.verifier_key().unwrap()]).unwrap();
    assert_eq!(*checkpoint.root(), root_of(directory, checkpoint.size()));
    checkpoint
}

fn often() -> Cadence {
    Cadence::new(Duration::from_millis(20), 1_000_000)
}

#[test]
fn a_new_trail_is_signed_and_its_genesis_contains_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path()).origin("erp.example.com")).unwrap();
    let checkpoint = checked(&logger);
    assert_eq!(checkpoint.size(), 2);
    let mut reader = TrailReader::new(directory.path(), 0);
    let (_, line) = reader.next_line().unwrap().unwrap();
    let genesis = RecordedEntry::from_line(line).unwrap().parse().unwrap().control_record.unwrap();
    assert_eq!(genesis["key"], logger.verifier_key().unwrap().to_string());
    assert_eq!(
        checkpoint.origin(),
        format!("erp.example.com/auditx/{}", genesis["trail_id"].as_str().unwrap())
    );
}

#[test]
fn every_durability_signs_all_recorded_entries() {
    for durability in [Durability::Os, Durability::Interval(Duration::from_millis(1)), Durability::EveryEntry]
    {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::new(directory.path()).durability(durability).checkpoints(often());
        let logger = AuditLogger::open(config).unwrap();
        for number in 0..300 {
            logger.log(format!("entry {number}")).record().unwrap();
        }
        wait_until(|| logger.metrics().signed == 302);
        assert_eq!(checked(&logger).size(), 302, "{durability:?}");
        let signed = logger.metrics().checkpoints;
        logger.log("one more").record().unwrap();
        wait_until(|| logger.metrics().signed == 303);
        assert!(logger.metrics().checkpoints > signed);
        logger.close(TIMEOUT).unwrap();
        assert_eq!(checked(&logger).size(), 304);
        assert!(
            checkpoint_history(directory.path()).join("304").is_file(),
            "the end of a session is a boundary"
        );
    }
}

#[test]
fn an_idle_trail_writes_heartbeats() {
    let directory = tempfile::tempdir().unwrap();
    let cadence = often().heartbeat(Duration::from_secs(1));
    let logger = AuditLogger::open(Config::new(directory.path()).checkpoints(cadence)).unwrap();
    let begin = Instant::now();
    logger.log("x").record().unwrap();
    wait_until(|| logger.metrics().signed >= 5);
    logger.close(TIMEOUT).unwrap();
    let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap();
    let kinds = kinds(directory.path());
    let heartbeats = kinds.iter().filter(|kind| *kind == "heartbeat").count();
    assert_eq!(kinds[..3], ["genesis", "open", "x"]);
    assert!((2..=seconds).contains(&heartbeats) && kinds.len() == heartbeats + 4, "{kinds:?} in {seconds} s");
    let checkpoints = usize::try_from(logger.metrics().checkpoints).unwrap();
    assert!(
        checkpoints <= heartbeats + 3,
        "{checkpoints} checkpoints for one entry and {heartbeats} heartbeats"
    );
}

#[test]
fn the_entry_limit_triggers_a_checkpoint_that_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let cadence = Cadence::new(Duration::from_secs(2), 100);
    let config =
        Config::new(directory.path()).checkpoints(cadence).durability(Durability::Interval(Duration::ZERO));
    let logger = AuditLogger::open(config).unwrap();
    let begin = Instant::now();
    while logger.metrics().signed < 2_100 {
        logger.log("x").record().unwrap();
        assert!(begin.elapsed() < TIMEOUT);
    }
    logger.close(TIMEOUT).unwrap();
    let mut reader = TrailReader::new(directory.path(), 0);
    let mut notes = 0;
    while let Some((seq, line)) = reader.next_line().unwrap() {
        let entry = RecordedEntry::from_line(line).unwrap().parse().unwrap();
        let Some(record) = entry.control_record.filter(|record| record["kind"] == "checkpoint") else {
            continue;
        };
        let note = SignedCheckpoint::parse(record["note"].as_str().unwrap().as_bytes()).unwrap();
        note.verify(&[logger.verifier_key().unwrap()]).unwrap();
        assert!(record["size"] == note.size() && note.size() <= seq);
        assert_eq!(*note.root(), root_of(directory.path(), note.size()));
        notes += 1;
    }
    assert!(notes >= 2, "{notes} recorded checkpoints");
}

#[test]
fn each_seal_keeps_a_checkpoint_at_its_boundary() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::new(directory.path()).max_file_bytes(65_535).compression(crate::Compression::None);
    let logger = AuditLogger::open(config).unwrap();
    for _ in 0..200 {
        logger.log("x".repeat(2_000)).record().unwrap();
    }
    logger.close(TIMEOUT).unwrap();
    let sealed = auditx_store::sealed_segments(directory.path()).unwrap();
    assert!(sealed.len() > 3);
    for segment in &sealed[1..] {
        let note =
            fs::read(checkpoint_history(directory.path()).join(segment.first_seq.to_string())).unwrap();
        let note = SignedCheckpoint::parse(&note).unwrap();
        note.verify(&[logger.verifier_key().unwrap()]).unwrap();
        assert_eq!(
            (note.size(), *note.root()),
            (segment.first_seq, root_of(directory.path(), segment.first_seq))
        );
    }
}

/// A signer that can be made unavailable.
#[derive(Debug, Clone)]
struct SwitchableSigner {
    key: SigningKey,
    is_unavailable: Arc<AtomicBool>,
}

impl Signer for SwitchableSigner {
    fn public_key(&self) -> [u8; 32] {
        self.key.public_key()
    }

    fn sign(&self, message: &[u8]) -> std::result::Result<[u8; 64], crate::HookError> {
        if self.is_unavailable.load(Ordering::SeqCst) {
            Err("the HSM is unavailable".into())
        } else {
            self.key.sign(message)
        }
    }
}

#[test]
fn entries_are_signed_once_the_signer_is_available_again() {
    let directory = tempfile::tempdir().unwrap();
    let signer = SwitchableSigner { key: SigningKey::generate(), is_unavailable: Arc::default() };
    let config = Config::new(directory.path()).checkpoints(often()).signer(signer.clone());
    let logger = AuditLogger::open(config.clone()).unwrap();
    signer.is_unavailable.store(true, Ordering::SeqCst);
    logger.log("x").record().unwrap().wait_durable().unwrap();
    wait_until(|| logger.metrics().checkpoint_failures >= 2);
    assert_eq!(checked(&logger).size(), 2);
    assert!(text(directory.path().join("app.log")).contains("the HSM is unavailable"));
    signer.is_unavailable.store(false, Ordering::SeqCst);
    wait_until(|| logger.metrics().signed == 3);
    signer.is_unavailable.store(true, Ordering::SeqCst);
    assert!(logger.close(TIMEOUT).unwrap_err().is_signing(), "close reports that its end is not signed");
    signer.is_unavailable.store(false, Ordering::SeqCst);

    let logger = AuditLogger::open(config).unwrap();
    logger.close(TIMEOUT).unwrap();
    assert_eq!(
        kinds(directory.path()),
        ["genesis", "open", "x", "close", "recovered", "open", "checkpoint", "close"]
    );
    assert_eq!(checked(&logger).size(), 8);
}

#[test]
fn a_key_that_did_not_sign_the_trail_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(AuditLogger::open(Config::new(directory.path()).signer(SigningKey::generate())).unwrap());
    let error = AuditLogger::open(Config::new(directory.path()).signer(SigningKey::generate())).unwrap_err();
    assert!(error.is_signing() && error.to_string().contains("another key"), "{error}");
    assert!(
        AuditLogger::open(Config::new(directory.path())).unwrap_err().is_storage(),
        "no key in the trail"
    );
}

#[test]
fn a_checkpoint_is_published_after_its_lines_are_synced() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let config = Config::new(directory.path()).checkpoints(often());
    let logger = AuditLogger::open_on(config, Arc::new(disk.clone())).unwrap();
    logger.log("x").record().unwrap();
    wait_until(|| logger.metrics().signed == 3);
    let operations = disk.0.operations.lock().unwrap().clone();
    let at = |what: &str, from: usize| {
        from + operations[from..]
            .iter()
            .position(|operation| operation == what)
            .unwrap_or_else(|| panic!("{what} in {operations:?}"))
    };
    // The first two lines, their fdatasync, their checkpoint; then the same for the third line.
    let mut position = 0;
    for _ in 0..2 {
        position = at("append audit.jsonl", position);
        position = at("sync audit.jsonl", position);
        position = at("replace checkpoint", position);
    }

    disk.0.fail_replace.store(true, Ordering::SeqCst);
    logger.log("y").record().unwrap();
    wait_until(|| logger.metrics().checkpoint_failures > 0);
    assert_eq!(
        (checked(&logger).size(), logger.metrics().signed),
        (3, 3),
        "a checkpoint that is not on disk is not published"
    );
    disk.0.fail_replace.store(false, Ordering::SeqCst);
    wait_until(|| logger.metrics().signed == 4);
}

#[test]
fn after_a_failed_sync_nothing_more_is_signed() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let config = Config::new(directory.path()).checkpoints(often());
    let logger = AuditLogger::open_on(config, Arc::new(disk.clone())).unwrap();
    disk.0.fail_sync.store(true, Ordering::SeqCst);
    let receipt = logger.log("x").record().unwrap();
    assert!(receipt.wait_durable().unwrap_err().is_storage());
    disk.0.fail_sync.store(false, Ordering::SeqCst);
    assert!(logger.close(TIMEOUT).is_err());
    assert_eq!(checked(&logger).size(), 2);
}
