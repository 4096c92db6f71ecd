//! Searches one trail in the order of its lines, a range of sequence numbers at a time.
//!
//! The order is that of the primary key, so that the server reads only the lines that are returned and sorts
//! none, and lines that are shipped later are always after those that were there: a search continues without
//! loss or repetition. The ranges become longer while they are fast. Each range is one statement, and between
//! two of them the search may end and say how far it came.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use auditx_reader::{Order, Query, Row, SqlCondition};
use auditx_tlog::{Hash, leaf_of};
use tokio_postgres::types::ToSql;

use crate::copy::{PostgresCopy, TrailHead};
use crate::error::Result;
use crate::search::boxed;
use crate::value::Uuid;

/// The length of the first range, in sequence numbers.
const FIRST_RANGE: u64 = 4_096;

/// A statement that took less is followed by one over a longer range.
const FAST: Duration = Duration::from_millis(200);

/// How much longer.
const GROWTH: u64 = 4;

/// The largest number of lines fetched at a time.
const MAX_FETCHED: u64 = 1_000;

/// The least time that the server has for the first range, whatever the limit: a search that makes no
/// progress would be continued for ever.
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);

/// A search of one trail in a database.
#[derive(Debug, Clone)]
pub struct TrailSearch {
    trail: Uuid,
    lines: Range<u64>,
    query: Query,
    order: Order,
    limit: u64,
    time_limit: Option<Duration>,
}

/// An entry that a [`TrailSearch`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoredRow<'r> {
    /// The sequence number under which the line is stored.
    pub seq: u64,
    /// The entry.
    pub row: &'r Row<'r>,
}

/// The outcome of a [`TrailSearch`].
#[derive(Debug, Default, Clone)]
#[non_exhaustive]
pub struct TrailSummary {
    /// Where to continue with [`TrailSearch::after`]; `None` if the whole trail was searched.
    pub next: Option<u64>,
    /// Whether the search ended at its [time limit](TrailSearch::time_limit). Every line up to `next` was
    /// examined.
    pub is_out_of_time: bool,
    /// The number of lines that are no entries.
    pub unreadable: u64,
    /// The first line that was found to differ from the hash that is stored with it.
    pub changed: Option<u64>,
}

/// A line as it is stored.
struct Stored {
    seq: u64,
    hash: Hash,
    line: String,
}

impl TrailSearch {
    /// Creates a search for all entries of a trail that match the query, oldest first. Lines that are shipped
    /// after its head was read are not found.
    #[must_use]
    pub fn new(head: &TrailHead, query: Query) -> Self {
        let lines = head.first..head.next;
        let (order, limit) = (Order::OldestFirst, u64::MAX);
        Self { trail: Uuid(head.trail.0), lines, query, order, limit, time_limit: None }
    }

    /// Default: oldest first. The order of the lines; call it before [`TrailSearch::after`].
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Continues after the line with this number, in the order of the search.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        match self.order {
            Order::OldestFirst => self.lines.start = self.lines.start.max(seq.saturating_add(1)),
            Order::NewestFirst => self.lines.end = self.lines.end.min(seq),
        }
        self
    }

    /// Default: no limit. Stops after this many entries.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Default: no limit. Stops after this time, but not before 4,096 lines were searched, for which the
    /// server has at least 2 s. The server cancels a statement that is not done in time.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Removes the next `length` sequence numbers from `rest`.
    fn split_off(&self, rest: &mut Range<u64>, length: u64) -> Range<u64> {
        match self.order {
            Order::OldestFirst => {
                let middle = rest.start.saturating_add(length).min(rest.end);
                let range = rest.start..middle;
                rest.start = middle;
                range
            }
            Order::NewestFirst => {
                let middle = rest.end.saturating_sub(length).max(rest.start);
                let range = middle..rest.end;
                rest.end = middle;
                range
            }
        }
    }

    /// The lines after this one.
    fn beyond(&self, seq: u64, rest: &Range<u64>) -> Range<u64> {
        match self.order {
            Order::OldestFirst => seq.saturating_add(1)..rest.end,
            Order::NewestFirst => rest.start..seq,
        }
    }

    /// Returns where a search with this rest continues.
    fn next(&self, rest: &Range<u64>) -> Option<u64> {
        if rest.is_empty() {
            return None;
        }
        match self.order {
            Order::OldestFirst => rest.start.checked_sub(1),
            Order::NewestFirst => Some(rest.end),
        }
    }

    fn sql(&self, range: &Range<u64>, limit: u64) -> (String, Vec<Box<dyn ToSql + Sync + Send>>) {
        let SqlCondition { text, parameters } = self.query.sql();
        let mut bound: Vec<Box<dyn ToSql + Sync + Send>> = parameters.into_iter().map(boxed).collect();
        let mut bind = |value| {
            bound.push(value);
            bound.len()
        };
        let signed = |seq: u64| Box::new(i64::try_from(seq).unwrap_or(i64::MAX));
        let (trail, first, end) =
            (bind(Box::new(self.trail)), bind(signed(range.start)), bind(signed(range.end)));
        let direction = if self.order == Order::NewestFirst { " DESC" } else { "" };
        let condition = if text.is_empty() { text } else { format!(" AND ({text})") };
        let sql = format!(
            "SELECT seq, leaf_hash, line FROM auditx.entry \
             WHERE trail_id = ${trail} AND seq >= ${first} AND seq < ${end}{condition} \
             ORDER BY seq{direction} LIMIT {limit}"
        );
        (sql, bound)
    }
}

