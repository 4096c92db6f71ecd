//! The outbox with a real database and a real trail, in both journal modes.

use std::fs;
use std::os::unix::fs::symlink;

use auditx_capture::{Collector, Progress};
use auditx_core::{AuditLogger, Config};
use auditx_tests::deadline::TIMEOUT;
use auditx_tests::trail::entries;
use rusqlite::{Connection, Transaction};
use tempfile::TempDir;

use super::*;
use crate::store;

mod kills;

const MODES: [&str; 2] = ["WAL", "DELETE"];

/// An application with a database and a trail.
struct Application {
    connection: Connection,
    logger: AuditLogger,
    // Removed last.
    directory: TempDir,
}

impl Application {
    fn new(journal_mode: &str) -> Self {
        let directory = directory();
        let connection = Connection::open(directory.path().join("erp.db")).unwrap();
        connection.pragma_update(None, "journal_mode", journal_mode).unwrap();
        connection.execute_batch("CREATE TABLE customer (id INTEGER PRIMARY KEY)").unwrap();
        init(&connection).unwrap();
        let logger = AuditLogger::open(Config::new(directory.path().join("logs"))).unwrap();
        Self { connection, logger, directory }
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("erp.db")
    }

    /// Makes a change in a transaction that is left open.
    fn changed(&mut self, customer: u32) -> Transaction<'_> {
        let entry = self.logger.log(format!("customer {customer}")).encode().unwrap();
        let transaction = self.connection.transaction().unwrap();
        transaction.execute("INSERT INTO customer VALUES (?1)", [customer]).unwrap();
        store(&transaction, &entry).unwrap();
        transaction
    }

    fn rows(&self) -> i64 {
        self.connection.query_row("SELECT count(*) FROM auditx_outbox", [], |row| row.get(0)).unwrap()
    }

    /// Collects all, closes the trail, and returns the descriptions in it.
    fn collected(&self) -> Vec<String> {
        let outbox = SqliteOutbox::open(self.database()).unwrap();
        emptied(&Collector::spawn(&self.logger, outbox).unwrap());
        assert_eq!(self.rows(), 0);
        self.logger.close(TIMEOUT).unwrap();
        recorded(&self.directory.path().join("logs"))
    }
}

/// Returns a directory in memory if there is one: the kills do not end the system.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Waits until a collector that started after the last commit has found the outbox empty.
fn emptied(collector: &Collector) -> Progress {
    assert!(collector.wait_until(TIMEOUT, |progress| progress.emptied > 0), "{:?}", collector.progress());
    collector.progress()
}

fn recorded(trail: &Path) -> Vec<String> {
    entries(trail).iter().map(|line| line.description().to_owned()).collect()
}

#[test]
fn what_committed_is_recorded_and_what_rolled_back_is_not() {
    for mode in MODES {
        let mut application = Application::new(mode);
        application.changed(1).commit().unwrap();
        application.changed(2).rollback().unwrap();
        drop(application.changed(3));
        application.changed(4).commit().unwrap();
        assert_eq!(application.rows(), 2);
        assert_eq!(application.collected(), ["customer 1", "customer 4"]);
    }
}

#[test]
fn a_savepoint_that_rolls_back_leaves_nothing() {
    for mode in MODES {
        let mut application = Application::new(mode);
        let logger = application.logger.clone();
        let mut transaction = application.changed(1);
        for (customer, is_kept) in [(2, false), (3, true), (4, false)] {
            let entry = logger.log(format!("customer {customer}")).encode().unwrap();
            let savepoint = transaction.savepoint().unwrap();
            store(&savepoint, &entry).unwrap();
            if is_kept {
                savepoint.commit().unwrap();
            }
        }
        transaction.commit().unwrap();
        assert_eq!(application.collected(), ["customer 1", "customer 3"]);
    }
}

