//! The outbox of a database, for a collector.

use std::fmt;
use std::time::{Duration, Instant};

use auditx_capture::{Outbox, Result, Waiting};
use auditx_reader::Moment;
use uuid::Uuid;

use crate::blocking::Blocking;
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
    session: Blocking<Session>,
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
        Ok(Self { session: Blocking::open(url)?, compare_at: Instant::now() })
    }
}

impl Outbox for PostgresOutbox {
    fn waiting(&mut self) -> Result<Option<(Vec<Uuid>, Moment)>> {
        self.session.connect()?;
        self.session.run(async |session: &mut Session| session.waiting().await)
    }

    fn take(&mut self, limit: usize) -> Result<Vec<Waiting>> {
        if Instant::now() >= self.compare_at {
            self.session.run(async |session: &mut Session| session.compare().await)?;
            self.compare_at = Instant::now() + COMPARE_INTERVAL;
        }
        self.session.run(async |session: &mut Session| session.take(limit).await)
    }

    fn remove(&mut self, keys: &[i64]) -> Result<()> {
        self.session.run(async |session: &mut Session| session.remove(keys).await)
    }

    fn refuse(&mut self, key: i64, reason: &str) -> Result<()> {
        self.session.run(async |session: &mut Session| session.refuse(key, reason).await)
    }

    fn wait(&mut self, timeout: Duration) -> Result<()> {
        self.session.run(async |session: &mut Session| session.wait(timeout).await)
    }
}
