//! Searches a database with the query language: SQL selects candidates, and the query is then evaluated on
//! each line.

use std::ops::ControlFlow;

use auditx_reader::{Order, Query, Row, SqlCondition, SqlParameter};
use auditx_ship::TrailId;
use tokio_postgres::types::ToSql;

use crate::copy::PostgresCopy;
use crate::error::Result;
use crate::value::{Timestamptz, Uuid};

/// The number of lines fetched at a time.
const PAGE: usize = 2_000;

/// A search in a database.
#[derive(Debug, Clone)]
pub struct Search {
    query: Query,
    trail: Option<TrailId>,
    order: Order,
}

/// The last row of a page.
struct PageEnd {
    recorded_at: Timestamptz,
    trail: Uuid,
    seq: i64,
}

impl Search {
    /// Creates a search for all entries of all trails that match the query, oldest first.
    #[must_use]
    pub fn new(query: Query) -> Self {
        Self { query, trail: None, order: Order::OldestFirst }
    }

    /// Default: all trails. Restricts the search to one trail.
    #[must_use]
    pub fn trail(mut self, trail: TrailId) -> Self {
        self.trail = Some(trail);
        self
    }

    /// Default: oldest first. The order by timestamp; entries with the same timestamp are ordered by trail
    /// and sequence number.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    fn sql(&self, after: Option<&PageEnd>) -> (String, Vec<Box<dyn ToSql + Sync + Send>>) {
        let SqlCondition { text, parameters } = self.query.sql();
        let mut bound: Vec<Box<dyn ToSql + Sync + Send>> = parameters.into_iter().map(boxed).collect();
        let mut conditions = if text.is_empty() { Vec::new() } else { vec![text] };
        let mut bind = |value| {
            bound.push(value);
            format!("${}", bound.len())
        };
        if let Some(trail) = self.trail {
            conditions.push(format!("trail_id = {}", bind(Box::new(Uuid(trail.0)))));
        }
        let (direction, beyond) = match self.order {
            Order::OldestFirst => ("", ">"),
            Order::NewestFirst => (" DESC", "<"),
        };
        if let Some(PageEnd { recorded_at, trail, seq }) = after {
            let (moment, trail, seq) =
                (bind(Box::new(*recorded_at)), bind(Box::new(*trail)), bind(Box::new(*seq)));
            // The first condition is redundant, but only with it can the server skip partitions.
            conditions.push(format!(
                "recorded_at {beyond}= {moment} \
                 AND (recorded_at, trail_id, seq) {beyond} ({moment}, {trail}, {seq})"
            ));
        }
        let condition = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
        let sql = format!(
            "SELECT recorded_at, trail_id, seq, line FROM auditx.entry WHERE {condition} \
             ORDER BY recorded_at{direction}, trail_id{direction}, seq{direction} LIMIT {PAGE}"
        );
        (sql, bound)
    }
}

pub(crate) fn boxed(parameter: SqlParameter) -> Box<dyn ToSql + Sync + Send> {
    match parameter {
        SqlParameter::Text(text) => Box::new(text),
        SqlParameter::Moment(moment) => Box::new(Timestamptz::of_unix_micros(moment.micros())),
    }
}

impl PostgresCopy {
    /// Calls `visit` for each matching entry, in order, until it breaks. Returns the number of lines that
    /// could not be parsed.
    ///
    /// The SQL query runs once for every 2,000 candidates. In a large database, restrict the query to a time
    /// range, an entity or a user.
    ///
    /// # Errors
    /// If the database cannot be reached or refuses.
    pub async fn search(
        &mut self,
        search: &Search,
        mut visit: impl FnMut(TrailId, &Row<'_>) -> ControlFlow<()>,
    ) -> Result<u64> {
        let (mut after, mut unreadable) = (None, 0);
        loop {
            let (sql, bound) = search.sql(after.as_ref());
            let bound: Vec<&(dyn ToSql + Sync)> =
                bound.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
            let page = self.rows(&sql, &bound).await?;
            for row in &page {
                let (trail, line): (Uuid, &str) = (row.try_get(1)?, row.try_get(3)?);
                match Row::read_text(line) {
                    Ok(entry) if search.query.matches(&entry) => {
                        if visit(TrailId(trail.0), &entry).is_break() {
                            return Ok(unreadable);
                        }
                    }
                    Ok(_) => {}
                    Err(_) => unreadable += 1,
                }
            }
            let Some(last) = page.last().filter(|_| page.len() == PAGE) else {
                return Ok(unreadable);
            };
            after = Some(PageEnd {
                recorded_at: last.try_get(0)?,
                trail: last.try_get(1)?,
                seq: last.try_get(2)?,
            });
        }
    }
}
