//! A PostgreSQL server as a destination.

use std::collections::HashSet;
use std::fmt;
use std::pin::pin;

use auditx_ship::{Batch, Destination, DestinationId, Position, ShipError, ShippedLine, TrailId};
use auditx_tlog::Hash;
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::config::Host;

use crate::address::Address;
use crate::connection::Connection;
use crate::entry::{COPY, EntryRow, Month, types};
use crate::error::{Error, Result};
use crate::value::Uuid;

/// A database as a destination. It connects when needed. [`init`](crate::init) creates the schema.
pub struct Postgres {
    address: Address,
    id: DestinationId,
    /// `None` during a request, so that a connection is not used again after a cancelled request.
    connection: Option<Connection>,
    /// Months whose partition exists or is not needed.
    months: HashSet<Month>,
}

/// Why a batch was not stored.
enum Refusal {
    Database(Error),
    Ship(ShipError),
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("id", &self.id.as_str()).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Creates a destination from a URL, `postgres://user:password@host:port/database`, or from PostgreSQL's
    /// `key=value` form. Does not connect yet.
    ///
    /// # Errors
    /// If the address is invalid.
    pub fn new(url: &str) -> Result<Self> {
        let address = Address::parse(url)?;
        let config = &address.config;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
        let id = DestinationId::new(&format!("postgres-{host}-{port}-{database}"));
        Ok(Self { address, id, connection: None, months: HashSet::new() })
    }

    async fn connection(&mut self) -> Result<Connection> {
        match self.connection.take().filter(|connection| !connection.client.is_closed()) {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.address).await,
        }
    }

    async fn store(
        &mut self,
        connection: &mut Connection,
        batch: &Batch,
        with_body: bool,
    ) -> Result<Position, Refusal> {
        let trail = Uuid(batch.trail().0);
        let rows: Vec<EntryRow<'_>> =
            batch.lines().iter().map(|line| EntryRow::of(trail, line, with_body)).collect();
        self.create_partitions(connection, &rows).await?;
        let transaction = connection.client.transaction().await?;
        let last = lock_trail(&transaction, trail, batch).await?;
        let first = signed(batch.first());
        if last < first - 1 {
            return Err(Refusal::Ship(ShipError::Fenced));
        }
        let stored = usize::try_from(last + 1 - first).unwrap_or(usize::MAX).min(rows.len());
        compare(&transaction, trail, &batch.lines()[..stored]).await?;
        if stored < rows.len() {
            let mut writer = pin!(BinaryCopyInWriter::new(transaction.copy_in(COPY).await?, &types()));
            for row in &rows[stored..] {
                writer.as_mut().write(&row.columns()).await?;
            }
            writer.finish().await?;
            let Position { seq, leaf_hash } = batch.last();
            let checkpoint = batch.checkpoint().map(|checkpoint| checkpoint.signed.as_str());
            transaction
                .execute(
                    "UPDATE auditx.trail SET last_seq = $2, last_leaf_hash = $3, \
                     checkpoint = coalesce($4, checkpoint), updated_at = now() WHERE trail_id = $1",
                    &[&trail, &signed(seq), &leaf_hash.as_slice(), &checkpoint],
                )
                .await?;
        }
        if let Some(boundary) = batch.checkpoint().filter(|checkpoint| checkpoint.is_boundary) {
            transaction
                .execute(
                    "INSERT INTO auditx.checkpoint (trail_id, size, note) VALUES ($1, $2, $3) \
                     ON CONFLICT DO NOTHING",
                    &[&trail, &signed(boundary.signed.size()), &boundary.signed.as_str()],
                )
                .await?;
        }
        transaction.commit().await?;
        Ok(batch.last())
    }

    /// Creates the missing partitions. Called before the transaction, because creating a partition waits for
    /// all concurrent inserts.
    async fn create_partitions(
        &mut self,
        connection: &Connection,
        rows: &[EntryRow<'_>],
    ) -> Result<(), Refusal> {
        for row in rows {
            if let Some(month) = row.month().filter(|month| !self.months.contains(*month)) {
                connection
                    .client
                    .execute("SELECT auditx.make_month(($1::text || '-01')::date)", &[month])
                    .await?;
                self.months.insert(month.clone());
            }
        }
        Ok(())
    }
}

