//! Capture: changes of a table become entries, whatever program makes them.
//!
//! By trigger ([`enable`]), they are noted in the outbox, in the transaction that makes them. From the
//! write-ahead log ([`enable_logical`]), they are read after it has committed.
//!
//! The trigger notes each change, also one by hand with psql, and the collector makes an entry of the columns
//! that differ. It never makes the transaction fail because of a value: one of more than 8 KiB is noted by
//! its length and SHA-256, one that is no JSON as text. If the outbox cannot be written, the transaction
//! fails: no change is missing. A session with `session_replication_role = replica` fires no triggers.
//!
//! The context of a request travels in the setting [`CONTEXT`] of the transaction.

use std::time::Duration;

use tokio_postgres::{Row, Transaction};

use crate::address::Address;
use crate::connection::Connection;
use crate::ddl::ddl;
use crate::error::{Error, Result};
use crate::schema;

mod logical;

pub use crate::ddl::{Ddl, disable_ddl, enable_ddl};
pub use logical::{Slot, enable_logical};

/// Sets the context of the rest of the transaction. `$1` is the JSON object of
/// [`RequestContext::to_carrier`](auditx_format::context::RequestContext::to_carrier). Text that is not a
/// JSON object, or is longer than 64 KiB, is ignored.
pub const CONTEXT: &str = crate::outbox::SET_CONTEXT;

/// A table to capture.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Table {
    name: String,
    module: String,
    key: Vec<String>,
    exclude: Vec<String>,
    mask: Vec<String>,
}

impl Table {
    /// Creates the settings of a table, `customer` or `sales.customer`, as it is written in the catalog:
    /// without quotes. The module is that of its entries.
    pub fn new(name: impl Into<String>, module: impl Into<String>) -> Self {
        let (name, module) = (name.into(), module.into());
        Self { name, module, key: Vec::new(), exclude: Vec::new(), mask: Vec::new() }
    }

    /// Default: the primary key. Sets the columns that identify a row; entries have their values, joined with
    /// commas.
    #[must_use]
    pub fn key<T: Into<String>>(mut self, columns: impl IntoIterator<Item = T>) -> Self {
        self.key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Default: none. Sets the columns that are not noted. If only these change, nothing is.
    #[must_use]
    pub fn exclude<T: Into<String>>(mut self, columns: impl IntoIterator<Item = T>) -> Self {
        self.exclude = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Default: none. Sets the columns of which is noted that they changed, but not from what to what.
    #[must_use]
    pub fn mask<T: Into<String>>(mut self, columns: impl IntoIterator<Item = T>) -> Self {
        self.mask = columns.into_iter().map(Into::into).collect();
        self
    }
}

/// What is captured in a database, and what waits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The captured tables, in the order of their names.
    pub tables: Vec<Captured>,
    /// How many rows wait for a collector.
    pub waiting: u64,
    /// The age of the oldest of them.
    pub oldest: Option<Duration>,
    /// What is captured of commands, roles and rights.
    pub ddl: Ddl,
    /// The replication slot, if tables are captured from the log.
    pub slot: Option<Slot>,
}

/// A table that is captured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Captured {
    /// Its present schema and name.
    pub table: String,
    /// The type of its entities: its name when capture was enabled.
    pub entity_type: String,
    /// The module of its entries.
    pub module: String,
    /// The columns that identify a row.
    pub key: Vec<String>,
    /// The columns that are not noted.
    pub exclude: Vec<String>,
    /// The columns whose values are masked.
    pub mask: Vec<String>,
    /// `false` if the triggers were disabled with `ALTER TABLE`, if the log does not have all old values
    /// of a partition, or if the table is no longer published.
    pub is_active: bool,
    /// `true` if its changes are read from the log.
    pub is_from_log: bool,
}

/// A table of the catalog.
struct Relation {
    oid: u32,
    schema: String,
    name: String,
    kind: String,
}

