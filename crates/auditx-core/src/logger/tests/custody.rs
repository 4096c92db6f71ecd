//! Key rotation, erasure, retirement and replacing a trail, including processes that die in the middle.

use auditx_store::checkpoint_history;
use auditx_store::key_source::KeySource;
use auditx_store::testing::stage_key;
use auditx_store::{Cursor, Dir, sealed_segments, shipper_positions};
use auditx_tlog::{CompactRange, SignedCheckpoint, SigningKey, erased_line, hash_from_hex, leaf_of};

use super::checkpoints::checked;
use super::kill_points::run_child;
use super::*;

fn config(directory: &Path) -> Config {
    Config::new(directory).max_file_bytes(65_535)
}

fn fill(logger: &AuditLogger, count: usize) {
    for number in 0..count {
        logger.log(format!("entry {number} {}", "x".repeat(2_000))).record().unwrap();
    }
}

fn control_records(directory: &Path, kind: &str) -> Vec<(u64, serde_json::Map<String, serde_json::Value>)> {
    let own = entries(directory).into_iter().filter_map(|entry| Some((entry.seq, entry.control_record?)));
    own.filter(|(_, record)| record["kind"] == kind).collect()
}

#[test]
fn both_keys_sign_the_boundary_of_a_rotation() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    logger.log("before").record().unwrap();
    let change = logger.rotate_key(&KeySource::Trail).unwrap();
    assert_ne!(change.old, change.new);
    assert_eq!(logger.verifier_key().unwrap(), change.new);
    let boundary = checked(&logger);
    let (seq, record) = control_records(directory.path(), "key").pop().unwrap();
    assert_eq!((boundary.size(), &record["old"]), (seq + 1, &json!(change.old.to_string())));
    assert_eq!(record["new"], change.new.to_string());
    let kept = fs::read(checkpoint_history(directory.path()).join(boundary.size().to_string())).unwrap();
    let kept = SignedCheckpoint::parse(&kept).unwrap();
    assert_eq!(kept.verify(&[change.old.clone(), change.new.clone()]).unwrap().len(), 2);

    logger.log("after").record().unwrap();
    logger.close(TIMEOUT).unwrap();
    checked(&logger).verify(&[change.old]).unwrap_err();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    assert_eq!(logger.verifier_key().unwrap(), change.new);

    let key = SigningKey::generate();
    let path = directory.path().join("elsewhere.pem");
    fs::write(&path, key.to_pem()).unwrap();
    let elsewhere = KeySource::File(path);
    logger.rotate_key(&elsewhere).unwrap();
    assert!(logger.rotate_key(&elsewhere).unwrap_err().is_invalid(), "it is the current key");
    logger.close(TIMEOUT).unwrap();
    assert!(AuditLogger::open(config(directory.path())).unwrap_err().is_signing());
    drop(AuditLogger::open(config(directory.path()).signing_key(elsewhere)).unwrap());
}

#[test]
fn a_trail_opens_after_a_crash_during_key_rotation() {
    let directory = tempfile::tempdir().unwrap();
    let own = Dir::from(directory.path());
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    let old = logger.verifier_key().unwrap();
    logger.close(TIMEOUT).unwrap();
    // Before anything was signed with the next key: the old key is used.
    stage_key(&own, &SigningKey::generate()).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    assert_eq!(logger.verifier_key().unwrap(), old);

    // After both keys have signed, before the next one is installed: the next key is used.
    let before = fs::read(own.join(".auditx/keys/signing.pem")).unwrap();
    let change = logger.rotate_key(&KeySource::Trail).unwrap();
    logger.close(TIMEOUT).unwrap();
    fs::rename(own.join(".auditx/keys/signing.pem"), own.join(".auditx/keys/next.pem")).unwrap();
    fs::write(own.join(".auditx/keys/signing.pem"), before).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    assert_eq!(logger.verifier_key().unwrap(), change.new);
    assert!(!own.join(".auditx/keys/next.pem").exists());
}

