//! Faults in one process, and what they mean for the others.

use auditx_store::testing::FaultyDisk;

use super::*;
use crate::{Durability, OnFull};

/// Entries become durable only if somebody asks for it.
fn lazy(directory: &Path) -> Config {
    config(directory).durability(Durability::Interval(Duration::from_secs(30)))
}

#[test]
fn the_next_writer_does_not_inherit_a_failed_disk() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
    let first = AuditLogger::open_on(lazy(directory.path()), Arc::new(disk.clone())).unwrap();
    let second = AuditLogger::open(lazy(directory.path())).unwrap();
    second.log("before").record().unwrap().wait_durable().unwrap();
    disk.0.fail_sync.store(true, Ordering::SeqCst);
    assert!(second.log("lost to the disk").record().unwrap().wait_durable().unwrap_err().is_storage());
    assert!(second.log("refused").record().is_err());
    drop(first);
    wait_until(|| second.log("again").record().is_ok());
    second.log("after").record().unwrap().wait_durable().unwrap();
    second.close(TIMEOUT).unwrap();
    let kinds = kinds(directory.path());
    assert!(kinds.contains(&"lost to the disk".to_owned()), "it was in the ring: {kinds:?}");
}

#[test]
fn a_disk_that_fails_right_after_a_takeover_refuses_entries() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
    let first = AuditLogger::open(lazy(directory.path())).unwrap();
    let second = AuditLogger::open_on(
        config(directory.path()).durability(Durability::EveryEntry),
        Arc::new(disk.clone()),
    )
    .unwrap();
    first.log("before").record().unwrap();
    // A takeover syncs the lines of the last writer. The next sync, of the first lines of its own, fails.
    disk.0.syncs.store(1, Ordering::SeqCst);
    drop(first);
    wait_until(|| text(directory.path().join("app.log")).contains("injected"));
    wait_until(|| second.log("after").record().is_err());
    // Once it can erase, the takeover has ended, which lets in again what the last writer refused.
    wait_until(|| second.erase(0, "never").is_err_and(|error| !error.is_locked()));
    assert!(second.ready().unwrap_err().is_storage(), "what is let in is never written");
}

#[test]
fn a_rewind_after_a_takeover_repeats_nothing() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
    let mut writer = Worker::start(directory.path(), "drain: written#1");
    let logger = AuditLogger::open_on(lazy(directory.path()), Arc::new(disk.clone())).unwrap();
    writer.record(40);
    let ended = [writer.end()];
    assert!(ended[0].2);
    logger.log("mine").record().unwrap();
    wait_until(|| kinds(directory.path()).contains(&"mine".to_owned()));
    disk.0.failing_syncs.store(1, Ordering::SeqCst);
    logger.flush(TIMEOUT).unwrap();
    logger.close(TIMEOUT).unwrap();
    assert_complete(directory.path(), &ended, "");
}

#[test]
fn receipts_of_every_process_resolve_after_a_takeover() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Worker::start(directory.path(), "drain: published#1");
    let loggers = [(); 2].map(|()| AuditLogger::open(lazy(directory.path())).unwrap());
    let record = |number: usize| loggers[number % 2].log(format!("entry {number}")).record().unwrap();
    let receipts: Vec<_> = (0..10).map(record).collect();
    assert_eq!(writer.read_until("no worker prints this"), None);
    assert!(writer.end().2);
    for (number, receipt) in receipts.iter().enumerate() {
        let seq = usize::try_from(receipt.wait_durable().unwrap().seq).unwrap();
        assert_eq!(kinds(directory.path())[seq], format!("entry {number}"));
    }
}

#[test]
fn others_record_while_the_writer_waits_for_its_hooks() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let slow = config(directory.path()).on_audit("slow", {
        let gate = gate.clone();
        move |_| if gate.load(Ordering::SeqCst) { Ok(()) } else { Err("not yet".into()) }
    });
    let first = AuditLogger::open(slow).unwrap();
    let waiting = config(directory.path()).on_full(OnFull::Wait { max: Duration::from_secs(10) });
    let second = AuditLogger::open(waiting).unwrap();
    first.log("first").record().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| first.close(TIMEOUT).unwrap());
        // More than the ring holds.
        for number in 0..1_000 {
            second.log(number.to_string()).metadata("pad", "x".repeat(700)).record().unwrap();
        }
        gate.store(true, Ordering::SeqCst);
    });
    second.close(TIMEOUT).unwrap();
}

#[test]
fn a_close_waits_only_for_the_entries_of_its_process() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second, third] = [(); 3].map(|()| AuditLogger::open(config(directory.path())).unwrap());
    second.log("mine").record().unwrap().wait_durable().unwrap();
    let finish = third.core().unwrap().writer.stall(b"\"id\":\"stalled\",\"success\":true}");
    second.close(TIMEOUT).unwrap();
    first.close(TIMEOUT).unwrap();
    finish();
    third.close(TIMEOUT).unwrap();
}

#[test]
fn a_trail_can_be_opened_after_a_close_that_timed_out() {
    let directory = tempfile::tempdir().unwrap();
    let first = AuditLogger::open(config(directory.path())).unwrap();
    let finish = first.core().unwrap().writer.stall(b"\"id\":\"stalled\",\"success\":true}");
    assert!(first.close(Duration::from_millis(10)).unwrap_err().is_timed_out());
    finish();
    let second = AuditLogger::open(config(directory.path())).unwrap();
    second.log("after").record().unwrap().wait_durable().unwrap();
}

#[test]
fn a_receipt_of_a_logger_that_has_ended_resolves() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Worker::start(directory.path(), "");
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    writer.stop();
    let receipt = logger.log("mine").record().unwrap();
    assert!(logger.close(Duration::from_millis(10)).unwrap_err().is_timed_out());
    assert!(logger.ready().unwrap_err().is_closed());
    assert!(receipt.wait_durable().unwrap_err().is_closed(), "nobody learns of it here any more");
    writer.signal(Signal::CONT);
    assert_complete(directory.path(), &[writer.end()], "");
    assert!(kinds(directory.path()).contains(&"mine".to_owned()));
}

#[test]
fn a_takeover_never_begins_another_trail() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Worker::start(directory.path(), "");
    let other = AuditLogger::open(config(directory.path())).unwrap();
    let identity = text(directory.path().join(".auditx/trail.json"));
    writer.stop();
    fs::remove_file(directory.path().join("audit.jsonl")).unwrap();
    fs::remove_file(directory.path().join(".auditx/checkpoint")).unwrap();
    writer.kill();
    other.log("kept in the ring").record().unwrap();
    wait_until(|| text(directory.path().join("app.log")).contains("move them back"));
    assert_eq!(text(directory.path().join(".auditx/trail.json")), identity);
}

#[test]
fn a_trail_that_a_process_has_open_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Worker::start(directory.path(), "");
    let other = Worker::start(directory.path(), "");
    other.stop();
    writer.kill();
    let refused = AuditLogger::replace_broken(config(directory.path()), "test").unwrap_err();
    assert!(refused.is_locked(), "{refused}");
    other.signal(Signal::CONT);
    other.end();
}

#[test]
fn a_process_with_another_key_cannot_join() {
    let directory = tempfile::tempdir().unwrap();
    let _first = AuditLogger::open(config(directory.path())).unwrap();
    let other = auditx_tlog::SigningKey::generate();
    let refused = AuditLogger::open(config(directory.path()).signer(other)).unwrap_err();
    assert!(refused.is_signing(), "{refused}");
}
