//! The write-ahead log of a database as an outbox.

use std::fmt;
use std::thread;
use std::time::Duration;

use auditx_capture::{Error as CaptureError, Outbox, Result, Series, Waiting};
use auditx_reader::Moment;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;
use uuid::Uuid;

use crate::address::Address;
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
pub struct LogOutbox {
    address: Address,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    /// `None` after a failure, until [`Outbox::waiting`] connects again.
    session: Option<LogSession>,
}

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
        let address = Address::parse(url).map_err(CaptureError::database)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(CaptureError::database)?;
        let mut outbox = Self { address, runtime: Some(runtime), session: None };
        if Handle::try_current().is_err() {
            outbox.connect()?;
            return Ok(outbox);
        }
        // A thread of an async runtime cannot run another one.
        let connected = thread::scope(|scope| scope.spawn(|| outbox.connect()).join());
        connected.unwrap_or_else(|_| Err(CaptureError::database("the thread that connects ended")))?;
        Ok(outbox)
    }

    fn connect(&mut self) -> Result<()> {
        if self.session.is_none() {
            self.session = Some(runtime(&self.runtime)?.block_on(LogSession::open(&self.address))?);
        }
        Ok(())
    }

    /// Runs a request. After a failure, the connection is given up: how far the server is cannot be known.
    fn run<T>(&mut self, request: impl AsyncFnOnce(&mut LogSession) -> Result<T>) -> Result<T> {
        let session = self.session.take();
        let mut session = session.ok_or_else(|| CaptureError::database("the connection was lost"))?;
        let runtime = runtime(&self.runtime)?;
        let outcome = runtime.block_on(request(&mut session));
        if outcome.is_ok() {
            self.session = Some(session);
        } else {
            close(runtime, session);
        }
        outcome
    }
}

fn close(runtime: &Runtime, session: LogSession) {
    runtime.block_on(async move {
        drop(session);
        // The task of the connection closes the socket when it runs next.
        yield_now().await;
    });
}

fn runtime(runtime: &Option<Runtime>) -> Result<&Runtime> {
    runtime.as_ref().ok_or_else(|| CaptureError::database("the outbox is closed"))
}

impl Drop for LogOutbox {
    fn drop(&mut self) {
        self.session = None;
        if let Some(runtime) = self.runtime.take() {
            // Does not wait, since this may be a thread of an async runtime. Closes the connections.
            runtime.shutdown_background();
        }
    }
}

impl Outbox for LogOutbox {
    fn waiting(&mut self) -> Result<Option<(Vec<Uuid>, Moment)>> {
        // Rows that were taken but not removed come again only if the log is read again.
        if let Some(session) = self.session.take_if(|session| session.has_taken()) {
            close(runtime(&self.runtime)?, session);
        }
        self.connect()?;
        let earliest = self.run(async |session: &mut LogSession| session.earliest().await)?;
        Ok(earliest.map(|earliest| (Vec::new(), earliest)))
    }

    fn series(&self) -> Option<Series> {
        self.session.as_ref().map(LogSession::series)
    }

    fn resume(&mut self, last: Option<Uuid>) -> Result<()> {
        let place = last.and_then(|last| self.series()?.place(last));
        let Some((position, index)) = place else { return Ok(()) };
        self.run(async |session: &mut LogSession| session.resume(position, index).await)
    }

    fn take(&mut self, limit: usize) -> Result<Vec<Waiting>> {
        self.run(async |session: &mut LogSession| session.take(limit).await)
    }

    fn remove(&mut self, keys: &[i64]) -> Result<()> {
        self.run(async |session: &mut LogSession| session.remove(keys).await)
    }

    fn refuse(&mut self, key: i64, reason: &str) -> Result<()> {
        self.run(async |session: &mut LogSession| session.refuse(key, reason).await)
    }

    fn wait(&mut self, timeout: Duration) -> Result<()> {
        self.run(async |session: &mut LogSession| session.wait(timeout).await)
    }
}
