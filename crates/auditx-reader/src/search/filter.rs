//! Which lines of a block are wanted: searched for first, then read.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use auditx_core::{Field, Row, parse_seq};

use super::needle::Searchers;
use super::prune::{Bounds, State};
use super::text::Block;
use super::{Cursor, Found, Order};
use crate::error::Error;
use crate::query::Query;
use crate::segment::LONGEST;

/// Told of entries in order.
pub(super) type Visit<'v> = dyn FnMut(&Found<'_>) -> ControlFlow<()> + 'v;

/// What is asked of every line.
#[derive(Debug)]
pub(super) struct Filter<'q> {
    pub(super) query: &'q Query,
    pub(super) bounds: Bounds,
    pub(super) searchers: Searchers,
    pub(super) order: Order,
    pub(super) after: Option<&'q Cursor>,
    pub(super) is_strict: bool,
    /// How many lines are signed, if there is a checkpoint.
    pub(super) signed: Option<u64>,
    /// Lines behind this one are not wanted: what they hold is among the entries that wait.
    pub(super) last_seq: Option<u64>,
}

/// Where a block came from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'o> {
    pub(super) path: &'o Arc<Path>,
    /// Whether bytes behind the last newline may still become a line.
    pub(super) grows: bool,
    pub(super) state: State,
}

/// A thread's room for the places at which lines begin.
#[derive(Debug, Default)]
pub(super) struct Begins(Vec<usize>);

impl Filter<'_> {
    /// Visits the entries that are wanted, in order, and collects complaints about lines that are none.
    pub(super) fn examine(
        &self,
        block: &Block<'_>,
        origin: Origin<'_>,
        Begins(begins): &mut Begins,
        complaints: &mut Vec<Error>,
        visit: &mut Visit<'_>,
    ) -> ControlFlow<()> {
        let whole = memchr::memrchr(b'\n', block.lines).map_or(0, |newline| newline + 1);
        let (whole, rest) = block.lines.split_at(whole);
        begins.clear();
        self.collect(whole, origin.state, begins);
        let may_become_a_line = origin.grows && rest.len() <= LONGEST;
        if !rest.is_empty() && !may_become_a_line {
            begins.push(whole.len());
        }
        let mut look = |begin: &usize| {
            let line = match memchr::memchr(b'\n', &block.lines[*begin..]) {
                Some(len) => Ok(&block.lines[*begin..*begin + len]),
                None => Err("the file ends in the middle of a line"),
            };
            self.look(line, origin.path, block.offset + *begin as u64, visit).unwrap_or_else(|error| {
                complaints.push(error);
                ControlFlow::Continue(())
            })
        };
        match self.order {
            Order::OldestFirst => begins.iter().try_for_each(&mut look),
            Order::NewestFirst => begins.iter().rev().try_for_each(&mut look),
        }
    }

    /// Where the lines begin that are worth reading.
    fn collect(&self, lines: &[u8], state: State, begins: &mut Vec<usize>) {
        let is_searched = !self.is_strict
            && state != State::Unreadable
            && !matches!(self.searchers, Searchers::Any)
            // Where it is not UTF-8, reading finds the line that is not.
            && (state == State::Readable || std::str::from_utf8(lines).is_ok());
        if !is_searched || state == State::Unknown {
            let mut begin = 0;
            for newline in memchr::memchr_iter(b'\n', lines) {
                let is_strange = lines[begin] != b'{' || lines[newline.saturating_sub(1)] != b'}';
                if !is_searched || is_strange {
                    begins.push(begin);
                }
                begin = newline + 1;
            }
        }
        if is_searched {
            self.searchers.collect(lines, begins);
            begins.sort_unstable();
            begins.dedup();
        }
    }

    /// Visits a line if it is wanted.
    #[inline]
    fn look(
        &self,
        line: Result<&[u8], &str>,
        path: &Path,
        offset: u64,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let complaint = |why: String| Error::unreadable(why, path, offset);
        let line = line.map_err(|why| complaint(why.to_owned()))?;
        if line.len() > LONGEST {
            return Err(complaint(format!("a line of {} bytes is too long for an entry", line.len())));
        }
        if !self.is_ahead(line, path, offset) {
            return Ok(ControlFlow::Continue(()));
        }
        let quick =
            if self.bounds.span.is_everything() { Some(true) } else { self.bounds.span.holds_line(line) };
        if quick == Some(false) && !self.is_strict {
            return Ok(ControlFlow::Continue(()));
        }
        let row = Row::read(line).map_err(complaint)?;
        let is_within = match quick.or_else(|| self.bounds.span.holds_row(&row)) {
            Some(is_within) => is_within,
            None if row.has(Field::Erased) => false,
            None => {
                return Err(complaint("its time cannot be read: it is in no span of time".to_owned()));
            }
        };
        if is_within && self.query.matches(&row) {
            let is_unsigned = self.signed.is_some_and(|signed| row.seq().is_none_or(|seq| seq >= signed));
            return Ok(visit(&Found { row: &row, path, offset, is_unsigned }));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether it comes after where an earlier search ended, and before where this one does.
    fn is_ahead(&self, line: &[u8], path: &Path, offset: u64) -> bool {
        if self.after.is_none() && self.last_seq.is_none() {
            return true;
        }
        let seq = parse_seq(line);
        let is_behind_end = self.last_seq.is_some_and(|last| seq.is_some_and(|seq| seq > last));
        !is_behind_end && self.after.is_none_or(|cursor| cursor.is_before(seq, path, offset, self.order))
    }
}