const ERASING: &str = "AUDITX_TEST_ERASING";

/// Runs in the child process: records an entry and erases it.
#[test]
fn erasing_child() {
    let Ok(directory) = std::env::var(ERASING) else { return };
    let logger = AuditLogger::open(config(Path::new(&directory))).unwrap();
    let seq = logger.log("by Ko Hidden").record().unwrap().wait_durable().unwrap().seq;
    logger.erase(seq, "request of the person").unwrap();
}

#[test]
fn a_repeated_erasure_overwrites_what_a_killed_one_left_in_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let point = "erase: files replaced#1";
    let child = "logger::tests::custody::erasing_child";
    let (output, was_killed) = run_child(child, ERASING, directory.path(), point);
    assert!(was_killed, "{output}");
    let holds_text = || {
        let ring = fs::read(directory.path().join(".auditx/ring")).unwrap();
        memchr::memmem::find(&ring, b"Ko Hidden").is_some()
    };
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    assert!(holds_text(), "recovery does not overwrite it");
    assert!(logger.erase(2, "again").unwrap_err().to_string().contains("already"));
    assert!(!holds_text());
    logger.close(TIMEOUT).unwrap();
}

#[test]
fn an_erased_line_leaves_its_hash_and_no_text() {
    for compression in [Compression::None, Compression::Zstd] {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(config(directory.path()).compression(compression)).unwrap();
        logger.log_security("Login failed").user("Daw Khin Secret").success(false).record().unwrap();
        fill(&logger, 100);
        let in_active = logger.log("by Ko Hidden").record().unwrap().wait_durable().unwrap();
        logger.flush(TIMEOUT).unwrap();
        let hash = entries(directory.path()).len() as u64;
        for (seq, erased_text) in [(2, "Daw Khin Secret"), (in_active.seq, "Ko Hidden")] {
            let mut reader = TrailReader::new(directory.path(), seq);
            let before = leaf_of(reader.next_line().unwrap().unwrap().1).unwrap().hash;
            assert_eq!(logger.erase(seq, "request of the person, ticket 7").unwrap(), before);
            let mut reader = TrailReader::new(directory.path(), seq);
            let (_, line) = reader.next_line().unwrap().unwrap();
            assert_eq!(std::str::from_utf8(line).unwrap(), erased_line(seq, &before));
            let (record_seq, record) = control_records(directory.path(), "erased").pop().unwrap();
            assert_eq!(
                (record["seq"].as_u64(), record["reason"].as_str()),
                (Some(seq), Some("request of the person, ticket 7"))
            );
            assert_eq!(hash_from_hex(record["leaf_hash"].as_str().unwrap()), Some(before));
            assert!(checked(&logger).size() > record_seq);
            let stub = entries(directory.path()).swap_remove(usize::try_from(seq).unwrap());
            assert!(auditx_store::console_line(&stub, true).contains(&format!("(erased)  line {seq}")));
            assert!(
                !entries(directory.path()).iter().any(|entry| format!("{entry:?}").contains(erased_text))
            );
            assert!(!text(directory.path().join("security.jsonl")).contains(erased_text));
            let ring = fs::read(directory.path().join(".auditx/ring")).unwrap();
            assert!(
                memchr::memmem::find(&ring, erased_text.as_bytes()).is_none(),
                "the journal still contains the text"
            );
        }
        assert!(entries(directory.path()).len() as u64 > hash);
        assert!(logger.erase(2, "again").unwrap_err().to_string().contains("already"));
        assert!(logger.erase(0, "genesis").unwrap_err().is_invalid());
        assert!(logger.erase(1_000_000, "none").unwrap_err().is_invalid());
        assert!(logger.erase(3, " ").unwrap_err().is_invalid());
        logger.log_security("Login failed").user("after").success(false).record().unwrap();
        logger.close(TIMEOUT).unwrap();
        let security = text(directory.path().join("security.jsonl"));
        assert_eq!(security.lines().count(), 2, "{security}");
        assert!(security.contains("\"after\"") && security.contains("\"erased\""));
        checked(&logger);
        drop(AuditLogger::open(config(directory.path())).unwrap());
    }
}

