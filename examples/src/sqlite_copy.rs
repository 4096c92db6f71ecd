//! A copy of a trail in an SQLite database.
//!
//! Comes in: each entry, in order and at least once. Goes out: one row for each line, once. The database itself says how
//! far it got, so that one that was lost, or put back from an older backup, is filled up from the trail. It never changes a
//! row.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use auditx_core::{HookError, RecordedEntry, TrailReader};
use rusqlite::{Connection, Transaction, params};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS audit (
        seq          INTEGER PRIMARY KEY,
        id           TEXT NOT NULL UNIQUE,
        timestamp    TEXT NOT NULL,
        level        TEXT NOT NULL,
        module       TEXT NOT NULL,
        action       TEXT NOT NULL,
        description  TEXT NOT NULL,
        user         TEXT NOT NULL,
        company_id   TEXT NOT NULL,
        branch_id    TEXT NOT NULL,
        reference_no TEXT NOT NULL,
        data_json    TEXT NOT NULL
    ) STRICT";

const INSERT: &str = "INSERT OR IGNORE INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// Whoever else writes is waited for this long; then the hook fails, and is called again.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// Where a trail is copied to.
#[derive(Debug, Clone)]
pub struct SqliteCopy {
    trail: PathBuf,
    database: PathBuf,
}

impl SqliteCopy {
    /// The trail's directory, and the database. Neither is touched yet.
    #[must_use]
    pub fn new(trail: impl Into<PathBuf>, database: impl Into<PathBuf>) -> Self {
        Self { trail: trail.into(), database: database.into() }
    }

    /// Copies the entry, and whatever before it the database does not have.
    ///
    /// # Errors
    /// Where the database cannot be written: nothing is lost, the logger calls again with the same entry. Where it holds
    /// the entries of another trail.
    pub fn take(&self, entry: &RecordedEntry<'_>) -> Result<(), HookError> {
        // Opened anew each time: a file that was moved away or replaced is then no longer written to.
        let mut database = self.open()?;
        let transaction = database.transaction()?;
        let next: i64 =
            transaction.query_row("SELECT coalesce(max(seq) + 1, 0) FROM audit", (), |row| row.get(0))?;
        let mut missing = TrailReader::new(&self.trail, u64::try_from(next)?);
        while missing.position() < entry.seq() {
            let Some((_, line)) = missing.next_line()? else { break };
            insert(&transaction, &RecordedEntry::from_line(line)?)?;
        }
        insert(&transaction, entry)?;
        Ok(transaction.commit()?)
    }

    /// Prints the rows.
    ///
    /// # Errors
    /// Where the database cannot be read, or nobody takes what is printed.
    pub fn print(&self, mut out: impl Write) -> Result<(), HookError> {
        let database = self.open()?;
        let mut rows =
            database.prepare("SELECT seq, timestamp, level, user, description FROM audit ORDER BY seq")?;
        let mut rows = rows.query(())?;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
            writeln!(out, "{seq:>5}  {}  {:<8}  {:<8}  {}", text(1)?, text(2)?, text(3)?, text(4)?)?;
        }
        Ok(())
    }

    fn open(&self) -> Result<Connection, rusqlite::Error> {
        let database = Connection::open(&self.database)?;
        database.busy_timeout(BUSY_TIMEOUT)?;
        database.execute(SCHEMA, ())?;
        Ok(database)
    }
}

/// The primary key makes at least once exactly once.
fn insert(transaction: &Transaction<'_>, line: &RecordedEntry<'_>) -> Result<(), HookError> {
    let entry = line.parse()?;
    let seq = i64::try_from(entry.seq)?;
    let values = params![
        seq,
        entry.id,
        entry.timestamp,
        entry.level,
        entry.module,
        entry.action,
        entry.description,
        entry.user,
        entry.company_id,
        entry.branch_id,
        entry.reference_no,
        line.line(),
    ];
    let inserted = transaction.prepare_cached(INSERT)?.execute(values)?;
    let known = || -> rusqlite::Result<bool> {
        let same = "SELECT count(*) FROM audit WHERE seq = ?1 AND data_json = ?2";
        transaction.query_row(same, params![seq, line.line()], |row| Ok(row.get::<_, i64>(0)? == 1))
    };
    if inserted == 0 && !known()? {
        return Err(io::Error::other(format!("the database holds another trail's line {seq}")).into());
    }
    Ok(())
}