/// How long a lock of a table is waited for. Transactions that want to write wait behind it.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '5s'";

/// Enables the capture of a table, or changes its settings. Creates or upgrades the schema `auditx` if
/// necessary. Returns what is captured.
///
/// Writing transactions wait while the triggers are created, for at most 5 seconds. After partitions were
/// added, call it again; otherwise a TRUNCATE of one of them alone is not noted.
///
/// # Errors
/// If there is no such table or column, if it has no key and none is given, if it is locked for longer, or if
/// the server cannot be reached or refuses: the user must be a superuser, or own the table and have the right
/// to execute the functions `auditx.note_*`.
pub async fn enable(url: &str, table: &Table) -> Result<Captured> {
    let mut connection = Connection::open(&Address::parse(url)?).await?;
    if !is_installed(&connection).await? {
        schema::init(url).await?;
    }
    let transaction = connection.client.transaction().await?;
    transaction.batch_execute(LOCK_TIMEOUT).await?;
    let relation = relation(&transaction, &table.name).await?;
    let key = key_of(&transaction, &relation, table).await?;
    if logical::is_captured(&transaction, relation.oid).await? {
        return Err(Error::refused(format!(
            "{} is captured from the log already: run `auditx capture disable` first",
            table.name
        )));
    }
    let statements = transaction
        .query(
            include_str!("capture/enable.sql"),
            &[&relation.oid, &table.module, &entity_type(&relation), &key, &table.mask, &table.exclude],
        )
        .await?;
    for row in &statements {
        match row.try_get::<_, Option<&str>>(1)? {
            Some(column) => return Err(Error::refused(format!("no column {column} in {}", table.name))),
            None => transaction.batch_execute(row.try_get(0)?).await?,
        }
    }
    let found = captured(&transaction, Some(relation.oid)).await?;
    transaction.commit().await?;
    found.into_iter().next().ok_or_else(|| Error::refused(format!("{} is not captured", table.name)))
}

/// Disables the capture of a table. Returns `false` if it was not captured. Changes that triggers noted still
/// wait for a collector. If no other table is captured from the log, the publication and the slot are
/// dropped, and changes that were not collected from the log are lost.
///
/// # Errors
/// If there is no such table, if it is locked for longer than 5 seconds, or if the server cannot be reached
/// or refuses.
pub async fn disable(url: &str, table: &str) -> Result<bool> {
    let mut connection = Connection::open(&Address::parse(url)?).await?;
    let was_logged = is_installed(&connection).await? && logical::disable(&mut connection, table).await?;
    let transaction = connection.client.transaction().await?;
    transaction.batch_execute(LOCK_TIMEOUT).await?;
    let relation = relation(&transaction, table).await?;
    let statements = transaction.query(include_str!("capture/disable.sql"), &[&relation.oid]).await?;
    for row in &statements {
        transaction.batch_execute(row.try_get(0)?).await?;
    }
    transaction.commit().await?;
    Ok(was_logged || !statements.is_empty())
}

/// Returns what is captured in a database, and what waits for a collector.
///
/// # Errors
/// If the server cannot be reached or refuses.
pub async fn status(url: &str) -> Result<Status> {
    let mut connection = Connection::open(&Address::parse(url)?).await?;
    let sql = "SELECT to_regclass('auditx.waiting') IS NOT NULL";
    if !connection.client.query_one(sql, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(Status { tables: Vec::new(), waiting: 0, oldest: None, ddl: Ddl::Off, slot: None });
    }
    let is_current = is_installed(&connection).await?;
    let ddl = if is_current { ddl(&connection).await? } else { Ddl::Off };
    let transaction = connection.client.transaction().await?;
    let mut tables = captured(&transaction, None).await?;
    let mut slot = None;
    if is_current {
        tables.extend(logical::captured(&transaction).await?);
        tables.sort_by(|a, b| a.table.cmp(&b.table));
        slot = logical::slot(&transaction).await?;
    }
    let sql = "SELECT count(*), extract(epoch FROM clock_timestamp() - min(at))::float8 FROM auditx.waiting";
    let row = transaction.query_one(sql, &[]).await?;
    let seconds: Option<f64> = row.try_get(1)?;
    Ok(Status {
        tables,
        slot,
        waiting: u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0),
        // Negative if the clock was set back.
        oldest: seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
        ddl,
    })
}

