//! Keeps a copy of a trail in an SQLite database.
//!
//! A follower passes each entry in order and at least once; the database gets one row per line, exactly once.
//! A line that the database refuses permanently is parked in a second table, and the copy continues. The
//! database determines how far the copy is, so a database that was lost, or restored from an older backup, is
//! filled up from the trail. Rows are never changed.

mod refusals;
mod tables;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auditx_core::{HookError, RecordedEntry};
use auditx_store::TrailReader;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use refusals::Refusals;
use tables::{Held, Inserted};

pub use tables::Parked;

/// How long to wait for another connection's lock. After that the hook fails and is retried.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// A trail and the database that it is copied to.
#[derive(Debug, Clone)]
pub struct SqliteCopy {
    trail: PathBuf,
    database: PathBuf,
    refusals: Arc<Refusals>,
}

/// The result of [`SqliteCopy::retry_parked`].
#[derive(Debug, Default)]
pub struct Retried {
    /// The lines that were inserted.
    pub inserted: Vec<Parked>,
    /// The lines that are still parked, with the newest reason.
    pub refused: Vec<Parked>,
}

/// The result of storing one line.
enum Stored {
    Row,
    Parked(Parked),
    Refused(String),
}

impl SqliteCopy {
    /// Takes the trail's directory and the path of the database. Opens neither.
    #[must_use]
    pub fn new(trail: impl Into<PathBuf>, database: impl Into<PathBuf>) -> Self {
        Self { trail: trail.into(), database: database.into(), refusals: Arc::default() }
    }

    /// Copies the entry, after all earlier lines that the database does not have. Calls `on_parked` for each
    /// line that was parked, after the transaction that parks it is committed.
    ///
    /// # Errors
    /// Fails if the database cannot be written, or refuses a line and the line is not parked yet; the logger
    /// then retries the same entry, so nothing is lost. Fails if the database holds another trail.
    pub fn copy(
        &self,
        entry: &RecordedEntry<'_>,
        mut on_parked: impl FnMut(&Parked),
    ) -> Result<(), HookError> {
        // Opened for each entry, so that a file that was moved away or replaced is no longer written to.
        let mut database = self.open()?;
        while let Some(parked) = self.copy_until_parked(&mut database, entry)? {
            on_parked(&parked);
        }
        Ok(())
    }

    /// Copies lines up to the entry and returns `None`, or up to the first line that is parked and returns
    /// it.
    fn copy_until_parked(
        &self,
        database: &mut Connection,
        entry: &RecordedEntry<'_>,
    ) -> Result<Option<Parked>, HookError> {
        let mut transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut missing = TrailReader::new(&self.trail, self.first_missing(&transaction, entry)?);
        while missing.next_seq() < entry.seq() {
            let Some((_, line)) = missing.next_line()? else { break };
            let stored = self.store(&mut transaction, &RecordedEntry::from_line(line)?)?;
            if !matches!(stored, Stored::Row) {
                return self.commit(transaction, stored);
            }
        }
        let stored = self.store(&mut transaction, entry)?;
        self.commit(transaction, stored)
    }

    /// Returns the seq of the first line that the database does not have, after a check that its last line is
    /// from this trail.
    fn first_missing(
        &self,
        transaction: &Transaction<'_>,
        entry: &RecordedEntry<'_>,
    ) -> Result<u64, HookError> {
        let next = tables::next_seq(transaction)?;
        if next == 0 || next >= entry.seq() {
            return Ok(next);
        }
        let mut last = TrailReader::new(&self.trail, next - 1);
        if let Some((seq, line)) = last.next_line()?
            && seq == next - 1
            && tables::held(transaction, &RecordedEntry::from_line(line)?)? == Held::Other
        {
            return Err(tables::wrong_trail(seq));
        }
        Ok(next)
    }

    fn store(
        &self,
        transaction: &mut Transaction<'_>,
        line: &RecordedEntry<'_>,
    ) -> Result<Stored, HookError> {
        match tables::held(transaction, line)? {
            Held::Nothing => {}
            Held::Same => return Ok(Stored::Row),
            Held::Other => return Err(tables::wrong_trail(line.seq())),
        }
        // A line that is to be parked is not inserted first: a refusal may roll back the whole transaction.
        if let Some(reason) = self.refusals.final_reason(line.seq()) {
            return Ok(Stored::Parked(tables::park(transaction, line, reason)?));
        }
        match tables::insert(transaction, line)? {
            Inserted::Row => Ok(Stored::Row),
            Inserted::Refused(reason) => {
                self.refusals.count(line.seq(), &reason);
                Ok(Stored::Refused(reason))
            }
        }
    }

    /// Commits the transaction, including the lines before a refused one.
    fn commit(&self, transaction: Transaction<'_>, stored: Stored) -> Result<Option<Parked>, HookError> {
        // A trigger may have rolled the transaction back; its lines are then copied again.
        let is_rolled_back = transaction.is_autocommit();
        if !is_rolled_back {
            transaction.commit()?;
        }
        match stored {
            Stored::Row => Ok(None),
            Stored::Parked(parked) => {
                self.refusals.forget(parked.seq);
                Ok(Some(parked))
            }
            Stored::Refused(reason) => Err(format!("the database refuses the line: {reason}").into()),
        }
    }

    /// Tries to insert every parked line. Needs only the database; the writer of the trail may run.
    ///
    /// # Errors
    /// Fails if the database cannot be written. Lines that were inserted before the error stay inserted.
    pub fn retry_parked(&self) -> Result<Retried, HookError> {
        let mut database = self.open()?;
        let mut retried = Retried::default();
        for mut parked in tables::parked(&database)? {
            let mut transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if !tables::unpark(&transaction, &parked)? {
                // Another process has inserted it in the meantime.
                continue;
            }
            let line = RecordedEntry::from_line(parked.line.as_bytes())?;
            match tables::insert(&mut transaction, &line)? {
                Inserted::Row => {
                    transaction.commit()?;
                    retried.inserted.push(parked);
                }
                Inserted::Refused(reason) => {
                    drop(transaction);
                    tables::update_reason(&database, parked.seq, &reason)?;
                    parked.reason = reason;
                    retried.refused.push(parked);
                }
            }
        }
        Ok(retried)
    }

    /// Prints the rows and the parked lines.
    ///
    /// # Errors
    /// Fails if the database cannot be read or `out` cannot be written.
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
        for parked in tables::parked(&database)? {
            writeln!(out, "{:>5}  parked: {}", parked.seq, parked.reason)?;
        }
        Ok(())
    }

    fn open(&self) -> Result<Connection, rusqlite::Error> {
        let database = Connection::open(&self.database)?;
        database.busy_timeout(BUSY_TIMEOUT)?;
        tables::create(&database)?;
        Ok(database)
    }
}