/// Locks the trail's row, creating it if necessary. Returns the sequence number of the last stored line, or
/// one less than the batch's first line if none is stored.
async fn lock_trail(transaction: &Transaction<'_>, trail: Uuid, batch: &Batch) -> Result<i64, Refusal> {
    transaction
        .execute(
            "INSERT INTO auditx.trail (trail_id, origin, first_seq, last_seq, last_leaf_hash) \
             VALUES ($1, $2, $3::bigint, $3::bigint - 1, '') ON CONFLICT (trail_id) DO NOTHING",
            &[&trail, &batch.origin(), &signed(batch.first())],
        )
        .await?;
    let row = transaction
        .query_one("SELECT last_seq FROM auditx.trail WHERE trail_id = $1 FOR UPDATE", &[&trail])
        .await?;
    Ok(row.get(0))
}

/// Checks that lines which are stored already are the same as these.
async fn compare(transaction: &Transaction<'_>, trail: Uuid, lines: &[ShippedLine]) -> Result<(), Refusal> {
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return Ok(()) };
    let rows = transaction
        .query(
            "SELECT leaf_hash FROM auditx.entry WHERE trail_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq",
            &[&trail, &signed(first.seq), &signed(last.seq)],
        )
        .await?;
    let mut stored = rows.iter().map(|row| row.get::<_, &[u8]>(0));
    match lines.iter().find(|line| stored.next() != Some(line.leaf_hash.as_slice())) {
        Some(line) => Err(Refusal::Ship(ShipError::Diverged { at: line.seq })),
        None => Ok(()),
    }
}

/// Converts to bigint: PostgreSQL has no unsigned integers. No trail reaches the limit.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

impl Destination for Postgres {
    fn id(&self) -> &DestinationId {
        &self.id
    }

    async fn last(&mut self, trail: TrailId) -> Result<Option<Position>, ShipError> {
        let connection = self.connection().await?;
        let row = connection
            .client
            .query_opt(
                "SELECT last_seq, last_leaf_hash FROM auditx.trail \
                 WHERE trail_id = $1 AND last_seq >= first_seq",
                &[&Uuid(trail.0)],
            )
            .await
            .map_err(Error::from)?;
        self.connection = Some(connection);
        let Some(row) = row else { return Ok(None) };
        let (seq, hash): (i64, &[u8]) = (row.get(0), row.get(1));
        let (Ok(seq), Ok(leaf_hash)) = (u64::try_from(seq), Hash::try_from(hash)) else {
            return Err(ShipError::retry("PostgreSQL: the trail's row in auditx.trail is damaged"));
        };
        Ok(Some(Position { seq, leaf_hash }))
    }

    async fn send(&mut self, batch: &Batch) -> Result<Position, ShipError> {
        // If a single line is refused, try it without the jsonb column, which may be the only cause.
        let attempts: &[bool] = if batch.lines().len() == 1 { &[true, false] } else { &[true] };
        let mut refusal = None;
        for with_body in attempts {
            let mut connection = self.connection().await?;
            match self.store(&mut connection, batch, *with_body).await {
                Ok(position) => {
                    self.connection = Some(connection);
                    return Ok(position);
                }
                Err(Refusal::Ship(error)) => return Err(error),
                Err(Refusal::Database(error)) if error.is_about_content() => refusal = Some(error),
                Err(Refusal::Database(error)) => return Err(error.into()),
            }
        }
        match (refusal, batch.lines()) {
            (Some(error), [line]) => Err(ShipError::Poison { seq: line.seq, why: error.to_string() }),
            _ => Err(ShipError::Split),
        }
    }

    async fn close(&mut self) {
        self.connection = None;
    }
}
