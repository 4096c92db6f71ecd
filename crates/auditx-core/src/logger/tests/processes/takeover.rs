//! Processes that end or are killed, and others that go on.

use super::*;

#[test]
fn a_worker_goes_on_when_the_writer_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Worker::start(directory.path(), "");
    let mut other = Worker::start(directory.path(), "");
    writer.record(100);
    other.record(100);
    writer.wait_for("durable");
    other.wait_for("durable");
    writer.record(1_000_000);
    writer.wait_for("accepted 500");
    let writer = writer.kill();
    other.record(1_000);
    other.wait_for("durable");
    assert_complete(directory.path(), &[writer, other.end()], "");
}

#[test]
fn what_a_killed_worker_left_unfinished_is_skipped() {
    for point in ["ring: intended", "ring: reserved", "ring: claimed", "ring: copied", "ring: committed"] {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Worker::start(directory.path(), "");
        let mut killed = Worker::start(directory.path(), &format!("{point}#321"));
        killed.record(1_000);
        assert_eq!(killed.read_until("durable"), None, "{point}");
        writer.record(1_000);
        writer.wait_for("durable");
        let mut third = Worker::start(directory.path(), "");
        third.record(10);
        third.wait_for("durable");
        let ended = [writer.end(), killed.end(), third.end()];
        assert!(ended[1].2, "{point}");
        assert_complete(directory.path(), &ended, point);
    }
}

#[test]
fn a_writer_may_be_killed_at_any_step_while_others_record() {
    let points = [
        "drain: written#2",
        "drain: published#2",
        "sync: done#2",
        "sync: released#2",
        "sync: published#2",
        "sync: signed#2",
        "seal: renamed#2",
        "index: made#1",
        "close: recorded#1",
        "close: signed#1",
        "close: released#1",
    ];
    for point in points {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Worker::start(directory.path(), point);
        let mut others: Vec<Worker> = (0..2).map(|_| Worker::start(directory.path(), "")).collect();
        others.iter_mut().for_each(|other| other.record(3_000));
        writer.record(3_000);
        let writer = writer.end();
        assert!(writer.2, "{point}");
        for other in &mut others {
            other.wait_for("durable");
            other.record(100);
            other.wait_for("durable");
        }
        let mut ended = vec![writer];
        ended.extend(others.into_iter().map(Worker::end));
        assert_complete(directory.path(), &ended, point);
    }
}

#[test]
fn a_child_that_a_killed_writer_has_forked_does_not_keep_the_trail() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Worker::start(directory.path(), "");
    writer.record(10);
    writer.wait_for("durable");
    writeln!(writer.commands, "fork").unwrap();
    let forked = writer.wait_for("forked");
    let child = Pid::from_raw(forked.rsplit(' ').next().unwrap().parse().unwrap()).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    writer.signal(Signal::KILL);
    logger.log("afterwards").record().unwrap();
    let outcome = logger.flush(TIMEOUT);
    // It holds the other end of the pipe from which `end` reads.
    kill_process(child, Signal::KILL).unwrap();
    outcome.unwrap();
    let ended = [writer.end()];
    logger.close(TIMEOUT).unwrap();
    assert_complete(directory.path(), &ended, "");
}

#[test]
fn a_takeover_may_be_killed_at_any_step() {
    for point in ["takeover: locked", "takeover: recovered", "takeover: done"] {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Worker::start(directory.path(), "");
        let mut killed = Worker::start(directory.path(), &format!("{point}#1"));
        let mut stopped = Worker::start(directory.path(), "");
        for worker in [&mut writer, &mut killed, &mut stopped] {
            worker.record(200);
            worker.wait_for("durable");
        }
        // Only one is left to take over, and dies while it does.
        stopped.record(1);
        stopped.wait_for("durable");
        stopped.stop();
        let writer = writer.kill();
        assert_eq!(killed.read_until("no worker prints this"), None, "{point}");
        stopped.signal(Signal::CONT);
        stopped.record(200);
        stopped.wait_for("durable");
        let ended = [writer, killed.end(), stopped.end()];
        assert!(ended[1].2, "{point}");
        assert_complete(directory.path(), &ended, point);
    }
}

#[test]
fn what_two_dead_writers_have_written_and_not_released_is_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    // The entries are then in a sealed segment.
    let mut writer = Worker::start(directory.path(), "seal: renamed#2");
    let mut killed = Worker::start(directory.path(), "takeover: done#1");
    let mut stopped = Worker::start(directory.path(), "");
    stopped.stop();
    writer.record(1_000_000);
    assert_eq!(killed.read_until("no worker prints this"), None);
    let ended = [writer.end(), killed.end()];
    assert!(ended.iter().all(|(_, _, was_killed)| *was_killed));
    stopped.signal(Signal::CONT);
    stopped.record(200);
    stopped.wait_for("durable");
    let [writer, killed] = ended;
    assert_complete(directory.path(), &[writer, killed, stopped.end()], "");
}

#[test]
fn a_full_ring_whose_writer_dies_is_drained_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Worker::start(directory.path(), "");
    writer.record(10);
    writer.wait_for("durable");
    writer.stop();
    let mut other = Worker::start(directory.path(), "");
    // More than the ring holds: it waits for room.
    other.record(3_000);
    other.wait_for("accepted 300");
    let writer = writer.kill();
    other.wait_for("durable");
    assert_complete(directory.path(), &[writer, other.end()], "");
}

#[test]
fn a_rolling_restart_refuses_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut ended = Vec::new();
    let mut old = Worker::start(directory.path(), "");
    old.record(2_000);
    for _ in 0..10 {
        old.wait_for("accepted");
        let mut new = Worker::start(directory.path(), "");
        new.record(2_000);
        ended.push(std::mem::replace(&mut old, new).end());
    }
    ended.push(old.end());
    assert!(ended.iter().all(|(_, accepted, was_killed)| accepted.len() == 2_000 && !was_killed));
    assert_complete(directory.path(), &ended, "");
}

/// Kills random ones of four processes, each of which a new one replaces.
#[test]
fn random_kills_lose_and_repeat_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let mut ended = Vec::new();
    let start = || {
        let mut worker = Worker::start(directory.path(), "");
        worker.record(1_000_000);
        worker
    };
    let mut workers: Vec<Worker> = (0..4).map(|_| start()).collect();
    for _ in 0..200 {
        let chosen = usize::try_from(random(4)).unwrap();
        let worker = &mut workers[chosen];
        let reported = worker.accepted.len() + usize::try_from(random(40)).unwrap();
        while worker.accepted.len() <= reported {
            worker.wait_for("accepted");
        }
        ended.push(std::mem::replace(&mut workers[chosen], start()).kill());
    }
    ended.extend(workers.into_iter().map(Worker::kill));
    assert_complete(directory.path(), &ended, "");
}
