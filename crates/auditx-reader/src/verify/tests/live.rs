//! Verifies a trail while it is written, sealed, compressed, erased and retired.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use auditx_core::{AuditLogger, Compression, Config, Retention};
use auditx_format::control_record::StoredRecord;
use auditx_store::{ACTIVE, checkpoint_path};
use auditx_tlog::SigningKey;

use super::fixture::*;
use super::*;
use crate::line::Line;
use crate::lines::Lines;

/// Stops the threads of a test, also if it panics.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_trail_being_written_is_never_broken() {
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
                    // At the speed of the disk: each retired segment is signed, which two threads at full
                    // speed would outrun.
                    let entry = logger.log(format!("entry 0 {}", "x".repeat(1_500)));
                    entry.record().unwrap().wait_durable().unwrap();
                    written.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                // Some of these lines are control records or already retired.
                drop(logger.erase(written.load(Ordering::SeqCst).saturating_sub(60), "asked for"));
            }
        });
        // Also if an assertion fails: the scope waits for the threads.
        let _stop = StopOnDrop(&is_over);
        let mut known: Option<String> = None;
        let is_enough =
            |round| round >= 30 && written.load(Ordering::SeqCst) > 400 && logger.metrics().retired > 0;
        for round in (0..).take_while(|round| !is_enough(*round)) {
            let mut options = VerifyOptions::new().key(key.clone()).threads(1 + round % 3).chunk(20_000);
            if let Some(note) = &known {
                options = options.known(parsed(note));
            }
            let verification = match verify(directory.path(), &options, &mut |_, _| {}) {
                Ok(verification) => verification,
                // A busy machine may not keep up with these writers; that is an error, not a broken trail.
                Err(error) => {
                    assert!(error.is_storage() && error.to_string().contains("while it changes"), "{error}");
                    continue;
                }
            };
            assert_ne!(verification.answer, Answer::Broken, "round {round}: {verification:?}");
            let kinds: Vec<RemarkKind> = verification.remarks.iter().map(|remark| remark.kind).collect();
            assert!(!kinds.contains(&RemarkKind::UnusableHistory), "round {round}: {verification:?}");
            known = logger.checkpoint().map(|note| note.to_string());
        }
    });
    logger.close(TIMEOUT).unwrap();
    let known = parsed(&logger.checkpoint().unwrap().to_string());
    let options = VerifyOptions::new().key(key).known(known);
    let verification = verify(directory.path(), &options, &mut |_, _| {}).unwrap();
    assert_eq!(verification.answer, Answer::Intact, "{verification:?}");
    assert!(verification.first_seq > 0 && verification.lines > 200);
}

/// An open logger with several sealed segments.
fn open_trail() -> (tempfile::TempDir, AuditLogger) {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::new(directory.path()).origin(ORIGIN).signer(SigningKey::generate());
    let logger = AuditLogger::open(config.max_file_bytes(65_535).compression(Compression::None)).unwrap();
    (0..300).for_each(|number| record(&logger, number, 2_000));
    logger.flush(TIMEOUT).unwrap();
    // Signs what was sealed. After a flush alone that may still be in progress, and compares a segment's
    // length with that of its file.
    logger.retire(Retention::KeepEverything).unwrap();
    (directory, logger)
}

/// Runs `happens` after the first lines were read. Returns the verification, and whether the lines were read
/// again.
fn while_reading(happens: impl FnOnce(&AuditLogger)) -> (Verification, bool) {
    let (directory, logger) = open_trail();
    let (mut happens, mut last, mut is_again) = (Some(happens), 0, false);
    let options = VerifyOptions::new().key(logger.verifier_key().unwrap()).threads(1).chunk(1_024);
    let verification = verify(directory.path(), &options, &mut |done, _| {
        is_again |= done < last;
        last = done;
        if let Some(happens) = happens.take() {
            happens(&logger);
        }
    });
    (verification.unwrap(), is_again)
}

/// The first entry from this line on. Control records come at any time between entries.
fn entry_from(logger: &AuditLogger, from: u64) -> u64 {
    let lines = Lines::all(logger.trail_dir().unwrap()).unwrap();
    let is_entry = |line: &Line| StoredRecord::kind(line.bytes()).is_none();
    let mut seqs = lines.flatten().filter(is_entry).filter_map(|line| line.seq());
    seqs.find(|seq| *seq >= from).unwrap()
}

