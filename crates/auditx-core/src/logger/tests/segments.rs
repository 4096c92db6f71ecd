//! Sealing, compression and retirement of segments in the background.

use auditx_store::sealed_segments;

use super::*;

#[test]
fn sealed_segments_are_compressed_and_readable() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path()).max_file_bytes(65_535)).unwrap();
    for number in 0..2_000 {
        logger.log(format!("entry {number}")).record().unwrap();
    }
    wait_until(|| logger.metrics().compressed > 0 && logger.metrics().compressed == logger.metrics().seals);
    let numbers: Vec<String> = entries(directory.path())
        .into_iter()
        .filter(|entry| entry.control_record.is_none())
        .map(|entry| entry.description)
        .collect();
    assert_eq!(numbers, (0..2_000).map(|number| format!("entry {number}")).collect::<Vec<_>>());
    logger.close(TIMEOUT).unwrap();
    drop(AuditLogger::open(Config::new(directory.path())).unwrap());
}

#[test]
fn retention_waits_for_hooks_and_leaves_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let config = Config::new(directory.path())
        .max_file_bytes(65_535)
        .compression(Compression::None)
        .retention(Retention::BackupCount(2))
        .on_audit("slow", {
            let gate = gate.clone();
            move |_| if gate.load(Ordering::SeqCst) { Ok(()) } else { Err("not yet".into()) }
        });
    let logger = AuditLogger::open(config).unwrap();
    for number in 0..2_000 {
        logger.log(format!("entry {number}")).record().unwrap();
    }
    wait_until(|| logger.metrics().seals > 4);
    assert_eq!(logger.metrics().retired, 0);
    gate.store(true, Ordering::SeqCst);
    logger.flush_hooks(TIMEOUT).unwrap();
    for number in 0..400 {
        logger.log(format!("later {number}")).record().unwrap();
    }
    wait_until(|| {
        // Each seal wakes the maintenance thread; the hook reads the newest segments a moment later.
        logger.log("tick").record().unwrap();
        logger.metrics().retired > 0 && sealed_segments(directory.path()).unwrap().len() <= 3
    });
    logger.close(TIMEOUT).unwrap();
    let all = entries(directory.path());
    assert!(all[0].seq > 0);
    let retired: Vec<_> = all
        .iter()
        .filter_map(|entry| entry.control_record.as_ref().filter(|own| own["kind"] == "retired"))
        .collect();
    assert!(
        retired.iter().any(|own| own["last_seq"] == all[0].seq - 1),
        "the newest retirement has a control record"
    );
}

#[test]
fn a_segment_is_sealed_by_age_unless_it_is_idle() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path()).max_age(Duration::from_secs(2))).unwrap();
    logger.log("old").record().unwrap();
    wait_until(|| logger.metrics().seals == 1);
    let sealed = sealed_segments(directory.path()).unwrap();
    assert_eq!(sealed[0].first_seq, 0);
    // Without another entry: the sealed segment, and the record of it.
    wait_until(|| logger.metrics().signed == 4);
    logger.close(TIMEOUT).unwrap();
    assert_eq!(logger.metrics().seals, 1, "a segment with only its opening record is not sealed");
    // Maintenance may have made the index of the sealed segment before the close, or not.
    let kinds: Vec<String> = kinds(directory.path()).into_iter().filter(|kind| kind != "indexed").collect();
    assert_eq!(kinds, ["genesis", "open", "old", "rotated", "close"]);
}

#[test]
fn segments_are_retired_by_age() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::new(directory.path())
        .max_file_bytes(65_535)
        .retention(Retention::RetainFor(Duration::from_millis(1)));
    let logger = AuditLogger::open(config).unwrap();
    wait_until(|| {
        logger.log("x").metadata("pad", "x".repeat(1_000)).record().unwrap();
        logger.metrics().retired > 0
    });
    logger.close(TIMEOUT).unwrap();
    assert!(entries(directory.path())[0].seq > 0);
}
