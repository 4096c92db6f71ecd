//! Capture from the write-ahead log: a publication, a replication slot, and the settings of the tables.

use tokio_postgres::Transaction;

use super::{Captured, LOCK_TIMEOUT, Relation, Table, entity_type, is_installed, key_of, relation};
use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::schema;

/// The replication slot of a database.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// `false` if it was dropped or the server has removed the log that it needs: changes are missing.
    pub is_there: bool,
    /// Whether a collector reads it now.
    pub is_read: bool,
    /// How many bytes of the log the server keeps for it.
    pub retained: u64,
    /// How many bytes of the log are not confirmed by a collector yet.
    pub waiting: u64,
}

const IS_TRIGGERED: &str = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $1::oid \
     AND tgfoid IN (to_regprocedure('auditx.note_change()'), to_regprocedure('auditx.note_part_of_change()')))";

const IS_CAPTURED: &str = "SELECT EXISTS (SELECT FROM auditx.logical WHERE relation = $1::oid AND is_active)";

const OTHERS: &str = "SELECT count(*) FROM auditx.logical WHERE is_active AND relation <> $1::oid";

const SLOT: &str = "SELECT l.name, coalesce(s.wal_status <> 'lost', false), coalesce(s.active, false), \
     coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), s.restart_lsn), 0)::int8, \
     coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), s.confirmed_flush_lsn), 0)::int8 \
     FROM auditx.logical_slot l LEFT JOIN pg_replication_slots s ON s.slot_name = l.name";

/// Has the id of the transaction: a collector may read it before other sessions see what was committed.
const NEW_SETTINGS: &str =
    "SELECT pg_logical_emit_message(true, 'auditx.settings', pg_current_xact_id()::text)";

/// Creates the slot if it does not exist. If it is noted but was dropped, the noted position is kept: the
/// collector records that changes are missing after it. Slots have names of the whole server.
const CREATE_SLOT: &str = "SELECT pg_create_logical_replication_slot('auditx_' || oid, 'pgoutput') \
     FROM pg_database WHERE datname = current_database() \
     AND NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'auditx_' || oid)";
const NOTE_SLOT: &str = "INSERT INTO auditx.logical_slot (name, confirmed) \
     SELECT slot_name, confirmed_flush_lsn FROM pg_replication_slots \
     WHERE database = current_database() AND slot_name = 'auditx_' || datoid \
     ON CONFLICT DO NOTHING";
const DROP_LOST: &str = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
     WHERE wal_status = 'lost' AND slot_name IN (SELECT name FROM auditx.logical_slot)";
const DROP_SLOT: &str = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
     WHERE slot_name IN (SELECT name FROM auditx.logical_slot)";

/// Enables the capture of a table from the write-ahead log, or changes its settings. Creates or upgrades the
/// schema `auditx`, the publication `auditx` and the replication slot if necessary. Returns what is captured.
///
/// The table and its partitions get `REPLICA IDENTITY FULL`, so that the log has the old values;
/// [`disable`](super::disable) restores what was there. The slot is created after all transactions have ended
/// that run at this time. After partitions were added, call it again.
///
/// # Errors
/// If `wal_level` is not `logical`, if there is no such table or column, if it has no key and none is given,
/// if triggers capture it already, if it is locked for more than 5 seconds, or if the server cannot be
/// reached or refuses: the user must be a superuser.
pub async fn enable_logical(url: &str, table: &Table) -> Result<Captured> {
    let mut connection = Connection::open(&Address::parse(url)?).await?;
    check_level(&connection).await?;
    if !is_installed(&connection).await? {
        schema::init(url).await?;
    }
    let transaction = connection.client.transaction().await?;
    transaction.batch_execute(LOCK_TIMEOUT).await?;
    let relation = relation(&transaction, &table.name).await?;
    let key = key_of(&transaction, &relation, table).await?;
    if transaction.query_one(IS_TRIGGERED, &[&relation.oid]).await?.try_get(0)? {
        return Err(Error::refused(format!(
            "{} is captured by triggers already: run `auditx capture disable` first",
            table.name
        )));
    }
    note(&transaction, &relation, table, &key).await?;
    for sql in [include_str!("logical/identity.sql"), include_str!("logical/publish.sql")] {
        for row in &transaction.query(sql, &[&relation.oid]).await? {
            transaction.batch_execute(row.try_get(0)?).await?;
        }
    }
    let found = captured(&transaction).await?;
    // Collectors read the settings again when they come to this position in the log.
    transaction.execute(NEW_SETTINGS, &[]).await?;
    transaction.commit().await?;
    connection.client.execute(DROP_LOST, &[]).await?;
    connection.client.execute(CREATE_SLOT, &[]).await?;
    connection.client.execute(NOTE_SLOT, &[]).await?;
    let of_table = found.into_iter().find(|captured| captured.entity_type == entity_type(&relation));
    of_table.ok_or_else(|| Error::refused(format!("{} is not captured", table.name)))
}

