//! The entries of one answer, merged from several trails.

use std::borrow::Cow;
use std::sync::Arc;

use auditx_reader::{Cursor, Moment, Order, Row};

use crate::position::{Position, reversed};

/// An entry that was found.
pub(crate) struct Hit {
    pub(crate) line: String,
    pub(crate) cursor: Cursor,
    pub(crate) is_unsigned: bool,
    /// The name of its trail; empty if there is only one.
    pub(crate) trail: Arc<str>,
    /// Its time in microseconds; that of the hit before it if it has none.
    pub(crate) time: i64,
}

impl Hit {
    /// The line as it is stored; for a trail of a family, with its name as the last member.
    pub(crate) fn named_line(&self) -> Cow<'_, str> {
        named(&self.trail, &self.line)
    }

    pub(crate) fn row(&self) -> Option<Row<'_>> {
        Row::read_text(&self.line).ok()
    }
}

/// Returns a line with the name of its trail as the last member, unless the name is empty. Of two members
/// with one name, parsers take the last: a line cannot pretend to be of another trail.
pub(crate) fn named<'l>(trail: &str, line: &'l str) -> Cow<'l, str> {
    match line.strip_suffix('}') {
        Some(members) if !trail.is_empty() => {
            let name = serde_json::Value::from(trail);
            let comma = if members == "{" { "" } else { "," };
            format!("{members}{comma}\"trail\":{name}}}").into()
        }
        _ => Cow::Borrowed(line),
    }
}

/// What an answer says besides its entries.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Whether the search ended because of its time limit.
    pub(crate) is_out_of_time: bool,
    /// The time that it reached then; `None` if the line there does not exist for the viewer.
    pub(crate) reached: Option<Moment>,
    /// What makes the answer incomplete or wrong.
    pub(crate) warnings: Vec<String>,
    /// Whether something could not be read, or differs from what was signed.
    pub(crate) is_damaged: bool,
    /// The number of lines that the latest checkpoint covers, if there is one trail only.
    pub(crate) signed: Option<u64>,
}

impl Status {
    /// Adds what a search of another trail says. The first of several times reached is the one up to which
    /// all trails were searched.
    pub(crate) fn add(&mut self, other: Self, order: Order) {
        let first = |one: Moment, other: Moment| match order {
            Order::NewestFirst => one.max(other),
            Order::OldestFirst => one.min(other),
        };
        self.reached = match (self.is_out_of_time, other.is_out_of_time) {
            (true, true) => self.reached.zip(other.reached).map(|(one, other)| first(one, other)),
            (false, true) => other.reached,
            (_, false) => self.reached,
        };
        self.is_out_of_time |= other.is_out_of_time;
        // Those of a viewer for whom some entries do not exist do not name the trail.
        self.warnings.extend(other.warnings);
        self.warnings.dedup();
        self.is_damaged |= other.is_damaged;
        self.signed = None;
    }
}

/// What was found in one trail.
pub(crate) struct Part {
    pub(crate) trail: Arc<str>,
    pub(crate) hits: Vec<Hit>,
    /// Where its search continues; `None` at the end of the trail.
    pub(crate) next: Option<Cursor>,
    /// The time up to which the trail was searched, in microseconds, if `next` is not `None`.
    pub(crate) bound: Option<i64>,
    pub(crate) status: Status,
}

/// The entries of one answer, in its order.
pub(crate) struct Page {
    pub(crate) hits: Vec<Hit>,
    pub(crate) status: Status,
    /// Where the next answer continues; `None` if there is nothing more.
    pub(crate) next: Option<Position>,
    /// Where an answer in the other order continues.
    pub(crate) back: Position,
    /// Trails that were read to their end, and have no position since nothing was found.
    pub(crate) ended: Vec<Arc<str>>,
}

