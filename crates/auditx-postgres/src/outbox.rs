//! Stores entries in the outbox, in the transaction of the change that they describe.
//!
//! An entry that is stored here exists exactly if its transaction commits. A
//! [`Collector`](auditx_capture::Collector) with a [`PostgresOutbox`](crate::PostgresOutbox) then moves it
//! into the trail. [`init`](crate::init) creates the table; the application's user needs the role
//! `auditx_capture`.
//!
//! With `tokio-postgres`:
//!
//! ```no_run
//! # async fn post(client: &mut tokio_postgres::Client, audit: auditx_core::AuditLogger)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use auditx_postgres::outbox;
//!
//! let transaction = client.transaction().await?;
//! transaction.execute("UPDATE invoice SET posted = true WHERE id = $1", &[&7_i32]).await?;
//! let entry = audit.log("Invoice 7 posted").entity("invoice", "7").encode()?;
//! outbox::store(&transaction, &entry).await?;
//! transaction.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Other drivers
//!
//! Every driver can run [`INSERT`]; it has the entry's id and its text as parameters. With sqlx:
//!
//! ```text
//! sqlx::query(outbox::INSERT).bind(entry.id()).bind(entry.to_string()).execute(&mut *transaction).await?;
//! ```
//!
//! With Diesel:
//!
//! ```text
//! diesel::sql_query(outbox::INSERT)
//!     .bind::<diesel::sql_types::Uuid, _>(entry.id())
//!     .bind::<diesel::sql_types::Text, _>(entry.to_string())
//!     .execute(connection)?;
//! ```
//!
//! With SeaORM 2 (in SeaORM 1, `execute_raw` is `execute`):
//!
//! ```text
//! let values = [entry.id().into(), entry.to_string().into()];
//! let statement = Statement::from_sql_and_values(DbBackend::Postgres, outbox::INSERT, values);
//! transaction.execute_raw(statement).await?;
//! ```
//!
//! These need the driver's feature for the crate `uuid` (for sqlx and Diesel `uuid`, for SeaORM `with-uuid`).
//! The same goes for [`SET_CONTEXT`], whose parameter is the JSON of the context:
//!
//! ```text
//! let context = serde_json::to_string(&RequestContext::current().to_carrier())?;
//! sqlx::query(outbox::SET_CONTEXT).bind(context).execute(&mut *transaction).await?;
//! ```
//!
//! Whole programs that are tested: `examples/orm/src/bin/sqlx_outbox.rs` and `seaorm_outbox.rs` beside it.

use auditx_core::{EncodedEntry, RequestContext};
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use crate::error::{Error, Result};
use crate::value::Uuid;

/// Stores an entry. `$1` is its id, a `uuid`; `$2` is its text, a `text`.
pub const INSERT: &str = "INSERT INTO auditx.outbox (id, entry) VALUES ($1, $2)";

/// Gives the changes that follow in the transaction a context, whether triggers note them or they are read
/// from the log. `$1` is the JSON text of [`RequestContext::to_carrier`], a `text`.
///
/// It writes into the log only where `wal_level` is `logical`, and not in a transaction that can only read.
pub const SET_CONTEXT: &str = "SELECT set_config('auditx.context', $1::text, true), \
     CASE WHEN current_setting('wal_level') = 'logical' AND current_setting('transaction_read_only') = 'off' \
     THEN pg_logical_emit_message(true, 'auditx.context', $1::text) END";

/// Stores an entry in this transaction: one statement, one round trip.
///
/// # Errors
/// If the server refuses. The transaction can then only be rolled back.
pub async fn store(transaction: &impl GenericClient, entry: &EncodedEntry) -> Result<()> {
    let (id, text) = (Uuid(entry.id().into_bytes()), entry.as_str());
    transaction.execute_typed(INSERT, &[(&id, Type::UUID), (&text, Type::TEXT)]).await?;
    Ok(())
}

/// Gives the changes that follow in this transaction a context: user, request, branch and the other fields
/// are part of their entries.
///
/// # Errors
/// If the server refuses.
pub async fn set_context(transaction: &impl GenericClient, context: &RequestContext) -> Result<()> {
    let carrier = serde_json::to_string(&context.to_carrier());
    let carrier = carrier.map_err(|error| Error::refused(format!("the context is not JSON: {error}")))?;
    transaction.query_typed(SET_CONTEXT, &[(&carrier, Type::TEXT)]).await?;
    Ok(())
}
