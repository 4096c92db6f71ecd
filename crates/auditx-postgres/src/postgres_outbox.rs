//! The outbox of a database, for a collector.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use auditx_capture::{Error as CaptureError, Outbox, Result, Waiting};
use auditx_reader::Moment;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;
use uuid::Uuid;

use crate::address::Address;
use crate::session::Session;

/// The outbox of a database: the table `auditx.outbox`, which [`init`](crate::init) creates. The user must be
/// a member of `auditx_collect`.
///
/// ```no_run
/// use auditx_capture::Collector;
/// use auditx_postgres::PostgresOutbox;
/// # let logger = auditx_core::AuditLogger::open(auditx_core::Config::new("logs"))?;
///
/// let outbox = PostgresOutbox::open("postgres://erp_collector@db.example/erp")?;
/// let collector = Collector::spawn(&logger, outbox)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// Rows are taken in the order of `seq` among those whose transactions have committed, and deleted when they
/// are recorded. No position is kept that could pass a row: a row with a small number whose transaction
/// commits late is simply the first row that the next look finds. The trail therefore has the entries of one
/// transaction in the order in which they were stored, and an entry always follows those of each transaction
/// that had committed when it was stored: their numbers are smaller, and a look that finds it finds them too.
/// So the changes of one row of a table, whose transactions wait for each other, are in order. Entries of
/// transactions that ran at the same time may be in either order.
///
/// # One collector
///
/// The session holds an advisory lock of the database, so it must be a session of its own: not one of a pool
/// that gives each transaction another session. If the connection is lost, the lock is lost with it and is
/// taken again. If another collector was faster, this one waits for it to end and is its replacement then.
/// Both must record into the same trail. A collector that has lost its connection but does not know it yet
/// may still record the rows that it took before, at most one batch; if another one takes them in that
/// moment, they are recorded twice.
///
/// # Durability
///
/// With `synchronous_commit = off`, PostgreSQL shows a transaction as committed before it is durable. If the
/// server crashes then, the trail has entries of a transaction that the database has lost.
pub struct PostgresOutbox {
    address: Address,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    /// `None` after a failure, until [`Outbox::waiting`] connects again.
    session: Option<Session>,
    /// When roles and rights are compared next.
    compare_at: Instant,
}

/// How often roles and rights are compared with their last state.
const COMPARE_INTERVAL: Duration = Duration::from_secs(60);

impl fmt::Debug for PostgresOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOutbox").finish_non_exhaustive()
    }
}

impl PostgresOutbox {
    /// Connects to the server and takes the lock of the outbox. The address is that of
    /// [`Postgres::new`](crate::Postgres::new). Blocks the thread, also if it belongs to an async runtime.
    ///
    /// # Errors
    /// If the address is invalid or the server cannot be reached; `is_taken` if another collector has the
    /// lock.
    pub fn open(url: &str) -> Result<Self> {
        let address = Address::parse(url).map_err(CaptureError::database)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(CaptureError::database)?;
        let mut outbox = Self { address, runtime: Some(runtime), session: None, compare_at: Instant::now() };
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
            self.session = Some(runtime(&self.runtime)?.block_on(Session::open(&self.address))?);
        }
        Ok(())
    }

    /// Runs a request. After a failure, the connection and its lock are given up: whether the server has
    /// ended them cannot be known.
    fn run<T>(&mut self, request: impl AsyncFnOnce(&Session) -> Result<T>) -> Result<T> {
        let session = self.session.take();
        let session = session.ok_or_else(|| CaptureError::database("the connection was lost"))?;
        let runtime = runtime(&self.runtime)?;
        let outcome = runtime.block_on(request(&session));
        if outcome.is_ok() {
            self.session = Some(session);
        } else {
            runtime.block_on(async move {
                drop(session);
                // The task of the connection closes the socket when it runs next.
                yield_now().await;
            });
        }
        outcome
    }
}

fn runtime(runtime: &Option<Runtime>) -> Result<&Runtime> {
    runtime.as_ref().ok_or_else(|| CaptureError::database("the outbox is closed"))
}

impl Drop for PostgresOutbox {
    fn drop(&mut self) {
        self.session = None;
        if let Some(runtime) = self.runtime.take() {
            // Does not wait, since this may be a thread of an async runtime. Closes the connection.
            runtime.shutdown_background();
        }
    }
}

impl Outbox for PostgresOutbox {
    fn waiting(&mut self) -> Result<Option<(Vec<Uuid>, Moment)>> {
        self.connect()?;
        self.run(async |session: &Session| session.waiting().await)
    }

    fn take(&mut self, limit: usize) -> Result<Vec<Waiting>> {
        if Instant::now() >= self.compare_at {
            self.run(async |session: &Session| session.compare().await)?;
            self.compare_at = Instant::now() + COMPARE_INTERVAL;
        }
        self.run(async |session: &Session| session.take(limit).await)
    }

    fn remove(&mut self, keys: &[i64]) -> Result<()> {
        self.run(async |session: &Session| session.remove(keys).await)
    }

    fn refuse(&mut self, key: i64, reason: &str) -> Result<()> {
        self.run(async |session: &Session| session.refuse(key, reason).await)
    }

    fn wait(&mut self, timeout: Duration) -> Result<()> {
        self.run(async |session: &Session| session.wait(timeout).await)
    }
}
