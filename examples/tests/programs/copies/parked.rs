//! Lines that the database refuses permanently are parked once and logged once, and the copy continues.

use std::fs;

use auditx_core::{AuditLogger, Config};
use auditx_tests::deadline::{TIMEOUT, wait_until};
use rusqlite::{Connection, TransactionBehavior};
use rustix::process::Signal;

use super::fixture::{Fixture, fixture};

const REFUSE_SERVICE: &str = "
    CREATE TRIGGER no_service BEFORE INSERT ON audit WHEN new.module = 'service'
    BEGIN SELECT raise(ABORT, 'service jobs are not kept here'); END";

/// More often than a line is refused before it is parked.
const OFTEN: usize = 6;

fn trigger(when: &str, action: &str) -> String {
    format!(
        "CREATE TRIGGER t {when} INSERT ON audit WHEN new.module = 'service'
         BEGIN SELECT raise({action}); END"
    )
}

/// Recreates the database with a constraint added to the last column of its table.
fn recreate_with(fixture: &Fixture, before: &str, constraint: &str) {
    let (_, schema) = fixture.query("SELECT 0, sql FROM sqlite_schema WHERE name = 'audit'").remove(0);
    let changed =
        schema.replace("data_json    TEXT NOT NULL", &format!("data_json TEXT NOT NULL, {constraint}"));
    assert_ne!(schema, changed);
    fs::remove_file(&fixture.database).unwrap();
    fixture.execute(&format!("{before}; {changed}"));
}

/// Runs once without and once with the cause, and asserts that only the lines of service jobs are parked.
fn assert_service_jobs_are_parked(prepare: impl FnOnce(&Fixture), expected: usize, reason: &str) {
    let fixture = fixture();
    fixture.run();
    prepare(&fixture);
    fixture.run();
    fixture.compare_with_parked();
    let parked = fixture.parked();
    assert_eq!(parked.len(), expected, "{reason}: {parked:?}");
    assert!(parked.iter().all(|(_, found)| found.contains(reason)), "{reason}: {parked:?}");
    let services = fixture.query("SELECT seq, line FROM audit_parked");
    assert!(services.iter().all(|(_, line)| line.contains("\"module\":\"service\"")), "{services:?}");
    assert_eq!(fixture.logged(&["the SQLite copy parked a line", reason]), expected, "each is logged once");
    fixture.run();
    assert_eq!(fixture.parked()[..expected], parked, "parked lines do not change");
    fixture.compare_with_parked();
}

#[test]
fn a_row_that_a_trigger_refuses_is_parked_once() {
    for (when, action, reason) in [
        ("BEFORE", "ABORT, 'not kept here'", "not kept here"),
        ("AFTER", "FAIL, 'not kept here'", "not kept here"),
        ("BEFORE", "ROLLBACK, 'not kept here'", "not kept here"),
        ("BEFORE", "IGNORE", "a trigger ignored it"),
    ] {
        // The table is emptied, so that the first run's line is refused in the middle of a transaction that
        // fills the table up.
        let sql = format!("DELETE FROM audit; {}", trigger(when, action));
        assert_service_jobs_are_parked(|fixture| fixture.execute(&sql), 2, reason);
    }
}

#[test]
fn a_row_that_a_constraint_refuses_is_parked_once() {
    // The database is recreated, so the first run's line is refused while it is filled up.
    for (before, constraint, reason) in [
        ("", "CHECK (module <> 'service')", "CHECK constraint failed"),
        (
            "",
            "kind INTEGER GENERATED ALWAYS AS (CASE module WHEN 'service' THEN 'text' ELSE 1 END) STORED",
            "cannot store TEXT value in INTEGER column",
        ),
        (
            "CREATE TABLE modules (name TEXT PRIMARY KEY) STRICT;
             INSERT INTO modules VALUES ('auth'), ('sales'), ('inventory'), ('crm'), ('system')",
            "FOREIGN KEY (module) REFERENCES modules (name)",
            "FOREIGN KEY constraint failed",
        ),
    ] {
        assert_service_jobs_are_parked(|fixture| recreate_with(fixture, before, constraint), 2, reason);
    }
}

#[test]
fn a_row_that_a_unique_index_refuses_is_parked() {
    let index = "CREATE UNIQUE INDEX one_job ON audit (module) WHERE module = 'service'";
    assert_service_jobs_are_parked(|fixture| fixture.execute(index), 1, "UNIQUE constraint failed");
}