/// Whether the schema has what this version needs.
async fn is_installed(connection: &Connection) -> Result<bool> {
    let sql = "SELECT to_regclass('auditx.logical_slot') IS NOT NULL";
    Ok(connection.client.query_one(sql, &[]).await?.try_get(0)?)
}

async fn relation(transaction: &Transaction<'_>, name: &str) -> Result<Relation> {
    let sql = "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text FROM pg_class c \
               JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
               AND ((c.relname::text = $1 AND pg_table_is_visible(c.oid)) \
               OR n.nspname || '.' || c.relname = $1)";
    let rows = transaction.query(sql, &[&name]).await?;
    let [row] = &rows[..] else {
        let why = if rows.is_empty() { "no table" } else { "more than one table" };
        return Err(Error::refused(format!(
            "{why} {name} in the database: write schema.table, without quotes"
        )));
    };
    let relation = Relation {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        kind: row.try_get(3)?,
    };
    if relation.schema == "auditx" {
        return Err(Error::refused("a table of the schema auditx cannot be captured"));
    }
    if !["r", "p"].contains(&relation.kind.as_str()) {
        return Err(Error::refused(format!(
            "{name} is a view or a foreign table: capture the table behind it"
        )));
    }
    Ok(relation)
}

/// Returns the columns of the key.
async fn key_of(transaction: &Transaction<'_>, relation: &Relation, table: &Table) -> Result<Vec<String>> {
    let key =
        if table.key.is_empty() { primary_key(transaction, relation).await? } else { table.key.clone() };
    if let Some(column) = table.mask.iter().find(|column| key.contains(column)) {
        return Err(Error::refused(format!(
            "the column {column} is part of the key, which cannot be masked"
        )));
    }
    Ok(key)
}

async fn primary_key(transaction: &Transaction<'_>, relation: &Relation) -> Result<Vec<String>> {
    let sql = "SELECT a.attname::text \
               FROM pg_index i, unnest(i.indkey::int[]) WITH ORDINALITY k (number, position), \
               pg_attribute a WHERE i.indrelid = $1 AND i.indisprimary AND a.attrelid = i.indrelid \
               AND a.attnum = k.number ORDER BY k.position";
    let rows = transaction.query(sql, &[&relation.oid]).await?;
    if rows.is_empty() {
        return Err(Error::refused(format!(
            "the table {} has no primary key: name the columns that identify a row with --key",
            relation.name
        )));
    }
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Returns the type of the entities of a table. It stays the same if the table is renamed.
fn entity_type(relation: &Relation) -> String {
    match relation.schema.as_str() {
        "public" => relation.name.clone(),
        schema => format!("{schema}.{}", relation.name),
    }
}

/// Returns this table if it is captured, or all that are.
async fn captured(transaction: &Transaction<'_>, oid: Option<u32>) -> Result<Vec<Captured>> {
    let rows = transaction.query(include_str!("capture/status.sql"), &[&oid]).await?;
    rows.iter().map(|row| captured_of(row, false)).collect()
}

/// Returns the table of a row of either `status.sql`.
fn captured_of(row: &Row, is_from_log: bool) -> Result<Captured> {
    Ok(Captured {
        table: row.try_get(0)?,
        entity_type: row.try_get(1)?,
        module: row.try_get(2)?,
        key: row.try_get(3)?,
        mask: row.try_get(4)?,
        exclude: row.try_get(5)?,
        is_active: row.try_get(6)?,
        is_from_log,
    })
}
