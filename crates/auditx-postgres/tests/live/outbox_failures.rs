//! Servers, connections and collectors that end at any moment: each committed entry is recorded once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use auditx_capture::{Collector, Progress};
use auditx_core::{AuditLogger, Config};
use auditx_postgres::PostgresOutbox;
use auditx_tests::child::Child;
use auditx_tests::deadline::wait_for;
use auditx_tests::random::Random;

use super::outbox::{App, emptied, outbox_of, recorded, server_with_outbox, trail_to_collect_in};
use super::*;

const ROUNDS: usize = 100;

/// The trail and the address for the process that is killed.
const DIRECTORY: &str = "AUDITX_TEST_COLLECT_IN";
const URL: &str = "AUDITX_TEST_COLLECT_FROM";

/// Asserts that the trail has each of these invoices once.
fn assert_each_once(directory: &Path, count: u64) {
    let mut found = recorded(directory);
    found.sort_unstable();
    assert_eq!(found.len() as u64, count);
    assert!(found.into_iter().eq(0..count));
}

/// Commits entries on another thread while `disturb` runs. Returns how many.
fn while_an_application_commits(server: &Server, logger: &AuditLogger, disturb: impl FnOnce()) -> u64 {
    let app = App::open(server, "app");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut number = 0;
            // ORDERING: nothing else is read from the other thread.
            while !is_over.load(Ordering::Relaxed) {
                app.post(logger, number);
                number += 1;
            }
            number
        });
        disturb();
        is_over.store(true, Ordering::Relaxed);
        thread.join().unwrap()
    })
}

#[test]
fn a_server_that_is_killed_and_started_again_loses_and_repeats_nothing() {
    let (mut server, (directory, logger)) = (server_with_outbox(), trail_to_collect_in());
    let collector = Collector::spawn(&logger, outbox_of(&server)).unwrap();
    for part in 0..4 {
        let app = App::open(&server, "app");
        (part * 100..(part + 1) * 100).for_each(|number| app.post(&logger, number));
        drop(app);
        server.kill();
        assert!(collector.wait_until(TIMEOUT, |progress| !progress.error.is_empty()));
        server.start_again();
    }
    emptied(&collector, &server);
    assert_each_once(directory.path(), 400);
    assert_eq!(collector.progress().error, "");
}

#[test]
fn a_collector_whose_connection_ends_at_any_moment_records_each_entry_once() {
    let (server, (directory, logger)) = (server_with_outbox(), trail_to_collect_in());
    let collector = Collector::spawn(&logger, outbox_of(&server)).unwrap();
    let (admin, mut random) = (App::open(&server, "admin"), Random::seeded());
    let session = "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND granted";
    let count = while_an_application_commits(&server, &logger, || {
        for round in 0..ROUNDS {
            let pid = wait_for("a collector", || admin.value(session));
            let before = collector.progress();
            // Every second one ends before a round is done; more in a row would make the pauses long.
            if round % 2 == 0 {
                let moves = |progress: &Progress| {
                    (progress.collected, progress.emptied) != (before.collected, before.emptied)
                };
                assert!(collector.wait_until(TIMEOUT, moves), "{:?}", collector.progress());
            }
            thread::sleep(Duration::from_micros(random.below(10_000)));
            admin.sql(&format!("SELECT pg_terminate_backend({pid}, 10000)"));
        }
    });
    emptied(&collector, &server);
    eprintln!("{count} entries, {:?}", collector.progress());
    assert_each_once(directory.path(), count);
}

/// The process that the next test kills.
#[test]
fn collect_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let logger = AuditLogger::open(Config::new(directory)).unwrap();
    println!("\nopened");
    let outbox = PostgresOutbox::open(&std::env::var(URL).unwrap()).unwrap();
    println!("connected");
    announce(&Collector::spawn(&logger, outbox).unwrap());
}

/// Prints a line whenever something was collected, until the process is killed.
pub(crate) fn announce(collector: &Collector) -> ! {
    let mut known = 0;
    loop {
        collector.wait_until(TIMEOUT, |progress| progress.collected > known);
        known = collector.progress().collected;
        println!("collected");
    }
}

/// Runs a test of this program, which prints `opened`, `connected` and then as [`announce`], again and again,
/// and kills it up to 5 ms after one of its lines.
pub(crate) fn kill_at_random(test: &str, variables: [(&str, &std::ffi::OsStr); 2], rounds: usize) {
    let mut random = Random::seeded();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).envs(variables);
    for _ in 0..rounds {
        let child = Child::start(&mut command);
        let after = *random.one_of(&["opened", "connected", "collected", "collected"]);
        while !child.next_line().unwrap().contains(after) {}
        thread::sleep(Duration::from_micros(random.below(5_000)));
        child.signal(rustix::process::Signal::KILL);
        child.end();
    }
}

#[test]
fn a_collector_that_is_killed_at_any_moment_records_each_entry_once() {
    let (server, directory) = (server_with_outbox(), tempfile::tempdir().unwrap());
    let (_other, encoder) = trail_to_collect_in();
    let url = server.url("collector", server.port());
    let variables = [(DIRECTORY, directory.path().as_os_str()), (URL, url.as_ref())];
    let count = while_an_application_commits(&server, &encoder, || {
        kill_at_random("outbox_failures::collect_until_killed", variables, ROUNDS);
    });
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let collector = Collector::spawn(&logger, outbox_of(&server)).unwrap();
    emptied(&collector, &server);
    eprintln!("{count} entries, {:?}", collector.progress());
    assert_each_once(directory.path(), count);
}
