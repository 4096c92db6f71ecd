//! The copy in SQLite: every line once, whatever happens to the database and to the process.

mod fixture;
mod parked;

use std::fs;

use auditx_core::{AuditLogger, Config};
use auditx_tests::deadline::{PATIENCE, wait_for};
use rusqlite::{Connection, TransactionBehavior};
use rustix::process::Signal;

use crate::trail;
use fixture::fixture;

#[test]
fn a_copy_has_every_line_once_however_often_it_runs() {
    let fixture = fixture();
    fixture.run();
    let first = fixture.compare();
    fixture.run();
    assert_eq!(
        fixture.compare(),
        2 * first,
        "where the first run begins the trail, the second notes its checkpoint"
    );
}

#[test]
fn the_columns_say_what_the_line_says() {
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
fn a_database_whose_place_is_missing_delays_the_copy_and_loses_nothing() {
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
fn what_one_run_could_not_copy_the_next_one_copies() {
    let mut fixture = fixture();
    let mounted = fixture.directory.path().join("not-mounted-yet");
    fixture.database = mounted.join("audit.db");
    let mut process = fixture.start("1");
    assert!(!process.wait().success(), "it says that the copy is not complete");
    assert!(process.stderr().contains("the followers"), "{}", process.stderr());
    let recorded = trail::read(&fixture.logs());
    assert_eq!(recorded.last().and_then(trail::kind), Some("close"), "the trail itself is complete");
    fs::create_dir(&mounted).unwrap();
    fixture.run();
    assert!(fixture.compare() > recorded.len());
}

#[test]
fn a_process_killed_while_the_database_is_locked_loses_and_doubles_nothing() {
    let fixture = fixture();
    fixture.run();
    for _ in 0..3 {
        let mut other = Connection::open(&fixture.database).unwrap();
        let lock = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
        let before = trail::read(&fixture.logs()).len();
        let mut process = fixture.start("3600");
        // Its own entries are in the trail, none of them is in the database.
        wait_for("its last entry", || (trail::read(&fixture.logs()).len() >= before + 6).then_some(()));
        process.signal(Signal::KILL);
        assert!(!process.wait().success());
        drop(lock);
    }
    fixture.run();
    fixture.compare();
}

#[test]
fn a_database_that_was_lost_or_put_back_from_a_backup_is_filled_up_from_the_trail() {
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
fn a_database_of_another_trail_is_refused_loudly() {
    let fixture = fixture();
    fixture.run();
    fs::remove_dir_all(fixture.logs()).unwrap();
    AuditLogger::open(Config::new(fixture.logs())).unwrap().close(PATIENCE).unwrap();
    let mut process = fixture.start("3600");
    fixture.wait_for_failures("the database holds another trail's line 0", 1);
    process.signal(Signal::TERM);
    assert!(!process.wait().success());
}

#[test]
fn a_database_of_another_trail_that_is_shorter_is_not_filled_up() {
    let (other, fixture) = (fixture(), fixture());
    other.run();
    fixture.run();
    fixture.run();
    fs::copy(&other.database, &fixture.database).unwrap();
    let mut process = fixture.start("3600");
    fixture.wait_for_failures("the database holds another trail's line", 1);
    process.signal(Signal::TERM);
    assert!(!process.wait().success());
    fs::copy(&fixture.database, &other.database).unwrap();
    other.compare();
}

#[test]
fn a_line_that_was_erased_is_still_the_same_line() {
    let fixture = fixture();
    fixture.run();
    let logger = AuditLogger::open(Config::new(fixture.logs())).unwrap();
    let entries = trail::read(&fixture.logs());
    for sale in entries.iter().filter(|entry| ["sales", "service"].contains(&entry.module.as_str())) {
        logger.erase(sale.seq, "a test").unwrap();
    }
    logger.close(PATIENCE).unwrap();
    // The follower begins anew and meets what is left of the two lines.
    fs::remove_file(fixture.logs().join(".auditx/cursors/sqlite")).unwrap();
    fixture.run();
    fs::remove_file(&fixture.database).unwrap();
    fixture.run();
    fixture.compare();
}