/// Merges what was found after `at`: at most `limit` entries, ordered by time. Entries of one trail stay in
/// its order, even if its clock went back.
pub(crate) fn merged(parts: Vec<Part>, at: &Position, order: Order, limit: usize) -> Page {
    let (mut names, mut queues, mut status) = (Vec::new(), Vec::new(), None::<Status>);
    for part in parts {
        match &mut status {
            None => status = Some(part.status),
            Some(status) => status.add(part.status, order),
        }
        names.push(part.trail);
        queues.push(Queue {
            first: part.hits.iter().find(|hit| !hit.cursor.is_pending()).map(|hit| hit.cursor.clone()),
            hits: part.hits.into_iter().peekable(),
            last: None,
            next: part.next,
            bound: part.bound,
        });
    }
    let mut hits = Vec::new();
    while hits.len() < limit
        && let Some(hit) = next_hit(&mut queues, order)
    {
        hits.push(hit);
    }
    // A trail that was not searched, because it cannot be found at present, keeps its position.
    let (mut next, mut back, mut is_all) = (at.clone(), at.reversed(order), true);
    let mut ended = Vec::new();
    for (trail, mut queue) in names.iter().zip(queues) {
        let begin = at.of(trail);
        is_all &= queue.hits.peek().is_none() && queue.next.is_none();
        let first = queue.first.take().filter(|_| queue.last.is_some());
        if let Some(cursor) = first {
            back.set(trail, cursor);
        }
        match queue.end(begin, order) {
            Some(cursor) => next.set(trail, cursor),
            None => ended.push(trail.clone()),
        }
    }
    Page { hits, status: status.unwrap_or_default(), next: (!is_all).then_some(next), back, ended }
}

/// Returns a cursor that the next answer can continue after. A pending entry has a number by then, so its own
/// cursor becomes the one before all numbered lines: pending entries are found only before those.
pub(crate) fn numbered(cursor: Cursor) -> Cursor {
    if cursor.is_pending() { Cursor::Seq(u64::MAX) } else { cursor }
}

/// The hits of one trail that wait for their turn.
struct Queue {
    hits: std::iter::Peekable<std::vec::IntoIter<Hit>>,
    first: Option<Cursor>,
    /// The cursor of the last hit that was taken.
    last: Option<Cursor>,
    next: Option<Cursor>,
    bound: Option<i64>,
}

impl Queue {
    /// Where the next answer continues in this trail.
    fn end(mut self, begin: Option<&Cursor>, order: Order) -> Option<Cursor> {
        let waiting = self.hits.next().map(|hit| numbered(hit.cursor));
        match (waiting, self.last, self.next) {
            // Nothing was taken, but the end of the trail may move before the next answer.
            (Some(waiting), None, _) => begin.cloned().or_else(|| reversed(&waiting, other(order))),
            (Some(_), Some(last), _) | (None, Some(last), None) => Some(last),
            (None, _, Some(next)) => Some(next),
            (None, None, None) if order == Order::NewestFirst => begin.cloned().or(Some(Cursor::Seq(0))),
            (None, None, None) => begin.cloned(),
        }
    }
}

fn other(order: Order) -> Order {
    match order {
        Order::NewestFirst => Order::OldestFirst,
        Order::OldestFirst => Order::NewestFirst,
    }
}

/// Takes the first of the waiting hits. `None` if all were taken, or if a trail that was not searched to its
/// end may have an entry that comes before.
fn next_hit(queues: &mut [Queue], order: Order) -> Option<Hit> {
    let key = |time: i64| if order == Order::NewestFirst { !time } else { time };
    let heads = queues.iter_mut().enumerate().filter_map(|(index, queue)| {
        let time = key(queue.hits.peek()?.time);
        Some((time, index))
    });
    let turn = |index: usize| if order == Order::NewestFirst { usize::MAX - index } else { index };
    let (time, index) = heads.min_by_key(|(time, index)| (*time, turn(*index)))?;
    let mut is_early = false;
    for (other, queue) in queues.iter_mut().enumerate() {
        let is_cut = queue.hits.peek().is_none() && queue.next.is_some();
        let bound = queue.bound.filter(|_| is_cut);
        is_early |= bound.is_some_and(|bound| (key(bound), turn(other)) < (time, turn(index)));
    }
    if is_early {
        return None;
    }
    let queue = queues.get_mut(index)?;
    let hit = queue.hits.next()?;
    // A pending entry has no position.
    if !hit.cursor.is_pending() {
        queue.last = Some(hit.cursor.clone());
    }
    Some(hit)
}

#[cfg(test)]
mod tests;
