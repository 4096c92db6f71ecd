//! Reads the trails in a database, to restore and verify them.

use std::fmt;
use std::time::Duration;

use auditx_ship::{Error as ShipperError, ShippedLine, StoredCopy, StoredTrail, TrailId};
use auditx_tlog::{Hash, SignedCheckpoint};
use futures_util::future::try_join;
use tokio_postgres::Row;

use crate::address::Address;
use crate::connection::Connection;
use crate::error::Result;
use crate::value::Uuid;

/// The range of sequence numbers requested at a time. It does not limit the number of rows: if a sequence
/// number is stored twice, both rows must be read.
const PAGE: i64 = 4_096;

/// Reads copies of trails from a database. The user must be a member of `auditx_read` or `auditx_ship`, which
/// may read `auditx.trail`, `auditx.checkpoint` and `auditx.entry`.
pub struct PostgresCopy {
    connection: Connection,
}

/// The extent of a trail's copy, as the row of the trail says.
#[derive(Debug, Clone)]
pub struct TrailHead {
    /// The trail's id.
    pub trail: TrailId,
    /// The name under which its tree heads are signed.
    pub origin: String,
    /// The sequence number of the first line that was shipped.
    pub first: u64,
    /// The sequence number after the last line that was shipped.
    pub next: u64,
    /// The newest checkpoint that covers only stored lines; `None` if there is no such checkpoint.
    pub checkpoint: Option<SignedCheckpoint>,
}

impl fmt::Debug for PostgresCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresCopy").finish_non_exhaustive()
    }
}

impl PostgresCopy {
    /// Connects to the server. The address is that of [`Postgres::new`](crate::Postgres::new).
    ///
    /// # Errors
    /// If the address is invalid or the server cannot be reached.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Self { connection: Connection::open(&Address::parse(url)?).await? })
    }

    /// Returns whether the connection has ended, so that another one must be opened.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.connection.client.is_closed()
    }

    /// Returns the extent of each trail, in the order of their ids. One small query; the content is not
    /// trusted.
    ///
    /// # Errors
    /// If the database cannot be reached or refuses.
    pub async fn heads(&mut self) -> Result<Vec<TrailHead>> {
        let rows = self
            .rows(
                "SELECT trail_id, origin, first_seq, last_seq + 1, checkpoint FROM auditx.trail \
                 ORDER BY trail_id",
                &[],
            )
            .await?;
        let head = |row: &Row| {
            let (trail, first, next): (Uuid, i64, i64) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
            Ok(TrailHead {
                trail: TrailId(trail.0),
                origin: row.try_get(1)?,
                first: u64::try_from(first).unwrap_or(0),
                next: u64::try_from(next).unwrap_or(0),
                checkpoint: row.try_get::<_, Option<&str>>(4)?.and_then(parse),
            })
        };
        rows.iter().map(head).collect()
    }

    /// Returns the line that is stored under this number; `None` if there is none.
    ///
    /// # Errors
    /// If the database cannot be reached or refuses.
    pub async fn line(&mut self, trail: TrailId, seq: u64) -> Result<Option<ShippedLine>> {
        let (trail, seq) = (Uuid(trail.0), i64::try_from(seq).unwrap_or(i64::MAX));
        let sql = "SELECT seq, leaf_hash, line FROM auditx.entry WHERE trail_id = $1 AND seq = $2 LIMIT 1";
        self.rows(sql, &[&trail, &seq]).await?.first().map(line_of).transpose()
    }

    pub(crate) async fn batch(&self, sql: &str) -> Result<()> {
        Ok(self.connection.client.batch_execute(sql).await?)
    }

    /// Like `rows`; the server cancels the query after this time. The setting remains until it is reset.
    pub(crate) async fn rows_within(
        &self,
        timeout: Option<Duration>,
        sql: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        let Some(timeout) = timeout else { return self.rows(sql, parameters).await };
        // Zero would mean no limit.
        let setting = format!("SET statement_timeout = {}", timeout.as_millis().max(1));
        // Both are sent at once, and the server handles them in this order: one round trip less.
        Ok(try_join(self.batch(&setting), self.rows(sql, parameters)).await?.1)
    }

    pub(crate) async fn rows(
        &self,
        sql: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        Ok(self.connection.client.query(sql, parameters).await?)
    }

    /// Returns the lines of the next range of sequence numbers in which lines exist.
    async fn page(&self, trail: Uuid, from: i64) -> Result<Vec<ShippedLine>> {
        let next = self
            .rows("SELECT min(seq) FROM auditx.entry WHERE trail_id = $1 AND seq >= $2", &[&trail, &from])
            .await?;
        let Some(next) = next.first().and_then(|row| row.get::<_, Option<i64>>(0)) else {
            return Ok(Vec::new());
        };
        let rows = self
            .rows(
                "SELECT seq, leaf_hash, line FROM auditx.entry WHERE trail_id = $1 AND seq BETWEEN $2 AND $3 \
                 ORDER BY seq, recorded_at",
                &[&trail, &next, &(next + PAGE - 1)],
            )
            .await?;
        rows.iter().map(line_of).collect()
    }

    async fn trail_of(&self, row: &Row) -> Result<StoredTrail> {
        let (trail, first, next): (Uuid, i64, i64) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
        let stored = self
            .rows("SELECT note FROM auditx.checkpoint WHERE trail_id = $1 ORDER BY size", &[&trail])
            .await?;
        let mut boundaries = Vec::new();
        for row in &stored {
            boundaries.extend(parse(row.try_get(0)?));
        }
        Ok(StoredTrail {
            trail: TrailId(trail.0),
            origin: row.try_get(1)?,
            first: u64::try_from(first).unwrap_or(0),
            next: u64::try_from(next).unwrap_or(0),
            checkpoint: row.try_get::<_, Option<&str>>(4)?.and_then(parse),
            boundaries,
        })
    }
}

impl StoredCopy for PostgresCopy {
    async fn trails(&mut self) -> auditx_ship::Result<Vec<StoredTrail>> {
        let rows = self
            .rows(
                "SELECT trail_id, origin, \
                 least(first_seq, (SELECT min(seq) FROM auditx.entry e WHERE e.trail_id = t.trail_id)), \
                 last_seq + 1, checkpoint FROM auditx.trail t ORDER BY trail_id",
                &[],
            )
            .await
            .map_err(ShipperError::new)?;
        let mut trails = Vec::new();
        for row in &rows {
            trails.push(self.trail_of(row).await.map_err(ShipperError::new)?);
        }
        Ok(trails)
    }

    async fn lines(&mut self, trail: TrailId, from: u64) -> auditx_ship::Result<Vec<ShippedLine>> {
        let (trail, from) = (Uuid(trail.0), i64::try_from(from).unwrap_or(i64::MAX));
        self.page(trail, from).await.map_err(ShipperError::new)
    }
}

/// An invalid checkpoint is ignored: the lines it covered are then unconfirmed.
fn parse(text: &str) -> Option<SignedCheckpoint> {
    SignedCheckpoint::parse(text.as_bytes()).ok()
}

fn line_of(row: &Row) -> Result<ShippedLine> {
    let (seq, hash, line): (i64, &[u8], &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(ShippedLine {
        seq: u64::try_from(seq).unwrap_or(0),
        // A hash of another length is invalid; the default never matches.
        leaf_hash: Hash::try_from(hash).unwrap_or_default(),
        line: line.to_owned(),
    })
}
