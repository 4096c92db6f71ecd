//! Files of a shared trail that another program moves, removes or replaces.

use super::*;

#[test]
fn processes_follow_the_ring_when_another_program_removes_or_renames_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let ring = directory.path().join(".auditx/ring");
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    let mut workers: Vec<Worker> = (0..2).map(|_| Worker::start(directory.path(), "")).collect();
    for (round, interfere) in [
        |ring: &Path| fs::remove_file(ring).unwrap(),
        |ring: &Path| fs::rename(ring, ring.with_extension("moved")).unwrap(),
        |ring: &Path| {
            fs::remove_file(ring).unwrap();
            fs::write(ring, "of another program").unwrap();
        },
    ]
    .into_iter()
    .enumerate()
    {
        workers.iter_mut().for_each(|worker| worker.record(3_000));
        interfere(&ring);
        wait_until(|| logger.metrics().restored == round as u64 + 1);
        workers.iter_mut().for_each(|worker| drop(worker.wait_for("durable")));
        // A new process finds the others.
        let mut new = Worker::start(directory.path(), "");
        new.record(10);
        new.wait_for("durable");
        workers.push(new);
        let accepted = logger.log(format!("round {round}")).record().unwrap();
        accepted.wait_durable().unwrap();
    }
    assert_eq!(logger.metrics().accepted, 3);
    // One of those that followed writes now.
    logger.close(TIMEOUT).unwrap();
    workers.iter_mut().for_each(|worker| worker.record(500));
    workers.iter_mut().for_each(|worker| drop(worker.wait_for("durable")));
    let ended: Vec<_> = workers.into_iter().map(Worker::end).collect();
    assert_complete(directory.path(), &ended, "");
}

#[test]
fn a_writer_that_dies_while_it_restores_the_ring_loses_nothing() {
    for point in ["ring: moved#1", "ring: renamed#1"] {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Worker::start(directory.path(), point);
        let mut others: Vec<Worker> = (0..2).map(|_| Worker::start(directory.path(), "")).collect();
        writer.record(100);
        others.iter_mut().for_each(|other| other.record(100));
        writer.wait_for("durable");
        fs::remove_file(directory.path().join(".auditx/ring")).unwrap();
        assert_eq!(writer.read_until("no worker prints this"), None, "{point}");
        for other in &mut others {
            other.record(1_000);
            other.wait_for("durable");
            other.wait_for("durable");
        }
        let mut ended = vec![writer.end()];
        assert!(ended[0].2, "{point}");
        ended.extend(others.into_iter().map(Worker::end));
        assert_complete(directory.path(), &ended, point);
    }
}

#[test]
fn a_copy_in_the_place_of_the_ring_takes_no_entries() {
    let directory = tempfile::tempdir().unwrap();
    let writer = AuditLogger::open(config(directory.path())).unwrap();
    let (ring, copy) = (directory.path().join(".auditx/ring"), directory.path().join("copy"));
    fs::copy(&ring, &copy).unwrap();
    fs::rename(&copy, &ring).unwrap();
    let mut worker = Worker::start(directory.path(), "");
    worker.record(5);
    worker.wait_for("durable");
    let ended = [worker.kill()];
    writer.close(TIMEOUT).unwrap();
    assert_complete(directory.path(), &ended, "");
}

#[test]
fn a_ring_that_lost_its_name_is_not_replaced_while_a_process_uses_it() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Worker::start(directory.path(), "");
    let mut other = Worker::start(directory.path(), "");
    other.record(5);
    other.wait_for("durable");
    // Before the writer can restore it, and before the other can take over.
    writer.stop();
    other.stop();
    fs::remove_file(directory.path().join(".auditx/ring")).unwrap();
    let writer = writer.kill();
    let refused = AuditLogger::open(config(directory.path()).exclusive(true)).unwrap_err();
    assert!(refused.is_locked(), "{refused}");
    other.signal(Signal::CONT);
    other.record(5);
    other.wait_for("durable");
    let third = AuditLogger::open(config(directory.path())).unwrap();
    third.log("beside").record().unwrap().wait_durable().unwrap();
    third.close(TIMEOUT).unwrap();
    assert_complete(directory.path(), &[writer, other.end()], "");
}

#[test]
fn an_exclusive_trail_stays_exclusive_after_its_ring_was_restored() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).exclusive(true)).unwrap();
    fs::remove_file(directory.path().join(".auditx/ring")).unwrap();
    wait_until(|| logger.metrics().restored == 1);
    let refused = AuditLogger::open(config(directory.path()).exclusive(true)).unwrap_err();
    assert!(refused.is_locked(), "{refused}");
    let ring = fs::File::options().write(true).open(directory.path().join(".auditx/ring")).unwrap();
    let error = rustix::fs::fcntl_lock(&ring, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    assert!(error.is_err(), "no slot is free");
}

#[test]
fn a_moved_directory_is_not_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = AuditLogger::open(config(directory.path())).unwrap();
    let second = AuditLogger::open(config(directory.path())).unwrap();
    let own = directory.path().join(".auditx");
    fs::rename(&own, directory.path().join("moved")).unwrap();
    // The writer notices, and refuses entries; the other has tried to take over many times until then.
    wait_until(|| second.log("x").record().is_err());
    assert!(!own.exists());
    drop((first, second));
}
