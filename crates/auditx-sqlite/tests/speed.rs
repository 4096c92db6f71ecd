//! Measures the collector: how long a commit takes to reach the trail, and how many entries it moves in a
//! second. `cargo test --release -p auditx-sqlite --test speed -- --ignored --nocapture`
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::time::{Duration, Instant};

use auditx_core::{AuditAction, AuditLogger, BusinessModule, Config, EncodedEntry};
use auditx_sqlite::{Collector, SqliteOutbox, init, store};
use rusqlite::Connection;
use serde_json::json;

const TIMEOUT: Duration = Duration::from_secs(120);

fn opened(directory: &Path, journal_mode: &str) -> (Connection, AuditLogger) {
    let connection = Connection::open(directory.join("erp.db")).unwrap();
    connection.pragma_update(None, "journal_mode", journal_mode).unwrap();
    init(&connection).unwrap();
    (connection, AuditLogger::open(Config::new(directory.join("logs"))).unwrap())
}

fn encoded(logger: &AuditLogger, number: u32) -> EncodedEntry {
    let (module, action) = (BusinessModule::Crm, AuditAction::Update);
    let change = logger.log_change("Limit raised", module, action, "customer", number.to_string());
    let change = change.user("thida").old_values(json!({"limit": 500_000}));
    change.new_values(json!({"limit": 1_000_000})).encode().unwrap()
}

#[test]
#[ignore = "a measurement without assertions; run by hand, see above"]
fn a_commit_is_soon_in_the_trail() {
    for journal_mode in ["WAL", "DELETE"] {
        let directory = tempfile::tempdir().unwrap();
        let (mut connection, logger) = opened(directory.path(), journal_mode);
        let outbox = SqliteOutbox::open(directory.path().join("erp.db")).unwrap();
        let collector = Collector::spawn(&logger, outbox).unwrap();
        let mut times = Vec::new();
        for number in 1..=300 {
            let transaction = connection.transaction().unwrap();
            store(&transaction, &encoded(&logger, number)).unwrap();
            transaction.commit().unwrap();
            let begin = Instant::now();
            // The entry is durable in the trail before it is counted.
            assert!(collector.wait_until(TIMEOUT, |progress| progress.collected == u64::from(number)));
            times.push(begin.elapsed());
        }
        times.sort();
        println!("{journal_mode}: commit to trail: median {:?}, p99 {:?}", times[150], times[297]);
    }
}

#[test]
#[ignore = "a measurement without assertions; run by hand, see above"]
fn many_entries_are_collected_in_a_second() {
    const ENTRIES: u32 = 200_000;
    for journal_mode in ["WAL", "DELETE"] {
        let directory = tempfile::tempdir().unwrap();
        let (mut connection, logger) = opened(directory.path(), journal_mode);
        let transaction = connection.transaction().unwrap();
        (0..ENTRIES).for_each(|number| store(&transaction, &encoded(&logger, number)).unwrap());
        transaction.commit().unwrap();
        let begin = Instant::now();
        let outbox = SqliteOutbox::open(directory.path().join("erp.db")).unwrap();
        let collector = Collector::spawn(&logger, outbox).unwrap();
        assert!(collector.wait_until(TIMEOUT, |progress| progress.collected == u64::from(ENTRIES)));
        let per_second = f64::from(ENTRIES) / begin.elapsed().as_secs_f64();
        println!("{journal_mode}: {per_second:.0} entries/s collected");
    }
}
