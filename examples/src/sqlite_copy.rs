//! A copy of a trail in an SQLite database.
//!
//! Comes in: each entry, in order and at least once. Goes out: one row for each line, once; a line that the database
//! refuses for good is parked beside the rows, once, and the copy goes on. The database itself says how far it got, so that
//! one that was lost, or put back from an older backup, is filled up from the trail. It never changes a row.

mod refusals;
mod tables;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auditx_core::{HookError, RecordedEntry, TrailReader};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use refusals::Refusals;
use tables::{Held, Inserted};

pub use tables::Parked;

/// Whoever else writes is waited for this long; then the hook fails, and is called again.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// Where a trail is copied to.
#[derive(Debug, Clone)]
pub struct SqliteCopy {
    trail: PathBuf,
    database: PathBuf,
    refusals: Arc<Refusals>,
}

/// What became of the parked lines.
#[derive(Debug, Default)]
pub struct Retried {
    /// Those that are rows now.
    pub brought_in: Vec<Parked>,
    /// Those that stay parked, with the newest reason.
    pub still_refused: Vec<Parked>,
}

/// What became of one line.
enum Placed {
    Row,
    Parked(Parked),
    Refused(String),
}

impl SqliteCopy {
    /// The trail's directory, and the database. Neither is touched yet.
    #[must_use]
    pub fn new(trail: impl Into<PathBuf>, database: impl Into<PathBuf>) -> Self {
        Self { trail: trail.into(), database: database.into(), refusals: Arc::default() }
    }

    /// Copies the entry, and whatever before it the database does not have. Says which lines it had to park, each after
    /// that is certain.
    ///
    /// # Errors
    /// Where the database cannot be written, or refuses a line and has not yet done so often enough: nothing is lost, the
    /// logger calls again with the same entry. Where it holds the entries of another trail.
    pub fn take(&self, entry: &RecordedEntry<'_>, mut say: impl FnMut(&Parked)) -> Result<(), HookError> {
        // Opened anew each time: a file that was moved away or replaced is then no longer written to.
        let mut database = self.open()?;
        while let Some(parked) = self.copy(&mut database, entry)? {
            say(&parked);
        }
        Ok(())
    }

    /// Copies up to the entry, or up to the first line that had to be parked: then there is more to do.
    fn copy(
        &self,
        database: &mut Connection,
        entry: &RecordedEntry<'_>,
    ) -> Result<Option<Parked>, HookError> {
        let mut transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut missing = TrailReader::new(&self.trail, self.first_missing(&transaction, entry)?);
        while missing.position() < entry.seq() {
            let Some((_, line)) = missing.next_line()? else { break };
            let placed = self.place(&mut transaction, &RecordedEntry::from_line(line)?)?;
            if !matches!(placed, Placed::Row) {
                return self.settle(transaction, placed);
            }
        }
        let placed = self.place(&mut transaction, entry)?;
        self.settle(transaction, placed)
    }

    /// Where to begin filling up: behind the last line the database holds, once that was seen to be the trail's.
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
            return Err(tables::of_another_trail(seq));
        }
        Ok(next)
    }

    fn place(
        &self,
        transaction: &mut Transaction<'_>,
        line: &RecordedEntry<'_>,
    ) -> Result<Placed, HookError> {
        match tables::held(transaction, line)? {
            Held::Nothing => {}
            Held::Same => return Ok(Placed::Row),
            Held::Other => return Err(tables::of_another_trail(line.seq())),
        }
        // A refusal may have taken the whole transaction back, so what is to be parked is not tried first.
        if let Some(reason) = self.refusals.final_reason(line.seq()) {
            return Ok(Placed::Parked(tables::park(transaction, line, reason)?));
        }
        match tables::insert(transaction, line)? {
            Inserted::Row => Ok(Placed::Row),
            Inserted::Refused(reason) => {
                self.refusals.note(line.seq(), &reason);
                Ok(Placed::Refused(reason))
            }
        }
    }

    /// Makes certain what was placed. What came before a line that was refused stays.
    fn settle(&self, transaction: Transaction<'_>, placed: Placed) -> Result<Option<Parked>, HookError> {
        // A trigger of the user's may have rolled everything back; it comes again.
        let is_rolled_back = transaction.is_autocommit();
        if !is_rolled_back {
            transaction.commit()?;
        }
        match placed {
            Placed::Row => Ok(None),
            Placed::Parked(parked) => {
                self.refusals.forget(parked.seq);
                Ok(Some(parked))
            }
            Placed::Refused(reason) => Err(format!("the database refuses the line: {reason}").into()),
        }
    }

    /// Tries to bring every parked line in. Needs the database only: whoever writes the trail goes on.
    ///
    /// # Errors
    /// Where the database cannot be written. What was brought in until then stays.
    pub fn retry_parked(&self) -> Result<Retried, HookError> {
        let mut database = self.open()?;
        let mut retried = Retried::default();
        for mut parked in tables::parked(&database)? {
            let mut transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if !tables::unpark(&transaction, &parked)? {
                // Somebody else brought it in meanwhile.
                continue;
            }
            let line = RecordedEntry::from_line(parked.line.as_bytes())?;
            match tables::insert(&mut transaction, &line)? {
                Inserted::Row => {
                    transaction.commit()?;
                    retried.brought_in.push(parked);
                }
                Inserted::Refused(reason) => {
                    drop(transaction);
                    tables::note_reason(&database, parked.seq, &reason)?;
                    parked.reason = reason;
                    retried.still_refused.push(parked);
                }
            }
        }
        Ok(retried)
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
