//! A collector's connection. It holds the lock of the outbox from when it is opened until it ends.

use std::future::Future;
use std::time::Duration;

use auditx_capture::{Content, Error as CaptureError, Result, Waiting};
use auditx_reader::Moment;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Row, Statement};

use crate::address::Address;
use crate::blocking::Connect;
use crate::change;
use crate::connection::Connection;
use crate::error::Error;
use crate::row_change::RowChange;
use crate::value::{Timestamptz, Uuid};

/// The advisory locks have two keys: this one, "audt" in ASCII, and 1 for the collector of the database or 2
/// while it waits (`schema/2.sql`).
const LOCK: i32 = 1_635_083_380;

/// The settings of the session.
///
/// A removal that a crash of the server undoes does no harm: the collector looks up in the trail what it has
/// recorded after each failure. The keepalives end the session, and with it the lock, soon after this machine
/// has disappeared.
const SETTINGS: &str = "SET synchronous_commit = off; SET tcp_keepalives_idle = 10; \
     SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; LISTEN auditx_outbox";

/// A collector that has just ended may still have its lock for a moment.
const ACQUIRE: &str = "BEGIN; SET LOCAL lock_timeout = '1s'; SELECT pg_advisory_lock(1635083380, 1); COMMIT";

const HOLDER: &str = "SELECT a.pid, a.application_name, a.usename::text, host(a.client_addr) \
     FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
     WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = 1 AND l.objsubid = 2 \
     AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The beginning of an entry has its time.
const WAITING: &str = "SELECT id, at, left(entry, 96) FROM auditx.waiting";

/// A round takes as many rows as were asked for, but not many more bytes than `$2`.
const TAKE: &str = "SELECT seq, id, at, entry, change::text, settings, op::text, versions::text, key, \
         masked, database_user::text, context FROM ( \
         SELECT *, sum(coalesce(pg_column_size(entry), 0) + coalesce(pg_column_size(change), 0) \
                 + coalesce(pg_column_size(versions), 0)) \
             OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before \
         FROM (SELECT * FROM auditx.waiting ORDER BY seq LIMIT $1) AS first \
     ) AS counted WHERE coalesce(before, 0) < $2 ORDER BY seq";

const MAX_BYTES: i64 = 16 * 1024 * 1024;

const REMOVE: &str = "WITH changes AS (DELETE FROM auditx.row_change WHERE seq = ANY($1)) \
     DELETE FROM auditx.outbox WHERE seq = ANY($1)";

const REFUSE: &str = "WITH refused AS ( \
         SELECT seq, id, at, entry, \
             coalesce(change, to_jsonb(w) - ARRAY['seq', 'id', 'at', 'entry', 'change']) \
         FROM auditx.waiting w WHERE seq = $1 \
     ), changes AS (DELETE FROM auditx.row_change WHERE seq = $1 \
     ), entries AS (DELETE FROM auditx.outbox WHERE seq = $1) \
     INSERT INTO auditx.outbox_refused (seq, id, at, entry, change, reason) SELECT *, $2 FROM refused";

const SLEEP: &str = "SELECT pg_try_advisory_lock($1, 2)";
const WAKE: &str = "SELECT pg_advisory_unlock($1, 2)";
const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM auditx.waiting)";

const CAN_COMPARE: &str = "SELECT to_regprocedure('auditx.compare()') IS NOT NULL";
const COMPARE: &str = "SELECT auditx.compare()";

/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(60);

/// How often the outbox is looked at while transactions run that will not notify.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A connection with the lock, and its statements.
pub(crate) struct Session {
    connection: Connection,
    take: Statement,
    remove: Statement,
    sleep: Statement,
    wake: Statement,
    is_empty: Statement,
    /// `false` if the schema is older than the capture of roles.
    can_compare: bool,
}

/// Limits the time of a request. A connection that did not answer must not be used again.
async fn within<T>(request: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
    match timeout(REQUEST, request).await {
        Ok(outcome) => outcome.map_err(database),
        Err(_) => Err(CaptureError::database(format!("PostgreSQL: no answer within {REQUEST:?}"))),
    }
}

fn database(error: tokio_postgres::Error) -> CaptureError {
    CaptureError::database(Error::from(error))
}

impl Connect for Session {
    /// Connects and takes the lock.
    async fn open(address: &Address) -> Result<Self> {
        let connection = Connection::open(address).await.map_err(CaptureError::database)?;
        let client = &connection.client;
        within(client.batch_execute(SETTINGS)).await?;
        match timeout(REQUEST, client.batch_execute(ACQUIRE)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                within(client.batch_execute("ROLLBACK")).await?;
                return Err(CaptureError::taken(holder(&connection).await?));
            }
            Ok(Err(error)) => return Err(database(error)),
            Err(_) => {
                return Err(CaptureError::database("PostgreSQL: no answer to the request for the lock"));
            }
        }
        let [take, remove] = [within(client.prepare(TAKE)).await?, within(client.prepare(REMOVE)).await?];
        let [sleep, wake] = [within(client.prepare(SLEEP)).await?, within(client.prepare(WAKE)).await?];
        let is_empty = within(client.prepare(IS_EMPTY)).await?;
        let row = within(client.query_one(CAN_COMPARE, &[])).await?;
        let can_compare = row.try_get(0).map_err(database)?;
        Ok(Self { connection, take, remove, sleep, wake, is_empty, can_compare })
    }
}

impl Session {
    /// Stores changes of roles and rights since the last call in the outbox, if they are captured.
    pub(crate) async fn compare(&self) -> Result<()> {
        if self.can_compare {
            within(self.connection.client.batch_execute(COMPARE)).await?;
        }
        Ok(())
    }

