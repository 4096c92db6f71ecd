//! The entries that were found in one trail.

use std::ops::ControlFlow;
use std::sync::Arc;

use auditx_reader::{Cursor, Moment, Row};

use crate::page::{Hit, Part, Status, numbered};

/// Entries of a trail, up to a size of their text.
pub(super) struct Collected {
    trail: Arc<str>,
    hits: Vec<Hit>,
    /// Whether a hit has a time of its own. Those before the first one get its time.
    has_time: bool,
    text: usize,
    max_text: usize,
}

impl Collected {
    pub(super) fn new(trail: &str, max_text: usize) -> Self {
        Self { trail: Arc::from(trail), hits: Vec::new(), has_time: false, text: 0, max_text }
    }

    /// Adds an entry. Breaks if the text is long enough.
    pub(super) fn add(&mut self, row: &Row<'_>, cursor: Cursor, is_unsigned: bool) -> ControlFlow<()> {
        let line = row.line().to_owned();
        self.text += line.len();
        let time = match (row.moment().map(Moment::micros), self.hits.last()) {
            (Some(time), _) => {
                if !std::mem::replace(&mut self.has_time, true) {
                    self.hits.iter_mut().for_each(|hit| hit.time = time);
                }
                time
            }
            (None, before) => before.map_or(0, |before| before.time),
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