#[test]
fn an_erasure_during_the_reading_is_excused_by_its_record() {
    let (verification, is_again) = while_reading(|logger| {
        for from in [250, 260] {
            logger.erase(entry_from(logger, from), "asked for by the customer").unwrap();
        }
    });
    assert_eq!((verification.fault, verification.erased, is_again), (None, 2, false));
}

#[test]
fn retirement_during_the_reading_starts_it_again() {
    let (verification, is_again) = while_reading(|logger| {
        let retired = logger.retire(Retention::BackupCount(1)).unwrap();
        assert!(retired.segments.len() > 5);
    });
    assert_eq!((verification.fault, is_again), (None, true));
    assert!(verification.first_seq > 200);
}

/// Replaces line 5 with a forged stub.
fn forge_stub(directory: &Path) -> String {
    let name = directory.join("audit-00000000000000000000.jsonl");
    let text = fs::read_to_string(&name).unwrap();
    let line = text.lines().nth(5).unwrap();
    let hash = to_hex(&auditx_tlog::leaf_hash(line.as_bytes()));
    fs::write(&name, text.replace(line, &format!("{{\"seq\":5,\"erased\":\"{hash}\"}}"))).unwrap();
    hash
}

#[test]
fn a_record_forged_during_the_reading_excuses_nothing() {
    let (directory, logger) = open_trail();
    let hash = forge_stub(directory.path());
    let options = VerifyOptions::new().key(logger.verifier_key().unwrap());
    let mut is_forged = false;
    let verification = verify(directory.path(), &options, &mut |_, _| {
        if !is_forged {
            // Erases line 6, which was read already, and alters the signed record to name line 5.
            let of_another = to_hex(&logger.erase(6, "asked for").unwrap());
            let active = directory.path().join(ACTIVE);
            let text = fs::read_to_string(&active).unwrap();
            let forged = text.replace(&of_another, &hash).replace("\"seq\":6", "\"seq\":5");
            assert_ne!(forged, text);
            fs::write(active, forged).unwrap();
            is_forged = true;
        }
    });
    assert_eq!(verification.unwrap().answer, Answer::Broken);
}

#[test]
fn a_record_signed_by_a_stranger_excuses_nothing() {
    let trail = Trail::of(10);
    let (stranger, lines) = (SigningKey::generate(), trail.lines());
    let hash = to_hex(&auditx_tlog::leaf_hash(lines[4].as_bytes()));
    trail.edit(|lines| lines[4] = format!("{{\"seq\":4,\"erased\":\"{hash}\"}}"));
    let fields = format!("\"kind\":\"erased\",\"seq\":4,\"leaf_hash\":\"{hash}\"");
    let record = renumbered(&lines[12], 13).replace("\"kind\":\"close\"", &fields);
    let mut is_forged = false;
    let verification = verify(trail.path(), &trail.options(), &mut |_, _| {
        if !is_forged {
            trail.edit(|lines| lines.push(record.clone()));
            trail.set_checkpoint(&signed(&trail.key, 14, &root_of(&trail.lines()), &[&stranger]));
            is_forged = true;
        }
    });
    assert_eq!(verification.unwrap().fault.unwrap().kind, FaultKind::WrongKey);
}

#[test]
fn a_checkpoint_written_during_the_reading_is_used() {
    let trail = Trail::of(5);
    let note = trail.checkpoint();
    fs::remove_file(checkpoint_path(trail.path())).unwrap();
    let verification =
        verify(trail.path(), &trail.options(), &mut |_, _| trail.set_checkpoint(&note)).unwrap();
    assert_eq!(verification.answer, Answer::Intact);
}

#[test]
fn a_forged_stub_is_found_while_the_trail_grows() {
    let (directory, logger) = open_trail();
    forge_stub(directory.path());
    let options = VerifyOptions::new().key(logger.verifier_key().unwrap());
    let verification = verify(directory.path(), &options, &mut |_, _| {
        // Each erasure signs another checkpoint.
        drop(logger.erase(100, "asked for"));
        drop(logger.erase(101, "asked for"));
    });
    let fault = verification.unwrap().fault.unwrap();
    assert_eq!((fault.kind, fault.seq), (FaultKind::BadErasure, Some(5)));
}
