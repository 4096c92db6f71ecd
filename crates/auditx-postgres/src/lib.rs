//! Ships audit trails to PostgreSQL 15 or newer. The exact lines are stored insert-only, with additional
//! columns for queries.
//!
//! ```no_run
//! use auditx_postgres::Postgres;
//! use auditx_ship::{Settings, Shipper};
//!
//! let destination = Postgres::new("postgres://erp_shipper@db.example/audit")?;
//! let shipper = Shipper::spawn("/var/log/erp", destination, Settings::default())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each batch is one transaction: it locks the trail's row, compares lines that are stored already, copies
//! the rest (binary COPY), updates the row and commits. Each line is therefore stored once, in order and
//! without a gap, even if batches are sent again or connections and servers fail. [`init`] creates the
//! schema. This query checks the stored lines with `psql`:
//!
//! ```sql
//! SELECT seq FROM auditx.entry
//! WHERE leaf_hash <> sha256('\x00'::bytea || convert_to(line, 'UTF8'))
//! AND line NOT LIKE '{"seq":%,"erased":"%"}';
//! ```
//!
//! An application whose business data is in PostgreSQL can store entries in the transactions that they
//! describe ([`outbox`]); [`PostgresOutbox`] offers them to a collector. [`LogOutbox`] offers the changes of
//! tables that are captured from the write-ahead log ([`capture::enable_logical`]).
//!
//! Connections to other machines are encrypted, and the server's certificate is verified with the machine's
//! certificate authorities or those of `sslrootcert=FILE`; `sslmode=disable` turns both off.

mod error;
mod address;
mod connection;
mod value;
mod entry;
mod schema;
mod destination;
mod copy;
mod search;
mod trail_search;
mod proof;
pub mod outbox;
mod change;
mod row_change;
mod blocking;
mod session;
mod postgres_outbox;
mod lsn;
mod pgoutput;
mod startup;
mod replication;
mod column_value;
mod logged_table;
mod log_changes;
mod log_slot;
mod log_session;
mod log_outbox;
mod ddl;
pub mod capture;

pub use copy::{PostgresCopy, TrailHead};
pub use destination::Postgres;
pub use error::{Error, Result};
pub use log_outbox::LogOutbox;
pub use postgres_outbox::PostgresOutbox;
pub use proof::ProofOutcome;
pub use schema::{VERSION, init};
pub use search::Search;
pub use trail_search::{StoredRow, TrailSearch, TrailSummary};
