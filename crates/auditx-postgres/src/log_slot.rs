//! The replication slot of a database, and the settings of its tables: what a session asks the server.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use auditx_capture::{Error as CaptureError, Result};
use tokio::time::{sleep, timeout};

use crate::column_value::Shape;
use crate::connection::Connection;
use crate::error::Error;
use crate::logged_table::{LAST_BUILT_IN, LoggedTable, Settings};
use crate::lsn::Lsn;
use crate::pgoutput::Relation;
use crate::replication::{IN_USE, Replication};
use crate::value::Uuid;

/// The slot of the database, as it was noted and as it is.
const SLOT: &str = "SELECT l.name, l.identity, l.confirmed::text, s.confirmed_flush_lsn::text, s.wal_status, \
     (SELECT oid FROM pg_database WHERE datname = current_database()) \
     FROM auditx.logical_slot l LEFT JOIN pg_replication_slots s ON s.slot_name = l.name";

/// How long a request may take, and how long the stream may be silent while the server is behind.
pub(crate) const REQUEST: Duration = Duration::from_secs(60);

/// A reader that has just ended may still have the slot for a moment.
const ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// Limits the time of a request. A connection that did not answer must not be used again.
pub(crate) async fn within<T, E: Into<Error>>(request: impl Future<Output = Result<T, E>>) -> Result<T> {
    match timeout(REQUEST, request).await {
        Ok(outcome) => outcome.map_err(|error| CaptureError::database(error.into())),
        Err(_) => Err(CaptureError::database(format!("PostgreSQL: no answer within {REQUEST:?}"))),
    }
}

pub(crate) fn database(error: impl Into<Error>) -> CaptureError {
    CaptureError::database(error.into())
}

pub(crate) fn invalid(why: &str) -> CaptureError {
    CaptureError::database(format!("PostgreSQL: cannot read the log: the server sent {why}"))
}

/// The slot of the database: `noted` is the position that was stored, before `confirmed` was confirmed.
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) identity: [u8; 16],
    pub(crate) database: u32,
    pub(crate) noted: Lsn,
    pub(crate) confirmed: Lsn,
}

pub(crate) async fn slot(requests: &Connection) -> Result<Slot> {
    let rows = within(requests.client.query(SLOT, &[])).await?;
    let [row] = &rows[..] else {
        return Err(CaptureError::database(
            "no table of the database is captured from the log: start with `auditx capture enable --logical`",
        ));
    };
    let name: String = row.try_get(0).map_err(database)?;
    let identity: Uuid = row.try_get(1).map_err(database)?;
    let lsn = |column| {
        let text: Option<&str> = row.try_get(column).map_err(database)?;
        text.map(|text| Lsn::parse(text).ok_or_else(|| invalid("an invalid position"))).transpose()
    };
    let noted: Lsn = lsn(2)?.unwrap_or_default();
    let Some(confirmed) = lsn(3)? else {
        return Err(CaptureError::database(format!(
            "the replication slot {name} does not exist: it was dropped, or the server was replaced by one \
             without it. Changes after {noted} are missing. To create it, run `auditx capture enable \
             --logical` again for one of its tables, with the same settings; the trail then records the gap"
        )));
    };
    let status: Option<&str> = row.try_get(4).map_err(database)?;
    if status == Some("lost") {
        return Err(CaptureError::database(format!(
            "the replication slot {name} is invalid: the server removed the log after {confirmed} \
             (max_slot_wal_keep_size). To create it again, run `auditx capture enable --logical` for one of \
             its tables, with the same settings; the trail then records the gap"
        )));
    }
    let database = row.try_get(5).map_err(database)?;
    Ok(Slot { name, identity: identity.0, database, noted, confirmed })
}

/// Begins to stream what is not confirmed yet.
pub(crate) async fn start(stream: &mut Replication, slot: &str) -> Result<()> {
    let request = format!(
        "START_REPLICATION SLOT \"{slot}\" LOGICAL 0/0 \
         (proto_version '1', publication_names 'auditx', messages 'true')"
    );
    for attempt in 1.. {
        let started = timeout(REQUEST, stream.start(&request)).await;
        match started {
            Ok(Ok(())) => break,
            Ok(Err(refusal)) if refusal.code == IN_USE => {
                if attempt == ATTEMPTS {
                    return Err(CaptureError::taken(format!(
                        "another collector reads the log of this database: {}; stop it first",
                        refusal.error
                    )));
                }
                sleep(BETWEEN_ATTEMPTS).await;
            }
            Ok(Err(refusal)) => return Err(CaptureError::database(refusal.error)),
            Err(_) => return Err(CaptureError::database("PostgreSQL: no answer to START_REPLICATION")),
        }
    }
    Ok(())
}

/// Loads the settings of a table, and the types of its columns.
pub(crate) async fn table(requests: &Connection, relation: &Relation) -> Result<LoggedTable> {
    let client = &requests.client;
    let row = within(client.query_opt(include_str!("logical/table.sql"), &[&relation.oid])).await?;
    let settings = row.map(|row| {
        Ok::<_, tokio_postgres::Error>(Settings {
            entity_type: row.try_get(0)?,
            module: row.try_get(1)?,
            key: row.try_get(2)?,
            mask: row.try_get(3)?,
            exclude: row.try_get(4)?,
            renamed: row.try_get(5)?,
            present: row.try_get(6)?,
        })
    });
    let settings = settings.transpose().map_err(database)?;
    let types = relation.columns.iter().map(|column| column.type_oid);
    let own: Vec<u32> = types.filter(|oid| *oid > LAST_BUILT_IN).collect();
    let mut shapes = HashMap::new();
    if !own.is_empty() {
        for row in within(client.query(include_str!("logical/types.sql"), &[&own])).await? {
            let [of, base, element]: [u32; 3] = [
                row.try_get(0).map_err(database)?,
                row.try_get(1).map_err(database)?,
                row.try_get(2).map_err(database)?,
            ];
            let is_own_array = element != 0 && base > LAST_BUILT_IN;
            let shape =
                if is_own_array { Shape::Array(Box::new(Shape::of(element))) } else { Shape::of(base) };
            shapes.insert(of, shape);
        }
    }
    Ok(LoggedTable::new(relation, settings, &shapes))
}
