//! Ships audit trails to PostgreSQL 15 or newer, and keeps there the exact lines, insert-only, beside columns to query by.
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
//! One transaction a batch: it locks the trail's row, compares what is there already, copies the rest in (binary COPY), moves the row
//! and commits. So each line is there once, in order and without a gap, whatever is repeated, and however often a connection or a
//! server dies. [`init`] makes the schema; anybody with `psql` can check a line:
//!
//! ```sql
//! SELECT seq FROM auditx.entry
//! WHERE leaf_hash <> sha256('\x00'::bytea || convert_to(line, 'UTF8')) AND line NOT LIKE '{"seq":%,"erased":"%"}';
//! ```
//!
//! Connections that leave the machine are encrypted, and the server's certificate is checked against the machine's own authorities or
//! those of `sslrootcert=FILE`; `sslmode=disable` turns that off.

mod error;
mod address;
mod connection;
mod value;
mod entry;
mod schema;
mod destination;
mod copy;
mod search;

pub use copy::PostgresCopy;
pub use destination::Postgres;
pub use error::{Error, Result};
pub use schema::{VERSION, init};
pub use search::Search;