async fn check_level(connection: &Connection) -> Result<()> {
    let level: String = connection.client.query_one("SHOW wal_level", &[]).await?.try_get(0)?;
    if level == "logical" {
        return Ok(());
    }
    Err(Error::refused(format!(
        "wal_level is {level}: run `ALTER SYSTEM SET wal_level = 'logical'` and restart the server, or \
         capture by trigger, without --logical"
    )))
}

/// Stores the settings.
async fn note(
    transaction: &Transaction<'_>,
    relation: &Relation,
    table: &Table,
    key: &[String],
) -> Result<()> {
    let named: Vec<&String> = key.iter().chain(&table.mask).chain(&table.exclude).collect();
    let row = transaction.query_one(include_str!("logical/columns.sql"), &[&relation.oid, &named]).await?;
    if let Some(column) = row.try_get::<_, Option<&str>>(1)? {
        return Err(Error::refused(format!("no column {column} in {}", table.name)));
    }
    if row.try_get(2)? {
        return Err(Error::refused(format!(
            "{} has partitions and no primary key: updates of a partition that is added later would fail; \
             capture it by trigger, without --logical",
            table.name
        )));
    }
    let numbers: Vec<i32> = row.try_get(0)?;
    let kind = entity_type(relation);
    transaction
        .execute(
            include_str!("logical/note.sql"),
            &[&relation.oid, &kind, &table.module, &key, &table.mask, &table.exclude, &numbers],
        )
        .await?;
    Ok(())
}

/// Disables the capture of a table from the log. Returns `false` if it was not captured from there.
pub(super) async fn disable(connection: &mut Connection, table: &str) -> Result<bool> {
    let transaction = connection.client.transaction().await?;
    let relation = relation(&transaction, table).await?;
    if !is_captured(&transaction, relation.oid).await? {
        return Ok(false);
    }
    let others: i64 = transaction.query_one(OTHERS, &[&relation.oid]).await?.try_get(0)?;
    transaction.rollback().await?;
    if others == 0 {
        // Before the publication: the log cannot be read without it.
        connection.client.execute(DROP_SLOT, &[]).await.map_err(|error| {
            Error::refused(format!(
                "cannot drop the replication slot: {}; if a collector reads it, stop it first",
                Error::from(error)
            ))
        })?;
    }
    let transaction = connection.client.transaction().await?;
    transaction.batch_execute(LOCK_TIMEOUT).await?;
    for row in &transaction.query(include_str!("logical/restore.sql"), &[&relation.oid]).await? {
        transaction.batch_execute(row.try_get(0)?).await?;
    }
    transaction
        .execute("DELETE FROM auditx.logical_identity WHERE captured = $1::oid", &[&relation.oid])
        .await?;
    let sql = "UPDATE auditx.logical SET is_active = false WHERE relation = $1::oid";
    transaction.execute(sql, &[&relation.oid]).await?;
    if others == 0 {
        let sql = "DROP PUBLICATION IF EXISTS auditx; DELETE FROM auditx.logical_slot";
        transaction.batch_execute(sql).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn is_captured(transaction: &Transaction<'_>, oid: u32) -> Result<bool> {
    Ok(transaction.query_one(IS_CAPTURED, &[&oid]).await?.try_get(0)?)
}

/// Returns the tables that are captured from the log.
pub(super) async fn captured(transaction: &Transaction<'_>) -> Result<Vec<Captured>> {
    let rows = transaction.query(include_str!("logical/status.sql"), &[]).await?;
    rows.iter().map(|row| super::captured_of(row, true)).collect()
}

/// Returns the slot, if one is noted.
pub(super) async fn slot(transaction: &Transaction<'_>) -> Result<Option<Slot>> {
    let Some(row) = transaction.query_opt(SLOT, &[]).await? else { return Ok(None) };
    let bytes = |column| Ok::<_, Error>(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0));
    Ok(Some(Slot {
        name: row.try_get(0)?,
        is_there: row.try_get(1)?,
        is_read: row.try_get(2)?,
        retained: bytes(3)?,
        waiting: bytes(4)?,
    }))
}
