//! Keys replaced, lines erased, segments retired, a beginning anew; and processes that die in the middle of it.

use super::checkpoints::checked;
use super::*;
use crate::checkpoint_signer::checkpoint_history;
use crate::key::{KeySource, SigningKey, stage_in_home};
use crate::line::{erased_line, leaf_of};
use crate::{CompactRange, Cursor, SignedCheckpoint, hash_from_hex, sealed_segments, shipper_positions};

fn config(directory: &Path) -> Config {
    Config::new(directory).max_file_bytes(65_535)
}

fn fill(logger: &AuditLogger, count: usize) {
    for number in 0..count {
        logger.log(format!("entry {number} {}", "x".repeat(2_000))).record().unwrap();
    }
}

fn records(directory: &Path, kind: &str) -> Vec<(u64, serde_json::Map<String, serde_json::Value>)> {
    let own = entries(directory).into_iter().filter_map(|entry| Some((entry.seq, entry.control_record?)));
    own.filter(|(_, record)| record["kind"] == kind).collect()
}

#[test]
fn a_key_is_replaced_and_both_sign_the_boundary() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    logger.log("before").record().unwrap();
    let change = logger.rotate_key(&KeySource::Trail).unwrap();
    assert_ne!(change.old, change.new);
    assert_eq!(logger.verifier_key().unwrap(), change.new);
    let boundary = checked(&logger);
    let (seq, record) = records(directory.path(), "key").pop().unwrap();
    assert_eq!((boundary.size(), &record["old"]), (seq + 1, &json!(change.old.to_string())));
    assert_eq!(record["new"], change.new.to_string());
    let kept = fs::read(checkpoint_history(directory.path()).join(boundary.size().to_string())).unwrap();
    let kept = SignedCheckpoint::parse(&kept).unwrap();
    assert_eq!(kept.verify(&[change.old.clone(), change.new.clone()]).unwrap().len(), 2);

    logger.log("after").record().unwrap();
    logger.close(PATIENCE).unwrap();
    checked(&logger).verify(&[change.old]).unwrap_err();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    assert_eq!(logger.verifier_key().unwrap(), change.new);

    let key = SigningKey::generate();
    let path = directory.path().join("elsewhere.pem");
    fs::write(&path, key.to_pem()).unwrap();
    let elsewhere = KeySource::File(path);
    logger.rotate_key(&elsewhere).unwrap();
    assert!(logger.rotate_key(&elsewhere).unwrap_err().is_invalid(), "it signs already");
    logger.close(PATIENCE).unwrap();
    assert!(AuditLogger::open(config(directory.path())).unwrap_err().is_signing());
    drop(AuditLogger::open(config(directory.path()).signing_key(elsewhere)).unwrap());
}

#[test]
fn a_process_that_dies_while_it_replaces_a_key_leaves_a_trail_that_opens() {
    let directory = tempfile::tempdir().unwrap();
    let own = Dir::from(directory.path());
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    let old = logger.verifier_key().unwrap();
    logger.close(PATIENCE).unwrap();
    // Before anything was signed with the next key: the old one goes on.
    stage_in_home(&own, &SigningKey::generate()).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    assert_eq!(logger.verifier_key().unwrap(), old);

    // After both have signed, before the next one is in its place: the next one goes on.
    let before = fs::read(own.join(".auditx/keys/signing.pem")).unwrap();
    let change = logger.rotate_key(&KeySource::Trail).unwrap();
    logger.close(PATIENCE).unwrap();
    fs::rename(own.join(".auditx/keys/signing.pem"), own.join(".auditx/keys/next.pem")).unwrap();
    fs::write(own.join(".auditx/keys/signing.pem"), before).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    assert_eq!(logger.verifier_key().unwrap(), change.new);
    assert!(!own.join(".auditx/keys/next.pem").exists());
}

