//! Records changes that committed in a SQLite database, and only those.
//!
//! The application stores an entry in the table `auditx_outbox` of its own database, in the transaction of
//! the change that the entry is about. If the transaction rolls back, or the process ends before it commits,
//! the entry is gone with it. A [`Collector`] moves entries into the trail after they have committed, each
//! exactly once.
//!
//! ```
//! use auditx_core::{AuditAction, AuditLogger, BusinessModule, Config};
//! use auditx_sqlite::{Collector, SqliteOutbox};
//! # let directory = tempfile::tempdir()?;
//! # let (database, log_dir) = (directory.path().join("erp.db"), directory.path().join("logs"));
//!
//! let logger = AuditLogger::open(Config::new(log_dir))?;
//! let mut connection = rusqlite::Connection::open(&database)?;
//! connection.execute_batch("CREATE TABLE customer (id INTEGER PRIMARY KEY, credit INTEGER)")?;
//! auditx_sqlite::init(&connection)?;
//! let collector = Collector::spawn(&logger, SqliteOutbox::open(&database)?)?;
//!
//! let transaction = connection.transaction()?;
//! transaction.execute("INSERT INTO customer VALUES (42, 500)", [])?;
//! let (module, action) = (BusinessModule::Crm, AuditAction::Create);
//! let entry = logger.log_change("Customer added", module, action, "customer", "42").encode()?;
//! auditx_sqlite::store(&transaction, &entry)?;
//! transaction.commit()?;
//!
//! let timeout = std::time::Duration::from_secs(60);
//! assert!(collector.wait_until(timeout, |progress| progress.collected == 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Other database libraries
//!
//! With sqlx, Diesel or SeaORM, execute [`OUTBOX_SQL`] once, and [`STORE_SQL`] in each transaction, with the
//! text of the encoded entry as its only parameter. A program can link only one version of SQLite's C
//! library. Cargo chooses the version of rusqlite, 0.39 or 0.40, that shares it with sqlx 0.9, SeaORM 2 or
//! Diesel 2.3. If another library needs another version, depend on this crate without its default feature
//! `rusqlite`, which leaves the two constants, and run the collector in a process of its own.
//!
//! # What applications must know
//!
//! - Both of SQLite's journal modes work: WAL and rollback journal. Only in WAL mode do the application and
//!   the collector never wait for each other's reads.
//! - Connections of the application need a busy timeout, since the collector writes to the database too.
//!   rusqlite and sqlx, which SeaORM uses, set one of 5 seconds. Diesel sets none: execute `PRAGMA
//!   busy_timeout = 5000` on each connection.
//! - A commit is synced to the disk before its entries are recorded, also with `PRAGMA synchronous = NORMAL`
//!   in WAL mode. With `OFF`, a power loss may undo a change whose entry is in the trail.

mod table;
#[cfg(feature = "rusqlite")]
mod lock;
#[cfg(feature = "rusqlite")]
mod outbox;

#[cfg(feature = "rusqlite")]
pub use auditx_capture::{Collector, Error, Progress, Result};
#[cfg(feature = "rusqlite")]
pub use outbox::SqliteOutbox;
pub use table::{OUTBOX_SQL, STORE_SQL};
#[cfg(feature = "rusqlite")]
pub use table::{init, store};
