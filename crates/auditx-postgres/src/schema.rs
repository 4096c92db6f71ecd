//! The schema `auditx`: made and brought up to date by whoever may create roles, never by a shipper.

use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};

/// Each is run once, in order, in one transaction with the note that it was.
const MIGRATIONS: [&str; 1] = [include_str!("schema/1.sql")];

/// The newest version of the schema.
pub const VERSION: usize = MIGRATIONS.len();

/// Makes the schema `auditx` and the roles `auditx_owner`, `auditx_ship` and `auditx_read`, or brings them up to date. Grant
/// `auditx_ship` to the user that ships, and `auditx_read` to those who query. Gives the version that was there before; 0 where there was none.
///
/// # Errors
/// Where the server cannot be reached or refuses: the user must be allowed to create roles and a schema. Where the database is not
/// in UTF-8, or its schema is newer than this version knows.
pub async fn init(url: &str) -> Result<usize> {
    let mut connection = Connection::open(&Address::parse(url)?).await?;
    let client = &mut connection.client;
    let encoding: String = client.query_one("SHOW server_encoding", &[]).await?.get(0);
    if encoding != "UTF8" {
        return Err(Error::said(format!(
            "the database is in {encoding}, and lines are UTF-8: make another one"
        )));
    }
    let transaction = client.transaction().await?;
    // Two at once wait for each other; the number is the name of nothing else.
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
        return Err(Error::said(format!(
            "the schema has version {before}, and this program knows up to {VERSION}: use a newer one"
        )));
    }
    for (version, migration) in (1_i32..).zip(MIGRATIONS).skip(before) {
        transaction.batch_execute(migration).await?;
        transaction.execute("INSERT INTO auditx.migration (version) VALUES ($1)", &[&version]).await?;
    }
    transaction.commit().await?;
    Ok(before)
}
