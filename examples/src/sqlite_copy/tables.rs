//! The two tables and all SQL statements: `audit` has one row per line, `audit_parked` has the lines that
//! `audit` refused. No line is in both.

use std::io;

use auditx_core::{HookError, RecordedEntry, StoredEntry};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::refusals::is_about_the_row;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS audit (
        seq          INTEGER PRIMARY KEY,
        id           TEXT NOT NULL UNIQUE,
        timestamp    TEXT NOT NULL,
        level        TEXT NOT NULL,
        module       TEXT NOT NULL,
        action       TEXT NOT NULL,
        description  TEXT NOT NULL,
        user         TEXT NOT NULL,
        company_id   TEXT NOT NULL,
        branch_id    TEXT NOT NULL,
        reference_no TEXT NOT NULL,
        data_json    TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS audit_parked (
        seq          INTEGER PRIMARY KEY,
        id           TEXT NOT NULL,
        reason       TEXT NOT NULL,
        line         TEXT NOT NULL,
        parked_at    TEXT NOT NULL
    ) STRICT;";

/// Without `OR IGNORE`, which would also ignore a violated CHECK constraint.
const INSERT: &str = "
    INSERT INTO audit (seq, id, timestamp, level, module, action, description, user, company_id, branch_id,
                       reference_no, data_json)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const HELD: &str = "
    SELECT data_json FROM audit WHERE seq = ?1
    UNION ALL SELECT line FROM audit_parked WHERE seq = ?1";

const NEXT_SEQ: &str = "
    SELECT max((SELECT coalesce(max(seq) + 1, 0) FROM audit),
               (SELECT coalesce(max(seq) + 1, 0) FROM audit_parked))";

const PARK: &str = "
    INSERT INTO audit_parked (seq, id, reason, line, parked_at)
    VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    RETURNING seq, id, reason, line, parked_at";

/// A line that the database refused permanently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The line's number in the trail.
    pub seq: u64,
    /// The entry's id.
    pub id: String,
    /// The database's error message.
    pub reason: String,
    /// The line, as in the trail.
    pub line: String,
    /// The time at which it was parked, in UTC.
    pub parked_at: String,
}

/// What the database holds at a line's seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Nothing,
    Same,
    /// A line of another trail.
    Other,
}

pub(super) enum Inserted {
    Row,
    Refused(String),
}

pub(super) fn create(database: &Connection) -> rusqlite::Result<()> {
    database.execute_batch(SCHEMA)
}

/// Returns the seq after the last line in the database, whether row or parked.
pub(super) fn next_seq(transaction: &Transaction<'_>) -> Result<u64, HookError> {
    Ok(transaction.query_row(NEXT_SEQ, (), |row| unsigned(row, 0))?)
}

/// Compares the line with the one that the database holds at the same seq. Compares leaf hashes, so that a
/// line that was erased since then is still the same.
pub(super) fn held(transaction: &Transaction<'_>, line: &RecordedEntry<'_>) -> Result<Held, HookError> {
    let mut held = transaction.prepare_cached(HELD)?;
    let text: Option<String> = held.query_row(params![signed(line.seq())?], |row| row.get(0)).optional()?;
    let Some(text) = text else { return Ok(Held::Nothing) };
    let is_same = text == line.line()
        || RecordedEntry::from_line(text.as_bytes()).is_ok_and(|held| held.leaf_hash() == line.leaf_hash());
    Ok(if is_same { Held::Same } else { Held::Other })
}

/// Inserts a line at a free seq. The primary key turns at-least-once delivery into exactly once.
///
/// # Errors
/// Fails if the database cannot be written, or holds the entry's id at another seq.
pub(super) fn insert(
    transaction: &mut Transaction<'_>,
    line: &RecordedEntry<'_>,
) -> Result<Inserted, HookError> {
    let entry = line.parse()?;
    let (seq, id) = (signed(line.seq())?, id_of(&entry));
    let values = params![
        seq,
        id,
        entry.timestamp,
        entry.level,
        entry.module,
        entry.action,
        entry.description,
        entry.user,
        entry.company_id,
        entry.branch_id,
        entry.reference_no,
        line.line(),
    ];
    // If it is dropped without a commit, it rolls back what triggers did before one of them refused.
    let savepoint = transaction.savepoint()?;
    let inserted = savepoint.prepare_cached(INSERT)?.execute(values);
    let reason = match inserted {
        Ok(1..) => {
            savepoint.commit()?;
            return Ok(Inserted::Row);
        }
        Ok(0) => "a trigger ignored it".to_owned(),
        Err(error) if is_about_the_row(&error) => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    drop(savepoint);
    let known = "SELECT 1 FROM audit WHERE id = ?1";
    if transaction.query_row(known, params![id], |_| Ok(())).optional()?.is_some() {
        return Err(wrong_trail(line.seq()));
    }
    Ok(Inserted::Refused(reason))
}

pub(super) fn park(
    transaction: &Transaction<'_>,
    line: &RecordedEntry<'_>,
    reason: String,
) -> Result<Parked, HookError> {
    let values = params![signed(line.seq())?, id_of(&line.parse()?), reason, line.line()];
    Ok(transaction.query_row(PARK, values, to_parked)?)
}

pub(super) fn parked(database: &Connection) -> rusqlite::Result<Vec<Parked>> {
    let mut rows =
        database.prepare("SELECT seq, id, reason, line, parked_at FROM audit_parked ORDER BY seq")?;
    rows.query_map((), to_parked)?.collect()
}

/// Deletes a parked line. Returns `false` if it is no longer in the table.
pub(super) fn unpark(transaction: &Transaction<'_>, parked: &Parked) -> Result<bool, HookError> {
    let removed = "DELETE FROM audit_parked WHERE seq = ?1 AND line = ?2";
    Ok(transaction.execute(removed, params![signed(parked.seq)?, parked.line])? == 1)
}

pub(super) fn update_reason(database: &Connection, seq: u64, reason: &str) -> Result<(), HookError> {
    database.execute("UPDATE audit_parked SET reason = ?2 WHERE seq = ?1", params![signed(seq)?, reason])?;
    Ok(())
}

/// The error for a line of another trail. Such a line is never parked: the whole copy would be wrong, and an
/// administrator must decide.
pub(super) fn wrong_trail(seq: u64) -> HookError {
    io::Error::other(format!("line {seq} in the database is from another trail")).into()
}

/// Returns the entry's id. An erased line has no id, only its hash.
fn id_of(entry: &StoredEntry) -> String {
    if entry.erased.is_empty() { entry.id.clone() } else { format!("erased:{}", entry.erased) }
}

fn to_parked(row: &Row<'_>) -> rusqlite::Result<Parked> {
    Ok(Parked {
        seq: unsigned(row, 0)?,
        id: row.get(1)?,
        reason: row.get(2)?,
        line: row.get(3)?,
        parked_at: row.get(4)?,
    })
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn signed(seq: u64) -> Result<i64, HookError> {
    Ok(i64::try_from(seq)?)
}