#[test]
fn an_erased_line_leaves_its_hash_and_its_text_nowhere() {
    for compression in [Compression::None, Compression::Zstd] {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(config(directory.path()).compression(compression)).unwrap();
        logger.log_security("Login failed").user("Daw Khin Secret").success(false).record().unwrap();
        fill(&logger, 100);
        let in_active = logger.log("by Ko Hidden").record().unwrap().wait_durable().unwrap();
        logger.flush(PATIENCE).unwrap();
        let hash = entries(directory.path()).len() as u64;
        for (seq, text_of) in [(2, "Daw Khin Secret"), (in_active.seq, "Ko Hidden")] {
            let mut reader = TrailReader::new(directory.path(), seq);
            let before = leaf_of(reader.next_line().unwrap().unwrap().1).unwrap().hash;
            assert_eq!(logger.erase(seq, "request of the person, ticket 7").unwrap(), before);
            let mut reader = TrailReader::new(directory.path(), seq);
            let (_, line) = reader.next_line().unwrap().unwrap();
            assert_eq!(std::str::from_utf8(line).unwrap(), erased_line(seq, &before));
            let (record_seq, record) = records(directory.path(), "erased").pop().unwrap();
            assert_eq!(
                (record["seq"].as_u64(), record["reason"].as_str()),
                (Some(seq), Some("request of the person, ticket 7"))
            );
            assert_eq!(hash_from_hex(record["leaf_hash"].as_str().unwrap()), Some(before));
            assert!(checked(&logger).size() > record_seq);
            let stub = entries(directory.path()).swap_remove(usize::try_from(seq).unwrap());
            assert!(crate::for_people(&stub).contains(&format!("(erased)  line {seq}")));
            assert!(!entries(directory.path()).iter().any(|entry| format!("{entry:?}").contains(text_of)));
            assert!(!text(directory.path().join("security.jsonl")).contains(text_of));
            let ring = fs::read(directory.path().join(".auditx/ring")).unwrap();
            assert!(memchr::memmem::find(&ring, text_of.as_bytes()).is_none(), "nor in the journal");
        }
        assert!(entries(directory.path()).len() as u64 > hash);
        assert!(logger.erase(2, "again").unwrap_err().to_string().contains("already"));
        assert!(logger.erase(0, "genesis").unwrap_err().is_invalid());
        assert!(logger.erase(1_000_000, "none").unwrap_err().is_invalid());
        assert!(logger.erase(3, " ").unwrap_err().is_invalid());
        logger.log_security("Login failed").user("after").success(false).record().unwrap();
        logger.close(PATIENCE).unwrap();
        let security = text(directory.path().join("security.jsonl"));
        assert_eq!(security.lines().count(), 2, "{security}");
        assert!(security.contains("\"after\"") && security.contains("\"erased\""));
        checked(&logger);
        drop(AuditLogger::open(config(directory.path())).unwrap());
    }
}

#[test]
fn an_erasure_that_was_killed_halfway_is_finished_when_it_is_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).compression(Compression::None)).unwrap();
    logger.log_security("Login failed").user("Daw Khin Secret").success(false).record().unwrap();
    fill(&logger, 50);
    logger.flush(PATIENCE).unwrap();
    let projection = directory.path().join("security.jsonl");
    let before = text(projection.clone());
    let hash = logger.erase(2, "asked for").unwrap();
    // The segment was rewritten, and the process died before the projection was.
    fs::write(&projection, before).unwrap();
    assert_eq!(logger.erase(2, "asked for").unwrap(), hash);
    assert!(!text(projection).contains("Secret"));
    assert!(
        logger.erase(2, "asked for").unwrap_err().to_string().contains("already"),
        "nothing is left to do"
    );
    logger.close(PATIENCE).unwrap();
    checked(&logger);
}

#[test]
fn an_erased_line_is_not_in_a_copy_that_a_killed_process_left_beside_its_segment_either() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).compression(Compression::None)).unwrap();
    logger.log("by Daw Khin Secret").record().unwrap();
    fill(&logger, 50);
    logger.flush(PATIENCE).unwrap();
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
fn what_is_retired_leaves_the_hashes_that_stand_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    fill(&logger, 150);
    logger.flush(PATIENCE).unwrap();
    let count = sealed_segments(directory.path()).unwrap().len();
    assert!(count > 3);
    let retired = logger.retire(Retention::BackupCount(2)).unwrap();
    assert_eq!((retired.segments.len(), retired.held_by), (count - 2, None));
    logger.close(PATIENCE).unwrap();
    let remaining = sealed_segments(directory.path()).unwrap();
    assert_eq!(remaining.len(), 2);
    let (_, record) = records(directory.path(), "retired").pop().unwrap();
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
        SignedCheckpoint::parse(&fs::read(crate::checkpoint_path(directory.path())).unwrap()).unwrap();
    assert_eq!((latest.size(), Some(*latest.root())), (tree.end(), tree.root()), "what remains still proves");

    // Without its cache as well.
    fs::remove_dir_all(directory.path().join(".auditx/tiles")).unwrap();
    drop(AuditLogger::open(config(directory.path())).unwrap());
}

