//! Selects the matching lines of a block: searches the block for candidates, then parses those.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use auditx_format::row::{Field, Row};
use auditx_tlog::parse_seq;

use super::needle::Searchers;
use super::prune::{Bounds, State};
use super::text::Block;
use super::{Cursor, Found, Order};
use crate::error::Error;
use crate::query::Query;
use crate::segment::LONGEST;

/// Called with each matching entry, in order.
pub(super) type Visit<'v> = dyn FnMut(&Found<'_>) -> ControlFlow<()> + 'v;

/// The conditions on a line.
#[derive(Debug)]
pub(super) struct Filter<'q> {
    pub(super) query: &'q Query,
    pub(super) bounds: Bounds,
    pub(super) searchers: Searchers,
    pub(super) order: Order,
    pub(super) after: Option<&'q Cursor>,
    pub(super) is_strict: bool,
    /// The number of signed lines, if there is a checkpoint.
    pub(super) signed: Option<u64>,
    /// Lines after this one are skipped: their entries are among the pending ones.
    pub(super) last_seq: Option<u64>,
}

/// The file that a block belongs to.
#[derive(Clone, Copy)]
pub(super) struct BlockSource<'s> {
    pub(super) path: &'s Arc<Path>,
    /// Whether bytes after the last newline may still become a line.
    pub(super) is_growing: bool,
    pub(super) state: State,
}

/// The offsets at which candidate lines begin, reused by a thread.
#[derive(Debug, Default)]
pub(super) struct LineStarts(Vec<usize>);

impl Filter<'_> {
    /// Visits the matching entries in order, and collects errors for lines that are not entries.
    pub(super) fn examine(
        &self,
        block: &Block<'_>,
        source: BlockSource<'_>,
        LineStarts(starts): &mut LineStarts,
        errors: &mut Vec<Error>,
        visit: &mut Visit<'_>,
    ) -> ControlFlow<()> {
        let whole = memchr::memrchr(b'\n', block.lines).map_or(0, |newline| newline + 1);
        let (whole, rest) = block.lines.split_at(whole);
        starts.clear();
        self.collect(whole, source.state, starts);
        let may_become_a_line = source.is_growing && rest.len() <= LONGEST;
        if !rest.is_empty() && !may_become_a_line {
            starts.push(whole.len());
        }
        let mut check = |begin: &usize| {
            let line = match memchr::memchr(b'\n', &block.lines[*begin..]) {
                Some(len) => Ok(&block.lines[*begin..*begin + len]),
                None => Err("the file ends in the middle of a line"),
            };
            self.check_line(line, source.path, block.offset + *begin as u64, visit).unwrap_or_else(|error| {
                errors.push(error);
                ControlFlow::Continue(())
            })
        };
        match self.order {
            Order::OldestFirst => starts.iter().try_for_each(&mut check),
            Order::NewestFirst => starts.iter().rev().try_for_each(&mut check),
        }
    }

    /// Collects the offsets of the lines that must be parsed.
    fn collect(&self, lines: &[u8], state: State, starts: &mut Vec<usize>) {
        let is_searched = !self.is_strict
            && state != State::Unreadable
            && !matches!(self.searchers, Searchers::Any)
            // If it is not UTF-8, every line is parsed so that the one at fault is found.
            && (state == State::Readable || std::str::from_utf8(lines).is_ok());
        if !is_searched || state == State::Unknown {
            let mut begin = 0;
            for newline in memchr::memchr_iter(b'\n', lines) {
                let is_suspect = lines[begin] != b'{' || lines[newline.saturating_sub(1)] != b'}';
                if !is_searched || is_suspect {
                    starts.push(begin);
                }
                begin = newline + 1;
            }
        }
        if is_searched {
            self.searchers.collect(lines, starts);
            starts.sort_unstable();
            starts.dedup();
        }
    }

    /// Visits the line if it matches.
    #[inline]
    fn check_line(
        &self,
        line: Result<&[u8], &str>,
        path: &Path,
        offset: u64,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let unreadable = |why: String| Error::unreadable(why, path, offset);
        let line = line.map_err(|why| unreadable(why.to_owned()))?;
        if line.len() > LONGEST {
            return Err(unreadable(format!("a line of {} bytes is too long for an entry", line.len())));
        }
        if !self.is_ahead(line, path, offset) {
            return Ok(ControlFlow::Continue(()));
        }
        let quick_answer =
            if self.bounds.span.is_unbounded() { Some(true) } else { self.bounds.span.contains_line(line) };
        if quick_answer == Some(false) && !self.is_strict {
            return Ok(ControlFlow::Continue(()));
        }
        let row = Row::read(line).map_err(|why| unreadable(why.to_string()))?;
        let is_within = match quick_answer.or_else(|| self.bounds.span.contains_row(&row)) {
            Some(is_within) => is_within,
            None if row.has(Field::Erased) => false,
            None => {
                let why = "its timestamp cannot be read, so it is in no time range";
                return Err(unreadable(why.to_owned()));
            }
        };
        if is_within && self.query.matches(&row) {
            let is_unsigned = self.signed.is_some_and(|signed| row.seq().is_none_or(|seq| seq >= signed));
            return Ok(visit(&Found { row: &row, path, offset, is_unsigned }));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether the line comes after the cursor, and not after the last line of this search.
    fn is_ahead(&self, line: &[u8], path: &Path, offset: u64) -> bool {
        if self.after.is_none() && self.last_seq.is_none() {
            return true;
        }
        let seq = parse_seq(line);
        let is_after_end = self.last_seq.is_some_and(|last| seq.is_some_and(|seq| seq > last));
        !is_after_end && self.after.is_none_or(|cursor| cursor.is_before(seq, path, offset, self.order))
    }
}
