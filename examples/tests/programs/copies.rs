//! The copy in SQLite: every line once, whatever happens to the database and to the process.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use auditx_core::{AuditLogger, Config, TrailReader};
use auditx_tests::deadline::{PATIENCE, wait_for};
use rusqlite::{Connection, TransactionBehavior};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::server::Process;
use crate::trail;

/// A trail and a database for it.
struct Fixture {
    directory: TempDir,
    database: PathBuf,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("audit.db");
    Fixture { directory, database }
}

impl Fixture {
    fn logs(&self) -> PathBuf {
        self.directory.path().join("logs")
    }

    fn start(&self, wait: &str) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sqlite_sync"));
        command
            .arg("--log-dir")
            .arg(self.logs())
            .arg("--database")
            .arg(&self.database)
            .args(["--wait", wait]);
        Process::start(command.stdout(Stdio::null()), self.directory.path())
    }

    fn run(&self) {
        let mut process = self.start(&PATIENCE.as_secs().to_string());
        assert!(process.wait().success(), "{}", process.stderr());
    }

    /// Waits until the logger says that the hook failed, for this reason.
    fn wait_for_failure(&self, reason: &str) {
        wait_for("the hook's failure", || {
            let told = fs::read_to_string(self.logs().join("app.log")).unwrap_or_default();
            told.lines()
                .any(|line| line.contains("follower sqlite failed") && line.contains(reason))
                .then_some(())
        });
    }

    /// The trail's lines, which must be exactly the database's rows.
    fn compare(&self) -> usize {
        let mut reader = TrailReader::new(self.logs(), 0);
        let mut lines = Vec::new();
        while let Some((seq, line)) = reader.next_line().unwrap() {
            lines.push((i64::try_from(seq).unwrap(), String::from_utf8(line.to_vec()).unwrap()));
        }
        let database = Connection::open(&self.database).unwrap();
        let mut rows = database.prepare("SELECT seq, data_json FROM audit ORDER BY rowid").unwrap();
        let rows: Vec<(i64, String)> =
            rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, lines);
        lines.len()
    }
}

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
    fixture.wait_for_failure("database is locked");
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
    fixture.wait_for_failure("unable to open database file");
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
    fixture.wait_for_failure("the database holds another trail's line 0");
    process.signal(Signal::TERM);
    assert!(!process.wait().success());
}