#[test]
fn a_killed_erasure_is_finished_by_repeating_it() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).compression(Compression::None)).unwrap();
    logger.log_security("Login failed").user("Daw Khin Secret").success(false).record().unwrap();
    fill(&logger, 50);
    logger.flush(TIMEOUT).unwrap();
    let projection = directory.path().join("security.jsonl");
    let before = text(projection.clone());
    let hash = logger.erase(2, "asked for").unwrap();
    // The process died after it rewrote the segment and before it rewrote the projection.
    fs::write(&projection, before).unwrap();
    assert_eq!(logger.erase(2, "asked for").unwrap(), hash);
    assert!(!text(projection).contains("Secret"));
    assert!(
        logger.erase(2, "asked for").unwrap_err().to_string().contains("already"),
        "the erasure is complete"
    );
    logger.close(TIMEOUT).unwrap();
    checked(&logger);
}

#[test]
fn an_erasure_removes_leftover_copies_of_the_segment() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).compression(Compression::None)).unwrap();
    logger.log("by Daw Khin Secret").record().unwrap();
    fill(&logger, 50);
    logger.flush(TIMEOUT).unwrap();
    let plain = fs::read(directory.path().join("audit-00000000000000000000.jsonl")).unwrap();
    let copies = ["audit-00000000000000000000.jsonl.zst", "audit-00000000000000000000.jsonl.zst.tmp"];
    for copy in copies {
        fs::write(directory.path().join(copy), zstd::encode_all(&*plain, 1).unwrap()).unwrap();
    }
    logger.erase(2, "asked for").unwrap();
    for copy in copies {
        assert!(!directory.path().join(copy).exists(), "{copy}");
    }
}

#[test]
fn a_retired_segment_leaves_its_frontier() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    fill(&logger, 150);
    logger.flush(TIMEOUT).unwrap();
    let count = sealed_segments(directory.path()).unwrap().len();
    assert!(count > 3);
    let retired = logger.retire(Retention::BackupCount(2)).unwrap();
    assert_eq!((retired.segments.len(), retired.held_by), (count - 2, None));
    logger.close(TIMEOUT).unwrap();
    let remaining = sealed_segments(directory.path()).unwrap();
    assert_eq!(remaining.len(), 2);
    let (_, record) = control_records(directory.path(), "retired").pop().unwrap();
    let first = remaining[0].first_seq;
    assert_eq!(record["last_seq"].as_u64(), Some(first - 1));
    let hashes: Vec<_> = record["frontier"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| hash_from_hex(hash.as_str().unwrap()).unwrap())
        .collect();
    let mut tree = CompactRange::frontier(first, &hashes).unwrap();
    assert_eq!(hash_from_hex(record["root"].as_str().unwrap()), tree.root());
    let mut reader = TrailReader::new(directory.path(), 0);
    while let Some((_, line)) = reader.next_line().unwrap() {
        tree.push(leaf_of(line).unwrap().hash);
    }
    let latest =
        SignedCheckpoint::parse(&fs::read(auditx_store::checkpoint_path(directory.path())).unwrap()).unwrap();
    assert_eq!(
        (latest.size(), Some(*latest.root())),
        (tree.end(), tree.root()),
        "the remaining lines still lead to the signed root"
    );

    // Also without the tile cache.
    fs::remove_dir_all(directory.path().join(".auditx/tiles")).unwrap();
    drop(AuditLogger::open(config(directory.path())).unwrap());
}

