//! A trail, the database that it is copied to, and runs of `sqlite_sync`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use auditx_store::TrailReader;
use auditx_tests::deadline::{TIMEOUT, wait_until};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::server::Process;

pub(super) struct Fixture {
    pub(super) directory: TempDir,
    pub(super) database: PathBuf,
}

pub(super) fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("audit.db");
    Fixture { directory, database }
}

impl Fixture {
    pub(super) fn logs(&self) -> PathBuf {
        self.directory.path().join("logs")
    }

    fn start_with(&self, arguments: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sqlite_sync"));
        command.arg("--log-dir").arg(self.logs()).arg("--database").arg(&self.database).args(arguments);
        Process::start(command.stdout(Stdio::null()), self.directory.path())
    }

    pub(super) fn start(&self, wait: &str) -> Process {
        self.start_with(&["--wait", wait])
    }

    pub(super) fn run(&self) {
        let mut process = self.start(&TIMEOUT.as_secs().to_string());
        assert!(process.wait().success(), "{}", process.stderr());
    }

    /// Retries the parked lines. Returns whether all were inserted.
    pub(super) fn retry_parked(&self) -> bool {
        self.start_with(&["--retry-parked"]).wait().success()
    }

    /// Returns how many lines of app.log contain all of these words.
    pub(super) fn logged(&self, words: &[&str]) -> usize {
        let log = fs::read_to_string(self.logs().join("app.log")).unwrap_or_default();
        log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    /// Waits until app.log says that the hook failed this many times for this reason.
    pub(super) fn wait_for_failures(&self, reason: &str, times: usize) {
        wait_until("the hook's failure", || self.logged(&["follower sqlite failed", reason]) >= times);
    }

    /// Returns the lines of the trail, with their seq.
    pub(super) fn lines(&self) -> Vec<(i64, String)> {
        let mut reader = TrailReader::new(self.logs(), 0);
        let mut lines = Vec::new();
        while let Some((seq, line)) = reader.next_line().unwrap() {
            lines.push((i64::try_from(seq).unwrap(), String::from_utf8(line.to_vec()).unwrap()));
        }
        lines
    }

    /// Runs a query that selects a number and a text.
    pub(super) fn query(&self, query: &str) -> Vec<(i64, String)> {
        let database = Connection::open(&self.database).unwrap();
        let mut rows = database.prepare(query).unwrap();
        rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    pub(super) fn rows(&self) -> Vec<(i64, String)> {
        self.query("SELECT seq, data_json FROM audit ORDER BY seq")
    }

    /// Returns seq and reason of each parked line.
    pub(super) fn parked(&self) -> Vec<(i64, String)> {
        self.query("SELECT seq, reason FROM audit_parked ORDER BY seq")
    }

    /// Asserts that the rows are exactly the trail's lines and none is parked. Returns their number.
    pub(super) fn compare(&self) -> usize {
        assert_eq!(self.parked(), []);
        let rows = self.rows();
        assert_eq!(rows, self.lines());
        rows.len()
    }

    /// Asserts that rows and parked lines together are exactly the trail's lines, each in one of the tables.
    pub(super) fn compare_with_parked(&self) {
        let mut all = self.rows();
        all.extend(self.query("SELECT seq, line FROM audit_parked"));
        all.sort();
        assert_eq!(all, self.lines());
    }

    pub(super) fn execute(&self, statements: &str) {
        Connection::open(&self.database).unwrap().execute_batch(statements).unwrap();
    }
}
