//! Creates and upgrades the schema `auditx`. A user who may create roles does this, never a shipper.

use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};

/// The migrations. Each runs once, in order, in the transaction that also records it.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];

/// The newest version of the schema.
pub const VERSION: usize = MIGRATIONS.len();

/// Creates or upgrades the schema `auditx` and its roles. Grant `auditx_ship` to the shipper's user,
/// `auditx_read` to users who query, `auditx_capture` to the application's user, who stores entries in the
/// outbox, and `auditx_collect` to the user of the collector. `auditx_owner` owns the tables. Returns the
/// previous version of the schema, or 0 if there was none.
///
/// # Errors
/// If the server cannot be reached or refuses (the user must be allowed to create roles and a schema), if the
/// database's encoding is not UTF-8, or if the schema is newer than this version supports.
pub async fn init(url: &str) -> Result<usize> {
    let mut connection = Connection::open(&Address::parse(url)?).await?;
    let client = &mut connection.client;
    let encoding: String = client.query_one("SHOW server_encoding", &[]).await?.get(0);
    if encoding != "UTF8" {
        return Err(Error::refused(format!(
            "the encoding of the database is {encoding}: create a database with the encoding UTF8"
        )));
    }
    let transaction = client.transaction().await?;
    // Concurrent calls wait for each other on this lock.
    transaction.execute("SELECT pg_advisory_xact_lock(hashtext('auditx.migration'))", &[]).await?;
    transaction
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS auditx; CREATE TABLE IF NOT EXISTS auditx.migration \
             (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
        )
        .await?;
    let newest: i32 =
        transaction.query_one("SELECT coalesce(max(version), 0) FROM auditx.migration", &[]).await?.get(0);
    let before = usize::try_from(newest).unwrap_or(0);
    if before > VERSION {
        return Err(Error::refused(format!(
            "the schema has version {before}, but this program supports versions up to {VERSION}: \
             use a newer program"
        )));
    }
    for (version, migration) in (1_i32..).zip(MIGRATIONS).skip(before) {
        transaction.batch_execute(migration).await?;
        transaction.execute("INSERT INTO auditx.migration (version) VALUES ($1)", &[&version]).await?;
    }
    transaction.commit().await?;
    Ok(before)
}