impl PostgresCopy {
    /// Calls `visit` for each matching entry of a trail, in order, until it breaks.
    ///
    /// # Errors
    /// If the database cannot be reached or refuses; `is_out_of_time` if the server could not search 4,096
    /// lines in time.
    pub async fn search_trail(
        &mut self,
        search: &TrailSearch,
        mut visit: impl FnMut(StoredRow<'_>) -> ControlFlow<()>,
    ) -> Result<TrailSummary> {
        let deadline = search.time_limit.and_then(|limit| Instant::now().checked_add(limit));
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let (mut summary, mut found) = (TrailSummary::default(), 0);
        let (mut rest, mut length, mut is_first) = (search.lines.clone(), FIRST_RANGE, true);
        let mut fetched = search.limit.min(MAX_FETCHED);
        while !rest.is_empty() && found < search.limit {
            if !is_first && left() == Some(Duration::ZERO) {
                summary.is_out_of_time = true;
                break;
            }
            let timeout = left().map(|left| if is_first { left.max(FIRST_TIMEOUT) } else { left });
            let (before, began) = (rest.clone(), Instant::now());
            let range = search.split_off(&mut rest, length);
            let lines = match self.lines_in(search, &range, fetched, timeout).await {
                Err(error) if error.is_out_of_time() && !is_first => {
                    rest = before;
                    summary.is_out_of_time = true;
                    break;
                }
                lines => lines?,
            };
            is_first = false;
            if began.elapsed() < FAST {
                length = length.saturating_mul(GROWTH);
            }
            let is_full = lines.len() as u64 == fetched;
            for stored in &lines {
                let flow = summary.take(search, stored, &mut found, &mut visit);
                if flow.is_break() || found == search.limit {
                    summary.next = search.next(&search.beyond(stored.seq, &before));
                    self.end_timeout(deadline.is_some()).await?;
                    return Ok(summary);
                }
            }
            if let Some(last) = lines.last().filter(|_| is_full) {
                rest = search.beyond(last.seq, &before);
                // Many of them did not match after all, or more are wanted than are fetched at a time.
                fetched = fetched.saturating_mul(GROWTH).min(MAX_FETCHED);
            }
        }
        summary.next = search.next(&rest);
        self.end_timeout(deadline.is_some()).await?;
        Ok(summary)
    }

    /// Returns the lines in this range that may match, at most `limit`.
    async fn lines_in(
        &self,
        search: &TrailSearch,
        range: &Range<u64>,
        limit: u64,
        timeout: Option<Duration>,
    ) -> Result<Vec<Stored>> {
        let (sql, bound) = search.sql(range, limit);
        let bound: Vec<&(dyn ToSql + Sync)> =
            bound.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
        let rows = self.rows_within(timeout, &sql, &bound).await?;
        let stored = |row: &tokio_postgres::Row| {
            let (seq, hash): (i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
            // A hash of another length is invalid; the default never matches.
            let (seq, hash) = (u64::try_from(seq).unwrap_or(0), Hash::try_from(hash).unwrap_or_default());
            Ok(Stored { seq, hash, line: row.try_get(2)? })
        };
        rows.iter().map(stored).collect()
    }

    async fn end_timeout(&self, has_timeout: bool) -> Result<()> {
        if has_timeout {
            self.batch("RESET statement_timeout").await?;
        }
        Ok(())
    }
}

impl TrailSummary {
    /// Visits a line if it is an entry that matches.
    fn take(
        &mut self,
        search: &TrailSearch,
        stored: &Stored,
        found: &mut u64,
        visit: &mut impl FnMut(StoredRow<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Ok(row) = Row::read_text(&stored.line) else {
            self.unreadable += 1;
            return ControlFlow::Continue(());
        };
        if !search.query.matches(&row) {
            return ControlFlow::Continue(());
        }
        let leaf = leaf_of(stored.line.as_bytes());
        if !leaf.is_some_and(|leaf| leaf.seq == stored.seq && leaf.hash == stored.hash) {
            self.changed = self.changed.or(Some(stored.seq));
        }
        *found += 1;
        visit(StoredRow { seq: stored.seq, row: &row })
    }
}

#[cfg(test)]
mod tests {
    use auditx_reader::Moment;
    use auditx_ship::TrailId;

    use super::*;

    fn search(order: Order) -> TrailSearch {
        let head = TrailHead {
            trail: TrailId([7; 16]),
            origin: String::new(),
            first: 10,
            next: 25,
            checkpoint: None,
        };
        let query = Query::parse("user:admin OR user:clerk", Moment::from_micros(0)).unwrap();
        TrailSearch::new(&head, query).order(order)
    }

    #[test]
    fn ranges_cover_the_trail_in_the_order_of_the_search() {
        for (order, expected) in [
            (Order::OldestFirst, [(10..20, Some(19)), (20..25, None)]),
            (Order::NewestFirst, [(15..25, Some(15)), (10..15, None)]),
        ] {
            let search = search(order);
            let mut rest = search.lines.clone();
            for (range, next) in expected {
                assert_eq!(search.split_off(&mut rest, 10), range);
                assert_eq!(search.next(&rest), next);
            }
            assert!(rest.is_empty());
        }
        assert_eq!(search(Order::OldestFirst).after(12).lines, 13..25);
        assert_eq!(search(Order::OldestFirst).after(3).lines, 10..25);
        assert_eq!(search(Order::NewestFirst).after(12).lines, 10..12);
        assert_eq!(search(Order::NewestFirst).after(99).lines, 10..25);
    }

    #[test]
    fn alternatives_of_a_query_do_not_widen_the_range() {
        let (sql, bound) = search(Order::NewestFirst).sql(&(10..20), 100);
        let end = bound.len();
        let range = format!("trail_id = ${} AND seq >= ${} AND seq < ${end} AND (", end - 2, end - 1);
        assert!(sql.contains(&range) && sql.ends_with(") ORDER BY seq DESC LIMIT 100"), "{sql}");
    }
}
