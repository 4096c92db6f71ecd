//! The outbox that a collector reads.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use auditx_capture::{Content, Error, Outbox, Result, Waiting};
use auditx_core::EncodedEntry;
use auditx_reader::Moment;
use rusqlite::{Connection, OpenFlags, Row};
use uuid::Uuid;

use crate::lock::{Lock, beside};
use crate::table::init;

/// How often SQLite is asked whether another connection has committed. It answers from shared memory in WAL
/// mode, and from the first page of the file otherwise.
const POLL: Duration = Duration::from_millis(10);

/// The longest wait at a time. A collector ends only between two of them, and a look at an empty table costs
/// little.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// How long the application may keep the database locked.
const BUSY: Duration = Duration::from_secs(5);

/// The outbox of a SQLite database, on a connection of its own.
pub struct SqliteOutbox {
    connection: Connection,
    /// The write-ahead log, which exists in WAL mode only.
    wal: PathBuf,
    /// What `PRAGMA data_version` returned before the last look at the table. It changes when another
    /// connection has committed.
    seen: i64,
    _lock: Lock,
}

impl std::fmt::Debug for SqliteOutbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteOutbox").field("wal", &self.wal).finish_non_exhaustive()
    }
}

impl SqliteOutbox {
    /// Opens the outbox of this database, and creates its tables if they do not exist. The database must
    /// exist.
    ///
    /// Only one collector may have it open. That is ensured by a lock on the file `DATABASE-auditx`, which
    /// ends with the process.
    ///
    /// # Errors
    /// `is_taken` if another collector has it open; `is_database` if it does not exist or SQLite fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let cannot = |error: io::Error| Error::database(format!("cannot open `{}`: {error}", path.display()));
        let path = path.canonicalize().map_err(cannot)?;
        let lock = Lock::take(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(Error::database)?;
        connection.busy_timeout(BUSY).map_err(Error::database)?;
        init(&connection)?;
        let mut outbox = Self { connection, wal: beside(&path, "-wal"), seen: 0, _lock: lock };
        outbox.sync_less().map_err(Error::database)?;
        Ok(outbox)
    }

    /// In WAL mode, does not wait for the disk when rows are removed. After a power loss they may be there
    /// again, and the next collector finds their entries in the trail.
    fn sync_less(&mut self) -> rusqlite::Result<()> {
        let mode: String = self.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if mode.eq_ignore_ascii_case("wal") {
            self.connection.execute_batch("PRAGMA synchronous = NORMAL")?;
        }
        Ok(())
    }

    fn data_version(&self) -> rusqlite::Result<i64> {
        self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
    }

    fn first(&mut self, limit: usize) -> rusqlite::Result<Vec<Waiting>> {
        // Before the rows are read: a commit in between is found again by `wait`, never missed.
        self.seen = self.data_version()?;
        let sql = "SELECT key, entry FROM auditx_outbox ORDER BY key LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            let (key, text) = (row.get(0)?, text(row, 1)?);
            Ok(Waiting::new(key, id(&text), Content::Entry(text)))
        })?;
        rows.collect()
    }

    /// Makes the commits durable that wrote the rows. With `synchronous = NORMAL`, the application's
    /// connections do not: after a power loss, the trail would have entries of changes that are gone.
    fn sync(&self) -> Result<()> {
        let synced = match File::open(&self.wal) {
            Ok(file) => file.sync_data(),
            // With a rollback journal, SQLite syncs each commit.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        synced.map_err(|error| Error::database(format!("cannot sync `{}`: {error}", self.wal.display())))
    }

    fn remove_all(&mut self, keys: &[i64]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(IMMEDIATE)?;
        {
            let mut delete = transaction.prepare_cached("DELETE FROM auditx_outbox WHERE key = ?1")?;
            for key in keys {
                delete.execute([key])?;
            }
        }
        transaction.commit()
    }

    fn set_aside(&mut self, key: i64, reason: &str) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(IMMEDIATE)?;
        transaction.execute(
            "INSERT INTO auditx_outbox_refused (key, entry, reason)
             SELECT key, entry, ?2 FROM auditx_outbox WHERE key = ?1",
            (key, reason),
        )?;
        transaction.execute("DELETE FROM auditx_outbox WHERE key = ?1", [key])?;
        transaction.commit()
    }
}

/// A transaction that begins to write only after it has read fails at once if another one writes.
const IMMEDIATE: rusqlite::TransactionBehavior = rusqlite::TransactionBehavior::Immediate;

impl Outbox for SqliteOutbox {
    fn waiting(&mut self) -> Result<Option<(Vec<Uuid>, Moment)>> {
        let statement = self.connection.prepare("SELECT entry FROM auditx_outbox ORDER BY key");
        let mut statement = statement.map_err(Error::database)?;
        let rows = statement.query_map([], |row| text(row, 0)).map_err(Error::database)?;
        let (mut ids, mut earliest) = (Vec::new(), None::<Moment>);
        for row in rows {
            // A row that cannot be an entry is not in the trail.
            if let Ok(entry) = EncodedEntry::parse(row.map_err(Error::database)?) {
                ids.push(entry.id());
                earliest = Some(earliest.map_or(entry.at(), |earliest| earliest.min(entry.at())));
            }
        }
        Ok(earliest.map(|earliest| (ids, earliest)))
    }

    fn take(&mut self, limit: usize) -> Result<Vec<Waiting>> {
        let rows = self.first(limit).map_err(Error::database)?;
        if !rows.is_empty() {
            self.sync()?;
        }
        Ok(rows)
    }

    fn remove(&mut self, keys: &[i64]) -> Result<()> {
        self.remove_all(keys).map_err(Error::database)
    }

    fn refuse(&mut self, key: i64, reason: &str) -> Result<()> {
        self.set_aside(key, reason).map_err(Error::database)
    }

    fn wait(&mut self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout.min(LONGEST_WAIT);
        loop {
            // Also before the first look: an application that commits all the time, to other tables, must not
            // make the collector read without a pause.
            thread::sleep(POLL);
            let version = self.data_version().map_err(Error::database)?;
            if version != self.seen || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }
}

/// Returns a column that other programs may have filled with anything.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
    })
}

/// Returns the id of the entry with this text. The collector refuses a text without one.
fn id(text: &str) -> Uuid {
    EncodedEntry::parse(text).map(|entry| entry.id()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
