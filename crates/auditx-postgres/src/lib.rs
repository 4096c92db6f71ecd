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
//! Connections are not encrypted yet: use a Unix socket, loopback, or a tunnel; `sslmode=require` is refused with an error.

mod error;
mod connection;
mod value;
mod entry;
mod schema;
mod destination;

pub use destination::Postgres;
pub use error::{Error, Result};
pub use schema::{VERSION, init};