#[test]
fn an_unwritable_database_parks_nothing() {
    let locked = fixture();
    locked.run();
    let mut other = Connection::open(&locked.database).unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
    let mut process = locked.start("3600");
    locked.wait_for_failures("database is locked", OFTEN);
    drop(lock);
    assert!(process.wait().success(), "{}", process.stderr());
    locked.compare();

    let broken = fixture();
    fs::write(&broken.database, "not a database, but long enough to be taken for one\n".repeat(100)).unwrap();
    let mut process = broken.start("3600");
    broken.wait_for_failures("file is not a database", OFTEN);
    fs::remove_file(&broken.database).unwrap();
    assert!(process.wait().success(), "{}", process.stderr());
    broken.compare();
}

#[test]
fn errors_not_about_the_row_park_nothing() {
    for (cause, reason, remedy) in [
        (
            "ALTER TABLE audit RENAME COLUMN user TO account",
            "has no column named user",
            "ALTER TABLE audit RENAME COLUMN account TO user",
        ),
        (
            "CREATE TRIGGER t BEFORE INSERT ON audit BEGIN SELECT json(new.description); END",
            "malformed JSON",
            "DROP TRIGGER t",
        ),
    ] {
        let fixture = fixture();
        fixture.run();
        fixture.execute(cause);
        let mut process = fixture.start("3600");
        fixture.wait_for_failures(reason, OFTEN);
        fixture.execute(remedy);
        assert!(process.wait().success(), "{}", process.stderr());
        fixture.compare();
    }
}

#[test]
fn a_temporary_refusal_parks_nothing() {
    let fixture = fixture();
    fixture.run();
    fixture.execute(REFUSE_SERVICE);
    let mut process = fixture.start("3600");
    fixture.wait_for_failures("service jobs are not kept here", 1);
    fixture.execute("DROP TRIGGER no_service");
    assert!(process.wait().success(), "{}", process.stderr());
    fixture.compare();
}

#[test]
fn retry_inserts_a_parked_line_after_the_cause_is_gone() {
    let fixture = fixture();
    fixture.run();
    fixture.execute(REFUSE_SERVICE);
    fixture.run();
    let parked = fixture.parked();
    assert_eq!(parked.len(), 1);

    // The trail's writer runs meanwhile.
    let logger = AuditLogger::open(Config::new(fixture.logs())).unwrap();
    assert!(!fixture.retry_parked(), "it reports that a line is still parked");
    assert_eq!(fixture.parked(), parked);
    fixture.execute("DROP TRIGGER no_service");
    assert!(fixture.retry_parked());
    assert!(fixture.retry_parked(), "nothing is left to do");
    logger.close(TIMEOUT).unwrap();

    fixture.run();
    fixture.compare();
}

#[test]
fn a_kill_before_parking_loses_nothing() {
    let fixture = fixture();
    fixture.run();
    fixture.execute(REFUSE_SERVICE);
    let refused = || fixture.logged(&["follower sqlite failed", "service jobs are not kept here"]);
    for refusals in [1, 2, 3, 3] {
        let (before, lines) = (refused(), fixture.lines().len());
        let mut process = fixture.start("3600");
        // The refused line may be from an earlier run; this run's own entries are in the trail in any case.
        wait_until("refusals and entries", || {
            refused() >= before + refusals && fixture.lines().len() >= lines + 6
        });
        process.signal(Signal::KILL);
        process.wait();
        assert!(fixture.parked().len() <= fixture.lines().len() - fixture.rows().len());
    }
    fixture.run();
    fixture.compare_with_parked();
    assert_eq!(fixture.parked().len(), 5, "one service job of each run since the trigger was created");
    fixture.execute("DROP TRIGGER no_service");
    assert!(fixture.retry_parked());
    fixture.compare();
}

#[test]
fn a_line_of_another_trail_is_never_parked() {
    let fixture = fixture();
    fixture.run();
    fixture.execute(REFUSE_SERVICE);
    fixture.run();
    let (rows, parked) = (fixture.rows(), fixture.parked());
    fs::remove_dir_all(fixture.logs()).unwrap();
    let mut process = fixture.start("3600");
    fixture.wait_for_failures("line 0 in the database is from another trail", OFTEN);
    process.signal(Signal::TERM);
    assert!(!process.wait().success());
    assert_eq!((fixture.rows(), fixture.parked()), (rows, parked));
}