#[test]
fn nothing_is_retired_that_somebody_with_a_cursor_has_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let stuck = config(directory.path()).on_audit("copy", |_| Err("away".into()));
    AuditLogger::open(stuck).unwrap().close(PATIENCE).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    fill(&logger, 100);
    logger.flush(PATIENCE).unwrap();
    let retired = logger.retire(Retention::BackupCount(0)).unwrap();
    assert_eq!((retired.segments.len(), retired.held_by.as_deref()), (0, Some("copy")));
    fs::remove_file(directory.path().join(".auditx/cursors/copy")).unwrap();
    assert!(logger.retire(Retention::BackupCount(0)).unwrap().segments.len() > 1);
}

#[test]
fn retention_waits_for_those_who_ship_the_trail_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    fill(&logger, 200);
    logger.close(PATIENCE).unwrap();
    let second = sealed_segments(directory.path()).unwrap()[1].first_seq;
    let mut cursor = Cursor::of_shipper(directory.path(), "postgres-db-5432-audit").unwrap();
    cursor.advance(second + 1);
    cursor.save().unwrap();
    let logger = AuditLogger::open(config(directory.path()).retention(Retention::BackupCount(0))).unwrap();
    wait_until(|| logger.metrics().retired > 0);
    logger.flush(PATIENCE).unwrap();
    assert_eq!(sealed_segments(directory.path()).unwrap()[0].first_seq, second);
    cursor.advance(u64::MAX);
    cursor.save().unwrap();
    // The maintenance looks when a segment is sealed.
    fill(&logger, 40);
    wait_until(|| {
        sealed_segments(directory.path()).unwrap().first().is_none_or(|segment| segment.first_seq > second)
    });
    logger.close(PATIENCE).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    let refusal = logger.drop_shipping("postgres").unwrap_err();
    assert!(refusal.is_invalid() && refusal.to_string().contains("postgres-db-5432-audit"), "{refusal}");
    assert_eq!(logger.drop_shipping("postgres-db-5432-audit").unwrap(), u64::MAX);
    let (seq, record) = records(directory.path(), "shipping_dropped").pop().unwrap();
    assert_eq!(record["destination"], "postgres-db-5432-audit");
    assert!(logger.checkpoint().unwrap().size() > seq, "it is signed before it is so");
    assert!(shipper_positions(directory.path()).unwrap().is_empty());
    assert!(Cursor::of_shipper(directory.path(), "../db").unwrap_err().is_invalid());
}

#[test]
fn a_trail_that_was_tampered_with_is_set_aside_whole_and_named_by_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    fill(&logger, 100);
    logger.close(PATIENCE).unwrap();
    assert!(AuditLogger::begin_anew(config(directory.path())).unwrap_err().is_invalid(), "nothing is lost");
    let active = directory.path().join("audit.jsonl");
    let latest = fs::read_to_string(crate::checkpoint_path(directory.path())).unwrap();
    fs::write(&active, "").unwrap();
    assert!(AuditLogger::open(config(directory.path())).unwrap_err().is_corrupt());

    let (logger, moved_to) = AuditLogger::begin_anew(config(directory.path())).unwrap();
    logger.log("life goes on").record().unwrap();
    logger.close(PATIENCE).unwrap();
    assert_eq!(kinds(directory.path()), ["genesis", "open", "life goes on", "close"]);
    checked(&logger);
    let (_, genesis) = records(directory.path(), "genesis").pop().unwrap();
    assert_eq!(genesis["previous"]["note"], latest);
    assert_eq!(moved_to, directory.path().join(genesis["previous"]["moved_to"].as_str().unwrap()));
    assert!(genesis["previous"]["why"].as_str().unwrap().contains("ends before line"));
    assert!(sealed_segments(&moved_to).unwrap().len() > 1, "the old one is there to be examined");
    assert_eq!(fs::read_to_string(crate::checkpoint_path(&moved_to)).unwrap(), latest);
    drop(AuditLogger::open(config(directory.path())).unwrap());
}
