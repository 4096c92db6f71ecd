//! The entries that were found in one trail.

use std::ops::ControlFlow;
use std::sync::Arc;

use auditx_reader::{Cursor, Row};

use crate::page::{Hit, Part, Status, micros, numbered};

/// Entries of a trail, up to a size of their text.
pub(super) struct Collected {
    trail: Arc<str>,
    hits: Vec<Hit>,
    /// The indexes of the first hits, until one has a time.
    untimed: Vec<usize>,
    text: usize,
    max_text: usize,
}

impl Collected {
    pub(super) fn new(trail: &str, max_text: usize) -> Self {
        Self { trail: Arc::from(trail), hits: Vec::new(), untimed: Vec::new(), text: 0, max_text }
    }

    /// Adds an entry. Breaks if the text is long enough.
    pub(super) fn add(&mut self, row: &Row<'_>, cursor: Cursor, is_unsigned: bool) -> ControlFlow<()> {
        let line = row.line().to_owned();
        self.text += line.len();
        let time = match (micros(row), self.hits.last()) {
            (Some(time), _) => {
                // The hits before it had no time.
                self.untimed.drain(..).for_each(|index| self.hits[index].time = time);
                time
            }
            (None, Some(before)) if self.untimed.is_empty() => before.time,
            (None, _) => {
                self.untimed.push(self.hits.len());
                0
            }
        };
        self.hits.push(Hit { line, cursor, is_unsigned, trail: self.trail.clone(), time });
        if self.text < self.max_text { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// `next` is where the search continues, and `reached` the time that it reached if it ran out of time.
    pub(super) fn part(self, next: Option<Cursor>, reached: Option<i64>, status: Status) -> Part {
        let last = self.hits.last().filter(|_| self.text >= self.max_text);
        let bound = last.map(|hit| hit.time).or(reached);
        let next = last.map(|hit| hit.cursor.clone()).or(next).map(numbered);
        Part { trail: self.trail, hits: self.hits, next, bound, status }
    }
}