#[test]
fn entries_are_recorded_in_the_order_of_their_commits() {
    let mut application = Application::new("WAL");
    let outbox = SqliteOutbox::open(application.database()).unwrap();
    let collector = Collector::spawn(&application.logger, outbox).unwrap();
    let second = Connection::open(application.database()).unwrap();
    let late = application.logger.log("encoded first, committed last").encode().unwrap();
    for customer in 0..300 {
        application.changed(customer).commit().unwrap();
    }
    second.execute_batch("BEGIN").unwrap();
    store(&second, &late).unwrap();
    second.execute_batch("COMMIT").unwrap();
    assert!(collector.wait_until(TIMEOUT, |progress| progress.collected == 301));
    drop(collector);
    let mut expected: Vec<String> = (0..300).map(|customer| format!("customer {customer}")).collect();
    expected.push("encoded first, committed last".to_owned());
    assert_eq!(application.collected(), expected);
}

#[test]
fn an_entry_is_not_stored_without_a_transaction() {
    let application = Application::new("WAL");
    let entry = application.logger.log("x").encode().unwrap();
    let error = store(&application.connection, &entry).unwrap_err();
    assert!(error.is_database() && error.to_string().contains("no transaction is open"), "{error}");
    assert_eq!(application.rows(), 0);
}

#[test]
fn a_second_collector_is_refused() {
    let application = Application::new("WAL");
    let alias = application.directory.path().join("alias.db");
    symlink(application.database(), &alias).unwrap();
    let first = SqliteOutbox::open(application.database()).unwrap();
    let error = SqliteOutbox::open(&alias).unwrap_err();
    assert!(error.is_taken(), "{error}");
    let process = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&process), "{error}");
    drop(first);
    SqliteOutbox::open(&alias).unwrap();
}

#[test]
fn a_database_that_does_not_exist_is_not_created() {
    let directory = directory();
    let path = directory.path().join("typo.db");
    let error = SqliteOutbox::open(&path).unwrap_err();
    assert!(error.is_database() && error.to_string().contains("typo.db"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_row_that_cannot_be_an_entry_is_set_aside() {
    let mut application = Application::new("WAL");
    application
        .connection
        .execute_batch("INSERT INTO auditx_outbox (entry) VALUES ('{}'), (x'ff00'), (7)")
        .unwrap();
    application.changed(1).commit().unwrap();
    let database = application.database();
    let kept = Connection::open(&database).unwrap();
    assert_eq!(application.collected(), ["customer 1"]);
    let mut refused = kept.prepare("SELECT key, reason, refused_at FROM auditx_outbox_refused").unwrap();
    let refused = refused.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let refused: Vec<(i64, String, String)> = refused.map(Result::unwrap).collect();
    assert_eq!(refused.iter().map(|(key, ..)| *key).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(refused.iter().all(|(_, reason, _)| reason.contains("invalid encoded entry")), "{refused:?}");
    assert!(refused.iter().all(|(.., at)| Moment::parse(at).is_some()), "{refused:?}");
}

#[test]
fn a_key_is_never_used_twice() {
    let mut application = Application::new("WAL");
    let mut outbox = SqliteOutbox::open(application.database()).unwrap();
    for expected in 1..4 {
        application.changed(u32::try_from(expected).unwrap()).commit().unwrap();
        let keys: Vec<i64> = outbox.take(10).unwrap().iter().map(|row| row.key).collect();
        assert_eq!(keys, [expected]);
        outbox.remove(&keys).unwrap();
    }
}

#[test]
fn the_age_of_the_oldest_entry_is_known_while_it_waits() {
    let mut application = Application::new("WAL");
    application.changed(1).commit().unwrap();
    // The rows cannot be removed.
    let trigger = "CREATE TRIGGER kept BEFORE DELETE ON auditx_outbox BEGIN SELECT RAISE(FAIL, 'kept'); END";
    application.connection.execute_batch(trigger).unwrap();
    let outbox = SqliteOutbox::open(application.database()).unwrap();
    let collector = Collector::spawn(&application.logger, outbox).unwrap();
    assert!(collector.wait_until(TIMEOUT, |progress| progress.oldest.is_some()));
    assert!(collector.wait_until(TIMEOUT, |progress| progress.error.contains("kept")));
    application.connection.execute_batch("DROP TRIGGER kept").unwrap();
    assert_eq!(emptied(&collector).oldest, None);
    drop(collector);
    assert_eq!(application.collected(), ["customer 1"]);
}