#[test]
fn a_segment_that_a_follower_has_not_read_is_not_retired() {
    let directory = tempfile::tempdir().unwrap();
    let stuck = config(directory.path()).on_audit("copy", |_| Err("away".into()));
    AuditLogger::open(stuck).unwrap().close(TIMEOUT).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    fill(&logger, 100);
    logger.flush(TIMEOUT).unwrap();
    let retired = logger.retire(Retention::BackupCount(0)).unwrap();
    assert_eq!((retired.segments.len(), retired.held_by.as_deref()), (0, Some("copy")));
    fs::remove_file(directory.path().join(".auditx/cursors/copy")).unwrap();
    assert!(logger.retire(Retention::BackupCount(0)).unwrap().segments.len() > 1);
}

#[test]
fn retention_waits_for_shippers() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    fill(&logger, 200);
    logger.close(TIMEOUT).unwrap();
    let second = sealed_segments(directory.path()).unwrap()[1].first_seq;
    let mut cursor = Cursor::of_shipper(directory.path(), "postgres-db-5432-audit").unwrap();
    cursor.advance(second + 1);
    cursor.save().unwrap();
    let logger = AuditLogger::open(config(directory.path()).retention(Retention::BackupCount(0))).unwrap();
    wait_until(|| logger.metrics().retired > 0);
    logger.flush(TIMEOUT).unwrap();
    assert_eq!(sealed_segments(directory.path()).unwrap()[0].first_seq, second);
    cursor.advance(u64::MAX);
    cursor.save().unwrap();
    // The maintenance thread checks when a segment is sealed.
    fill(&logger, 40);
    wait_until(|| {
        sealed_segments(directory.path()).unwrap().first().is_none_or(|segment| segment.first_seq > second)
    });
    logger.close(TIMEOUT).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    let refusal = logger.drop_shipping("postgres").unwrap_err();
    assert!(refusal.is_invalid() && refusal.to_string().contains("postgres-db-5432-audit"), "{refusal}");
    assert_eq!(logger.drop_shipping("postgres-db-5432-audit").unwrap(), u64::MAX);
    let (seq, record) = control_records(directory.path(), "shipping_dropped").pop().unwrap();
    assert_eq!(record["destination"], "postgres-db-5432-audit");
    assert!(logger.checkpoint().unwrap().size() > seq, "the record is signed before the cursor is removed");
    assert!(shipper_positions(directory.path()).unwrap().is_empty());
    assert!(Cursor::of_shipper(directory.path(), "../db").unwrap_err().is_invalid());
}

#[test]
fn a_tampered_trail_is_set_aside_and_named_by_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    fill(&logger, 100);
    logger.close(TIMEOUT).unwrap();
    assert!(
        AuditLogger::replace_corrupt(config(directory.path())).unwrap_err().is_invalid(),
        "the trail is intact"
    );
    let active = directory.path().join("audit.jsonl");
    let latest = fs::read_to_string(auditx_store::checkpoint_path(directory.path())).unwrap();
    fs::write(&active, "").unwrap();
    assert!(AuditLogger::open(config(directory.path())).unwrap_err().is_corrupt());

    let (logger, moved_to) = AuditLogger::replace_corrupt(config(directory.path())).unwrap();
    logger.log("new trail").record().unwrap();
    logger.close(TIMEOUT).unwrap();
    assert_eq!(kinds(directory.path()), ["genesis", "open", "new trail", "close"]);
    checked(&logger);
    let (_, genesis) = control_records(directory.path(), "genesis").pop().unwrap();
    assert_eq!(genesis["previous"]["note"], latest);
    assert_eq!(moved_to, directory.path().join(genesis["previous"]["moved_to"].as_str().unwrap()));
    assert!(genesis["previous"]["why"].as_str().unwrap().contains("ends before line"));
    assert!(sealed_segments(&moved_to).unwrap().len() > 1, "the old trail is kept");
    assert_eq!(fs::read_to_string(auditx_store::checkpoint_path(&moved_to)).unwrap(), latest);
    drop(AuditLogger::open(config(directory.path())).unwrap());
}
