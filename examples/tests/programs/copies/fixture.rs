//! A trail and a database for it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use auditx_core::TrailReader;
use auditx_tests::deadline::{PATIENCE, wait_until};
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
        let mut process = self.start(&PATIENCE.as_secs().to_string());
        assert!(process.wait().success(), "{}", process.stderr());
    }

    /// Tries to bring the parked lines in; whether none stays parked.
    pub(super) fn retry_parked(&self) -> bool {
        self.start_with(&["--retry-parked"]).wait().success()
    }

    /// How many lines of app.log say all of this.
    pub(super) fn told(&self, words: &[&str]) -> usize {
        let told = fs::read_to_string(self.logs().join("app.log")).unwrap_or_default();
        told.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    /// Waits until the logger says that the hook failed so often, for this reason.
    pub(super) fn wait_for_failures(&self, reason: &str, times: usize) {
        wait_until("the hook's failure", || self.told(&["follower sqlite failed", reason]) >= times);
    }

    /// What the trail holds, by number.
    pub(super) fn lines(&self) -> Vec<(i64, String)> {
        let mut reader = TrailReader::new(self.logs(), 0);
        let mut lines = Vec::new();
        while let Some((seq, line)) = reader.next_line().unwrap() {
            lines.push((i64::try_from(seq).unwrap(), String::from_utf8(line.to_vec()).unwrap()));
        }
        lines
    }

    /// A number and a text for each row that the query finds.
    pub(super) fn query(&self, query: &str) -> Vec<(i64, String)> {
        let database = Connection::open(&self.database).unwrap();
        let mut rows = database.prepare(query).unwrap();
        rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    pub(super) fn rows(&self) -> Vec<(i64, String)> {
        self.query("SELECT seq, data_json FROM audit ORDER BY seq")
    }

    /// The lines that are parked, and why.
    pub(super) fn parked(&self) -> Vec<(i64, String)> {
        self.query("SELECT seq, reason FROM audit_parked ORDER BY seq")
    }

    /// The trail's lines must be exactly the rows, none of them parked. How many there are.
    pub(super) fn compare(&self) -> usize {
        assert_eq!(self.parked(), []);
        let rows = self.rows();
        assert_eq!(rows, self.lines());
        rows.len()
    }

    /// The trail's lines must be exactly the rows and the parked lines together, and each in one of them only.
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
