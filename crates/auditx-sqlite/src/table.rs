//! The tables, and the statement that stores an entry.

#[cfg(feature = "rusqlite")]
use auditx_capture::{Error, Result};
#[cfg(feature = "rusqlite")]
use auditx_core::EncodedEntry;
#[cfg(feature = "rusqlite")]
use rusqlite::Connection;

/// Creates the tables if they do not exist: two statements, for a migration of the application.
///
/// Table `auditx_outbox` has the entries that wait:
///
/// | column | type | content |
/// |---|---|---|
/// | `key` | `INTEGER` | the order of the entries; assigned by SQLite, never twice |
/// | `entry` | `TEXT` | `EncodedEntry::to_string()`: one JSON object |
///
/// Table `auditx_outbox_refused` has rows that cannot be entries, with the `reason` and the time
/// (`refused_at`, RFC 3339, UTC). [`store`](fn@crate::store) stores no such row; another program might.
// AUTOINCREMENT: without it, SQLite assigns the keys of removed rows again, and those of refused rows would
// repeat. SQLite has one writing transaction at a time, so the order of the keys is the order of the commits.
pub const OUTBOX_SQL: &str = "\
CREATE TABLE IF NOT EXISTS auditx_outbox (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS auditx_outbox_refused (
    key INTEGER PRIMARY KEY,
    entry TEXT NOT NULL,
    reason TEXT NOT NULL,
    refused_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
";

/// Stores an entry. The only parameter is a text: `EncodedEntry::to_string()`.
///
/// Execute it in the transaction of the change, once per entry.
pub const STORE_SQL: &str = "INSERT INTO auditx_outbox (entry) VALUES (?1)";

/// Creates the tables of the outbox if they do not exist ([`OUTBOX_SQL`]).
///
/// # Errors
/// `is_database` if SQLite fails.
#[cfg(feature = "rusqlite")]
pub fn init(connection: &Connection) -> Result<()> {
    connection.execute_batch(OUTBOX_SQL).map_err(Error::database)
}

/// Stores an entry in the transaction that is open on this connection. Takes a `Transaction` or a `Savepoint`
/// too: both dereference to their connection. The entry exists if they commit, and otherwise not.
///
/// # Errors
/// `is_database` if SQLite fails, or if no transaction is open: the entry would be independent of the change.
#[cfg(feature = "rusqlite")]
pub fn store(transaction: &Connection, entry: &EncodedEntry) -> Result<()> {
    if transaction.is_autocommit() {
        return Err(Error::database(
            "an entry is stored in the transaction of its change, but no transaction is open",
        ));
    }
    let mut statement = transaction.prepare_cached(STORE_SQL).map_err(Error::database)?;
    statement.execute([entry.as_str()]).map_err(Error::database)?;
    Ok(())
}
