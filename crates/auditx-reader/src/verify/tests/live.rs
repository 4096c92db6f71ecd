//! Verifying while the trail is being written, sealed, compressed, erased in and retired.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use auditx_core::{AuditLogger, Compression, Config, Retention, SigningKey};

use super::fixture::*;
use super::*;

#[test]
fn a_trail_that_is_being_written_is_never_broken() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::new(directory.path()).origin(ORIGIN).signer(SigningKey::generate());
    let config = config.max_file_bytes(65_535).compression(Compression::Zstd);
    let logger = AuditLogger::open(config.retention(Retention::BackupCount(6))).unwrap();
    let key = logger.verifier_key().unwrap();
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    record(&logger, 0, 1_500);
                    written.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                // Some of them are records, or gone by then.
                drop(logger.erase(written.load(Ordering::SeqCst).saturating_sub(60), "asked for"));
            }
        });
        let mut known: Vec<String> = Vec::new();
        for round in 0..60 {
            let mut options = VerifyOptions::new().key(key.clone()).threads(1 + round % 3).stretch(20_000);
            for note in known.iter().rev().take(1) {
                options = options.known(parsed(note));
            }
            let verification = verify(directory.path(), &options, &mut |_, _| {}).unwrap();
            let is_well = verification.answer != Answer::Broken;
            if !is_well {
                is_over.store(true, Ordering::SeqCst);
            }
            assert!(is_well, "round {round}: {verification:?}");
            known.extend(logger.checkpoint().map(|note| note.to_string()));
        }
        is_over.store(true, Ordering::SeqCst);
    });
    logger.close(PATIENCE).unwrap();
    let known = parsed(&logger.checkpoint().unwrap().to_string());
    let options = VerifyOptions::new().key(key).known(known);
    let verification = verify(directory.path(), &options, &mut |_, _| {}).unwrap();
    assert_eq!(verification.answer, Answer::Intact, "{verification:?}");
    assert!(verification.first_seq > 0 && verification.lines > 200);
}