    pub(crate) async fn waiting(&self) -> Result<Option<(Vec<uuid::Uuid>, Moment)>> {
        let rows = within(self.connection.client.query(WAITING, &[])).await?;
        let (mut ids, mut earliest) = (Vec::with_capacity(rows.len()), Moment::LAST);
        for row in &rows {
            ids.push(id_of(row, 0)?);
            let begin: Option<&str> = row.try_get(2).map_err(database)?;
            // An entry has the time of its application's clock, which may differ from that of the server.
            let at = match begin.and_then(time_of_entry) {
                Some(at) => at,
                None => time_of(row, 1)?,
            };
            earliest = earliest.min(at);
        }
        Ok((!ids.is_empty()).then_some((ids, earliest)))
    }

    pub(crate) async fn take(&self, limit: usize) -> Result<Vec<Waiting>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = within(self.connection.client.query(&self.take, &[&limit, &MAX_BYTES])).await?;
        rows.iter().map(waiting_of).collect()
    }

    pub(crate) async fn remove(&self, keys: &[i64]) -> Result<()> {
        within(self.connection.client.execute(&self.remove, &[&keys])).await.map(drop)
    }

    pub(crate) async fn refuse(&self, key: i64, reason: &str) -> Result<()> {
        within(self.connection.client.execute(REFUSE, &[&key, &reason])).await.map(drop)
    }

    /// Waits until a row may be waiting, or until the time is over.
    pub(crate) async fn wait(&self, time: Duration) -> Result<()> {
        if !self.flag(&self.sleep).await? {
            // A transaction shares the lock, which stored rows or is about to, and will not notify.
            sleep(time.min(POLL_INTERVAL)).await;
            return Ok(());
        }
        // ORDERING: a transaction that could share the lock before this session had it has ended, so this
        // query sees its rows. One that could not will notify when it commits, and this session listens.
        let outcome = self.flag(&self.is_empty).await;
        if *outcome.as_ref().unwrap_or(&false) {
            // It makes no difference whether the time was over first.
            drop(timeout(time, self.connection.notified.notified()).await);
        }
        // Transactions that commit from here on need not notify.
        self.flag(&self.wake).await?;
        outcome.map(drop)
    }

    /// Runs a query with one boolean in one row.
    async fn flag(&self, statement: &Statement) -> Result<bool> {
        let client = &self.connection.client;
        let row = match statement.params() {
            [] => within(client.query_one(statement, &[])).await?,
            _ => within(client.query_one(statement, &[&LOCK])).await?,
        };
        row.try_get(0).map_err(database)
    }
}

/// Says which session has the lock, if it still has it.
async fn holder(connection: &Connection) -> Result<String> {
    let row = within(connection.client.query_opt(HOLDER, &[&LOCK])).await?;
    let Some(row) = row else {
        return Ok("another collector reads the outbox of this database".to_owned());
    };
    let pid: i32 = row.try_get(0).map_err(database)?;
    let text = |column| row.try_get::<_, Option<String>>(column).map_err(database);
    let (name, user, host) = (text(1)?.unwrap_or_default(), text(2)?.unwrap_or_default(), text(3)?);
    let host = host.unwrap_or_else(|| "a local socket".to_owned());
    Ok(format!(
        "another collector reads the outbox of this database: session {pid} of user {user:?}, application \
         {name:?}, from {host}; stop it first"
    ))
}

fn id_of(row: &Row, column: usize) -> Result<uuid::Uuid> {
    row.try_get(column).map(|id: Uuid| uuid::Uuid::from_bytes(id.0)).map_err(database)
}

fn time_of(row: &Row, column: usize) -> Result<Moment> {
    let at: Timestamptz = row.try_get(column).map_err(database)?;
    Ok(Moment::from_micros(at.unix_micros()))
}

/// Returns the time of an entry that begins with this text.
fn time_of_entry(begin: &str) -> Option<Moment> {
    let (_, rest) = begin.split_once("\"timestamp\":\"")?;
    Moment::parse(rest.split_once('"')?.0)
}

fn waiting_of(row: &Row) -> Result<Waiting> {
    let (key, id) = (row.try_get(0).map_err(database)?, id_of(row, 1)?);
    if let Some(text) = row.try_get::<_, Option<String>>(3).map_err(database)? {
        return Ok(Waiting::new(key, id, Content::Entry(text)));
    }
    let change = match row.try_get::<_, Option<&str>>(5).map_err(database)? {
        None => change::parse(time_of(row, 2)?, row.try_get(4).map_err(database)?).map(Some),
        Some(settings) => row_change_of(row, settings)?.change(time_of(row, 2)?),
    };
    let content = match change {
        Ok(Some(change)) => Content::Change(Box::new(change)),
        Ok(None) => Content::Nothing,
        Err(why) => Content::Unreadable(why),
    };
    Ok(Waiting::new(key, id, content))
}

fn row_change_of<'a>(row: &'a Row, settings: &'a str) -> Result<RowChange<'a>> {
    Ok(RowChange {
        settings,
        operation: row.try_get(6).map_err(database)?,
        versions: row.try_get(7).map_err(database)?,
        key: row.try_get(8).map_err(database)?,
        masked: row.try_get::<_, Option<_>>(9).map_err(database)?.unwrap_or_default(),
        database_user: row.try_get(10).map_err(database)?,
        context: row.try_get::<_, Option<_>>(11).map_err(database)?.unwrap_or_default(),
    })
}
