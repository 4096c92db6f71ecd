//! Servers, connections and collectors that end at any moment: each change in the log is recorded once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use auditx_capture::Collector;
use auditx_core::{AuditLogger, Config};
use auditx_postgres::LogOutbox;
use auditx_postgres::capture::Table;
use auditx_tests::deadline::wait_for;
use auditx_tests::random::Random;

use super::logical::{caught_up, entries, log_of, logging};
use super::outbox::{App, trail_to_collect_in};
use super::outbox_failures::{announce, kill_at_random};
use super::*;

const ROUNDS: usize = 40;

/// How long the application pauses between transactions, so that there are not too many changes to check.
const PACE: Duration = Duration::from_micros(500);

/// The trail and the address for the process that is killed.
const DIRECTORY: &str = "AUDITX_TEST_LOG_IN";
const URL: &str = "AUDITX_TEST_LOG_FROM";

fn events() -> Server {
    logging("CREATE TABLE event (id int PRIMARY KEY)", &Table::new("event", "test"))
}

/// Asserts that the trail has each of these events once, and in order.
fn assert_each_once(directory: &Path, count: u64) {
    let entries = entries(directory, "event");
    let found = entries.iter().map(|entry| entry["entity_id"].as_str().unwrap().parse::<u64>().unwrap());
    let found: Vec<u64> = found.collect();
    assert_eq!(found.len() as u64, count);
    assert!(found.into_iter().eq(0..count));
}

/// Commits transactions of one to four changes on another thread while `disturb` runs. Returns how many
/// changes.
fn while_an_application_commits(server: &Server, disturb: impl FnOnce()) -> u64 {
    let (app, mut random) = (App::open(server, "app"), Random::seeded());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut next = 0;
            // ORDERING: nothing else is read from the other thread.
            while !is_over.load(Ordering::Relaxed) {
                let end = next + 1 + random.below(4);
                app.sql(&format!("INSERT INTO event SELECT generate_series({next}, {end} - 1)"));
                next = end;
                thread::sleep(PACE);
            }
            next
        });
        disturb();
        is_over.store(true, Ordering::Relaxed);
        thread.join().unwrap()
    })
}

#[test]
fn a_server_that_is_killed_and_started_again_loses_and_repeats_nothing() {
    let (mut server, (directory, logger)) = (events(), trail_to_collect_in());
    let collector = Collector::spawn(&logger, log_of(&server)).unwrap();
    for part in 0..5 {
        let app = App::open(&server, "app");
        (part * 100..(part + 1) * 100).for_each(|id| app.sql(&format!("INSERT INTO event VALUES ({id})")));
        drop(app);
        server.kill();
        assert!(collector.wait_until(TIMEOUT, |progress| !progress.error.is_empty()));
        server.start_again();
    }
    assert!(collector.wait_until(TIMEOUT, |progress| progress.error.is_empty()));
    caught_up(&collector);
    assert_each_once(directory.path(), 500);
}

#[test]
fn a_collector_whose_connections_end_at_any_moment_records_each_change_once() {
    let (server, (directory, logger)) = (events(), trail_to_collect_in());
    let collector = Collector::spawn(&logger, log_of(&server)).unwrap();
    let (admin, mut random) = (App::open(&server, "admin"), Random::seeded());
    let count = while_an_application_commits(&server, || {
        for round in 0..ROUNDS {
            // One of its two connections.
            let kind = if round % 3 == 0 { "client backend" } else { "walsender" };
            let session = format!(
                "SELECT pid::text FROM pg_stat_activity WHERE usename = 'collector' \
                 AND backend_type = '{kind}'"
            );
            let pid = wait_for("a collector", || admin.value(&session));
            let before = collector.progress().collected;
            if round % 2 == 0 {
                let moves = collector.wait_until(TIMEOUT, |progress| progress.collected != before);
                assert!(moves, "{:?}", collector.progress());
            }
            thread::sleep(Duration::from_micros(random.below(10_000)));
            admin.sql(&format!("SELECT pg_terminate_backend({pid}, 10000)"));
        }
    });
    assert!(collector.wait_until(TIMEOUT, |progress| progress.error.is_empty()));
    caught_up(&collector);
    eprintln!("{count} changes, {:?}", collector.progress());
    assert_each_once(directory.path(), count);
}

/// The process that the next test kills.
#[test]
fn read_the_log_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let logger = AuditLogger::open(Config::new(directory)).unwrap();
    println!("\nopened");
    let outbox = LogOutbox::open(&std::env::var(URL).unwrap()).unwrap();
    println!("connected");
    announce(&Collector::spawn(&logger, outbox).unwrap());
}

#[test]
fn a_collector_that_is_killed_at_any_moment_records_each_change_once() {
    let (server, directory) = (events(), tempfile::tempdir().unwrap());
    let url = server.url("collector", server.port());
    let variables = [(DIRECTORY, directory.path().as_os_str()), (URL, url.as_ref())];
    let count = while_an_application_commits(&server, || {
        kill_at_random("logical_failures::read_the_log_until_killed", variables, ROUNDS);
    });
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let collector = Collector::spawn(&logger, log_of(&server)).unwrap();
    caught_up(&collector);
    eprintln!("{count} changes, {:?}", collector.progress());
    assert_each_once(directory.path(), count);
}
