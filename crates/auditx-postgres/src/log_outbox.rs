//! The write-ahead log of a database as an outbox.

use std::fmt;
use std::time::Duration;

use auditx_capture::{Outbox, Result, Series, Waiting};
use auditx_reader::Moment;
use uuid::Uuid;

use crate::blocking::Blocking;
use crate::log_session::LogSession;

/// The changes of captured tables in the write-ahead log of a database. It needs `wal_level = logical`;
/// [`capture::enable_logical`](crate::capture::enable_logical) prepares a table. The user must be a member of
/// `auditx_collect` and have the attribute `REPLICATION`.
///
/// ```no_run
/// use auditx_capture::Collector;
/// use auditx_postgres::LogOutbox;
/// # let logger = auditx_core::AuditLogger::open(auditx_core::Config::new("logs"))?;
///
/// let outbox = LogOutbox::open("postgres://erp_collector@db.example/erp")?;
/// let collector = Collector::spawn(&logger, outbox)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// Changes come in the order of the commits of their transactions, and within a transaction in the order in
/// which they were made. Those of a transaction are streamed after it has committed, and recorded while the
/// rest of it arrives.
///
/// # Once
///
/// The id of an entry holds the position of the commit and the number of the change in the transaction, so
/// the last such entry in the trail says where to continue. An application cannot forge it: the collector
/// refuses its entries with ids of this kind. After a failover the log is a different one, and changes that
/// were recorded but not confirmed are recorded again, with other ids.
pub struct LogOutbox(Blocking<LogSession>);

impl fmt::Debug for LogOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogOutbox").finish_non_exhaustive()
    }
}

impl LogOutbox {
    /// Connects to the server and begins to read the log. The address is that of
    /// [`Postgres::new`](crate::Postgres::new). Blocks the thread, also if it belongs to an async runtime.
    ///
    /// # Errors
    /// If the address is invalid, the server cannot be reached, or it has no slot for this database;
    /// `is_taken` if another collector reads the slot.
    pub fn open(url: &str) -> Result<Self> {
        Ok(Self(Blocking::open(url)?))
    }
}

impl Outbox for LogOutbox {
    fn waiting(&mut self) -> Result<Option<(Vec<Uuid>, Moment)>> {
        // Rows that were taken but not removed come again only if the log is read again.
        if self.0.session().is_some_and(LogSession::has_taken) {
            self.0.give_up()?;
        }
        self.0.connect()?;
        let earliest = self.0.run(async |session: &mut LogSession| session.earliest().await)?;
        Ok(earliest.map(|earliest| (Vec::new(), earliest)))
    }

    fn series(&self) -> Option<Series> {
        self.0.session().map(LogSession::series)
    }

    fn resume(&mut self, last: Option<Uuid>) -> Result<()> {
        let place = last.and_then(|last| self.series()?.place(last));
        let Some((position, index)) = place else { return Ok(()) };
        self.0.run(async |session: &mut LogSession| session.resume(position, index).await)
    }

    fn take(&mut self, limit: usize) -> Result<Vec<Waiting>> {
        self.0.run(async |session: &mut LogSession| session.take(limit).await)
    }

    fn remove(&mut self, keys: &[i64]) -> Result<()> {
        self.0.run(async |session: &mut LogSession| session.remove(keys).await)
    }

    fn refuse(&mut self, key: i64, reason: &str) -> Result<()> {
        self.0.run(async |session: &mut LogSession| session.refuse(key, reason).await)
    }

    fn wait(&mut self, timeout: Duration) -> Result<()> {
        self.0.run(async |session: &mut LogSession| session.wait(timeout).await)
    }
}
