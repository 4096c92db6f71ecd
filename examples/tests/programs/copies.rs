//! The SQLite copy has every line exactly once, whatever happens to the database or the process.

mod fixture;
mod parked;

use std::fs;

use auditx_core::{AuditLogger, Config};
use auditx_tests::deadline::{TIMEOUT, wait_for};
use rusqlite::{Connection, TransactionBehavior};
use rustix::process::Signal;

use crate::trail;
use fixture::fixture;

#[test]
fn a_repeated_copy_has_every_line_once() {
    let fixture = fixture();
    fixture.run();
    let first = fixture.compare();
    fixture.run();
    assert_eq!(
        fixture.compare(),
        2 * first,
        "the first run creates the trail; the second records its checkpoint"
    );
}

#[test]
fn the_columns_match_the_line() {
    let fixture = fixture();
    fixture.run();
    let database = Connection::open(&fixture.database).unwrap();
    let posted =
        "SELECT id, timestamp, level, module, action, description, user, company_id, branch_id, reference_no
                  FROM audit WHERE module = 'sales'";
    let columns: Vec<String> =
        database.query_row(posted, (), |row| (0..10).map(|column| row.get(column)).collect()).unwrap();
    let entries = trail::read(&fixture.logs());
    let entry = entries.iter().find(|entry| entry.module == "sales").unwrap();
    let expected = [
        &entry.id,
        &entry.timestamp,
        "AUDIT",
        "sales",
        "POST",
        "Sales invoice posted",
        "admin",
        "CO-001",
        "BR-YGN",
        "SI-2026-0042",
    ];
    assert_eq!(columns, expected);
}

#[test]
fn a_locked_database_delays_the_copy_and_loses_nothing() {
    let fixture = fixture();
    fixture.run();
    let mut other = Connection::open(&fixture.database).unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
    let mut process = fixture.start("3600");
    fixture.wait_for_failures("database is locked", 1);
    drop(lock);
    assert!(process.wait().success(), "{}", process.stderr());
    fixture.compare();
}

#[test]
fn a_missing_directory_delays_the_copy_and_loses_nothing() {
    let mut fixture = fixture();
    let mounted = fixture.directory.path().join("not-mounted-yet");
    fixture.database = mounted.join("audit.db");
    let mut process = fixture.start("3600");
    fixture.wait_for_failures("unable to open database file", 1);
    fs::create_dir(&mounted).unwrap();
    assert!(process.wait().success(), "{}", process.stderr());
    fixture.compare();
}

#[test]
fn the_next_run_copies_what_is_missing() {
    let mut fixture = fixture();
    let mounted = fixture.directory.path().join("not-mounted-yet");
    fixture.database = mounted.join("audit.db");
    let mut process = fixture.start("1");
    assert!(!process.wait().success(), "it reports that the copy is incomplete");
    assert!(process.stderr().contains("the followers"), "{}", process.stderr());
    let recorded = trail::read(&fixture.logs());
    assert_eq!(recorded.last().and_then(trail::kind), Some("close"), "the trail itself is complete");
    fs::create_dir(&mounted).unwrap();
    fixture.run();
    assert!(fixture.compare() > recorded.len());
}

#[test]
fn a_kill_while_the_database_is_locked_loses_nothing() {
    let fixture = fixture();
    fixture.run();
    for _ in 0..3 {
        let mut other = Connection::open(&fixture.database).unwrap();
        let lock = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
        let before = trail::read(&fixture.logs()).len();
        let mut process = fixture.start("3600");
        // Its entries are in the trail but not in the database.
        wait_for("its last entry", || (trail::read(&fixture.logs()).len() >= before + 6).then_some(()));
        process.signal(Signal::KILL);
        assert!(!process.wait().success());
        drop(lock);
    }
    fixture.run();
    fixture.compare();
}

#[test]
fn a_lost_or_restored_database_is_filled_up_from_the_trail() {
    let fixture = fixture();
    fixture.run();
    let backup = fixture.directory.path().join("backup.db");
    fs::copy(&fixture.database, &backup).unwrap();
    fixture.run();
    fs::rename(&backup, &fixture.database).unwrap();
    fixture.run();
    fixture.compare();
    fs::remove_file(&fixture.database).unwrap();
    fixture.run();
    assert!(fixture.compare() > 20);
}

#[test]
fn a_database_of_another_trail_is_refused() {
    let fixture = fixture();
    fixture.run();
    fs::remove_dir_all(fixture.logs()).unwrap();
    AuditLogger::open(Config::new(fixture.logs())).unwrap().close(TIMEOUT).unwrap();
    let mut process = fixture.start("3600");
    fixture.wait_for_failures("line 0 in the database is from another trail", 1);
    process.signal(Signal::TERM);
    assert!(!process.wait().success());
}

#[test]
fn a_shorter_database_of_another_trail_is_refused() {
    let (other, fixture) = (fixture(), fixture());
    other.run();
    fixture.run();
    fixture.run();
    fs::copy(&other.database, &fixture.database).unwrap();
    let mut process = fixture.start("3600");
    fixture.wait_for_failures("in the database is from another trail", 1);
    process.signal(Signal::TERM);
    assert!(!process.wait().success());
    fs::copy(&fixture.database, &other.database).unwrap();
    other.compare();
}

#[test]
fn an_erased_line_is_still_the_same_line() {
    let fixture = fixture();
    fixture.run();
    let logger = AuditLogger::open(Config::new(fixture.logs())).unwrap();
    let entries = trail::read(&fixture.logs());
    for sale in entries.iter().filter(|entry| ["sales", "service"].contains(&entry.module.as_str())) {
        logger.erase(sale.seq, "a test").unwrap();
    }
    logger.close(TIMEOUT).unwrap();
    // The follower starts from the first line and reads the stubs of the two erased lines.
    fs::remove_file(fixture.logs().join(".auditx/cursors/sqlite")).unwrap();
    fixture.run();
    fs::remove_file(&fixture.database).unwrap();
    fixture.run();
    fixture.compare();
}
