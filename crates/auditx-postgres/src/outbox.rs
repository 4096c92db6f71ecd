//! Stands for the outbox until the other branch is merged: rows in the order of their numbers, no lock, no
//! LISTEN.

use std::fmt;
use std::time::Duration;

use auditx_capture::{Change, Content, Error, Operation, Outbox, Result, Waiting};
use auditx_reader::Moment;
use serde_json::{Map, Value};
use tokio_postgres::types::ToSql;

use crate::address::Address;
use crate::connection::Connection;

/// An outbox in PostgreSQL.
pub struct PostgresOutbox {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
}

impl fmt::Debug for PostgresOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOutbox").finish_non_exhaustive()
    }
}

impl PostgresOutbox {
    /// Opens the outbox of a database.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub fn open(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::database)?;
        let address = Address::parse(url).map_err(Error::database)?;
        let connection = runtime.block_on(Connection::open(&address)).map_err(Error::database)?;
        Ok(Self { runtime, connection })
    }

    fn rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<tokio_postgres::Row>> {
        let rows = self.runtime.block_on(self.connection.client.query(sql, parameters));
        rows.map_err(|error| Error::database(crate::Error::from(error)))
    }
}

fn change(text: &str, micros: i64) -> Change {
    let mut fields: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let operation = match word("op").as_str() {
        "I" => Operation::Insert,
        "D" => Operation::Delete,
        "T" => Operation::Truncate,
        _ => Operation::Update,
    };
    let at = Moment::from_micros(micros);
    let mut change = Change::new(at, word("module"), word("table"), operation);
    (change.key, change.database_user) = (word("key"), word("user"));
    let mut object = |name: &str| match fields.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    (change.old, change.new) = (object("old"), object("new"));
    let context = object("context").into_iter();
    change.context = context.filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect();
    change
}

impl Outbox for PostgresOutbox {
    fn waiting(&mut self) -> Result<Option<(Vec<uuid::Uuid>, Moment)>> {
        Ok(None)
    }

    fn take(&mut self, limit: usize) -> Result<Vec<Waiting>> {
        let sql = "SELECT seq, id::text, (extract(epoch FROM at) * 1000000)::bigint, entry, change::text \
                   FROM auditx.outbox ORDER BY seq LIMIT $1";
        let rows = self.rows(sql, &[&i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let of_row = |row: &tokio_postgres::Row| {
            let entry: Option<String> = row.try_get(3).map_err(Error::database)?;
            let content = match entry {
                Some(text) => Content::Entry(text),
                None => Content::Change(Box::new(change(row.get(4), row.get(2)))),
            };
            let id = uuid::Uuid::parse_str(row.get(1)).map_err(Error::database)?;
            Ok(Waiting::new(row.get(0), id, content))
        };
        rows.iter().map(of_row).collect()
    }

    fn remove(&mut self, keys: &[i64]) -> Result<()> {
        self.rows("DELETE FROM auditx.outbox WHERE seq = ANY($1)", &[&keys]).map(drop)
    }

    fn refuse(&mut self, key: i64, _: &str) -> Result<()> {
        self.remove(&[key])
    }

    fn wait(&mut self, timeout: Duration) -> Result<()> {
        self.runtime.block_on(async { tokio::time::sleep(timeout.min(Duration::from_millis(20))).await });
        Ok(())
    }
}
