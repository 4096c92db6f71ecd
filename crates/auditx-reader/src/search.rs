//! Asking a whole trail: which entries, in which order, how many; across segments, while it is written.
//!
//! Comes in: a directory and what is wanted. Goes out: the entries found, in the trail's order or the other way round, and a
//! [`Summary`] that counts what could not be read.

mod complaints;
mod cursor;
mod check;
mod span;
mod prune;
mod needle;
mod waiting;
mod units;
mod text;
mod filter;
mod crew;
mod run;

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use auditx_core::{Moment, Row};

use crate::error::{Error, Result};
use crate::query::Query;
use crate::verify::Fault;

pub use complaints::Complaints;
pub use cursor::Cursor;
use run::Making;

/// Which entries of a trail are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Every entry.
    #[default]
    Audit,
    /// Those whose level is SECURITY or CRITICAL, which `security.jsonl` repeats. They are read from the trail.
    Security,
}

/// In which order entries come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As they were written.
    #[default]
    OldestFirst,
    /// From the end, which ends early where only so many are wanted.
    NewestFirst,
}

/// An entry that was asked for, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Found<'l> {
    /// What it says.
    pub row: &'l Row<'l>,
    /// Its file.
    pub path: &'l Path,
    /// Where its line begins; in a compressed file, in its decompressed text.
    pub offset: u64,
    /// Whether its line is newer than the latest checkpoint, so that nobody can prove it yet.
    pub is_unsigned: bool,
}

/// How a search went.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Entries found.
    pub found: u64,
    /// How many of them are newer than the latest checkpoint.
    pub unsigned: u64,
    /// How many lines the latest checkpoint names; `None` if there is no checkpoint that can be read.
    pub signed: Option<u64>,
    /// Whether there is neither a checkpoint nor anything else but lines: a copy that nobody signed.
    pub is_unsigned: bool,
    /// The first thing that is not as it was signed: the answer may lack entries, or have wrong ones.
    pub fault: Option<Fault>,
    /// What could not be read.
    pub complaints: Complaints,
    /// Where to go on with [`Search::after`], once the limit was reached; there may be nothing more.
    pub next: Option<Cursor>,
}

/// What is wanted of a trail.
///
/// ```
/// use auditx_core::{AuditLogger, Config};
/// use auditx_reader::{Order, Search};
/// use std::ops::ControlFlow;
/// # let directory = tempfile::tempdir()?;
/// # let log_dir = directory.path();
///
/// let logger = AuditLogger::open(Config::new(log_dir))?;
/// logger.log("Stock counted").record()?.wait_durable()?;
/// let mut said = Vec::new();
/// Search::new(log_dir).order(Order::NewestFirst).limit(1).each(|found| {
///     said.push(found.row.text(auditx_reader::Field::Description).into_owned());
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(said, ["Stock counted"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Search {
    directory: PathBuf,
    source: Source,
    query: Query,
    since: Option<Moment>,
    until: Option<Moment>,
    order: Order,
    limit: Option<u64>,
    after: Option<Cursor>,
    uses_index: bool,
    is_strict: bool,
    threads: usize,
    progress: Option<Tell>,
    /// For trails written by hand: indexes count, and nothing is compared with what was signed.
    #[cfg(test)]
    trusts_indexes: bool,
}

impl Search {
    /// Every entry of this trail, oldest first.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            source: Source::default(),
            query: Query::everything(),
            since: None,
            until: None,
            order: Order::default(),
            limit: None,
            after: None,
            uses_index: true,
            is_strict: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            progress: None,
            #[cfg(test)]
            trusts_indexes: false,
        }
    }

    /// Which file is asked.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Which entries are wanted.
    #[must_use]
    pub fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// Only entries of this moment and later.
    #[must_use]
    pub fn since(mut self, since: Moment) -> Self {
        self.since = Some(since);
        self
    }

    /// Only entries before this moment.
    #[must_use]
    pub fn until(mut self, until: Moment) -> Self {
        self.until = Some(until);
        self
    }

    /// In which order.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Goes on where an earlier search with the same order ended.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Reads everything, whatever the index of a segment says of it. The answer is the same.
    #[must_use]
    pub fn without_index(mut self) -> Self {
        self.uses_index = false;
        self
    }

    /// Verifies the whole trail, and examines every line, also those that cannot hold what is wanted: each unreadable line is
    /// then a complaint. Otherwise lines are skipped that lack a word of the question, if they are UTF-8, begin with `{` and end
    /// with `}`; and the trail is verified only if something that was read is not as it was signed.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    #[cfg(test)]
    fn trusting(mut self) -> Self {
        self.trusts_indexes = true;
        self
    }

    /// How many threads read; by default as many as there are processors.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Told how many bytes of how many are done, on the thread that searches.
    #[must_use]
    pub fn progress(mut self, tell: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Tell(Arc::new(tell)));
        self
    }

    /// Writes each entry as `render` makes it, in order. `render` runs on several threads; `out` on this one, with the text of many
    /// entries at once.
    ///
    /// # Errors
    /// `is_missing` where there is no such directory, `is_storage` where it cannot be listed, and what `out` refuses. What cannot be
    /// read of the trail is told in the summary.
    pub fn write(
        &self,
        render: impl Fn(&Found<'_>, &mut Vec<u8>) + Sync,
        mut out: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Summary, SearchError> {
        let mut refusal = None;
        let making = Making { begin: &|| (), make: &|(), found, text| render(found, text), marks: false };
        let (_, summary) = self.run(&making, |findings, taken| {
            let text = match findings.marks.get(taken) {
                Some(_) => &findings.text[..taken.checked_sub(1).map_or(0, |last| findings.marks[last].end)],
                None => &findings.text,
            };
            if text.is_empty() {
                return ControlFlow::Continue(());
            }
            match out(text) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    refusal = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        match refusal {
            Some(error) => Err(SearchError::Output(error)),
            None => Ok(summary),
        }
    }

    /// Visits each entry in order on this thread.
    ///
    /// # Errors
    /// `is_missing` where there is no such directory, `is_storage` where it cannot be listed.
    pub fn each(&self, mut visit: impl FnMut(Found<'_>) -> ControlFlow<()>) -> Result<Summary> {
        let mut found = 0;
        let making = Making {
            begin: &|| (),
            make: &|(), found, text| text.extend_from_slice(found.row.line().as_bytes()),
            marks: true,
        };
        let (_, mut summary) = self.run(&making, |findings, taken| {
            let mut begin = 0;
            findings.marks.iter().take(taken).try_for_each(|mark| {
                let line = &findings.text[std::mem::replace(&mut begin, mark.end)..mark.end];
                found += 1;
                // It was read before.
                Row::read(line).map_or(ControlFlow::Continue(()), |row| {
                    let is_unsigned = mark.is_unsigned;
                    visit(Found { row: &row, path: &mark.path, offset: mark.offset, is_unsigned })
                })
            })
        })?;
        summary.found = found;
        Ok(summary)
    }

    /// Sums entries up in any order: `step` runs on several threads, each with a value that `begin` made. A limit is not observed.
    ///
    /// # Errors
    /// As [`Search::each`].
    pub fn fold<T: Send>(
        &self,
        begin: impl Fn() -> T + Sync,
        step: impl Fn(&mut T, &Found<'_>) + Sync,
    ) -> Result<(Vec<T>, Summary)> {
        let all = Self { limit: None, ..self.clone() };
        let making = Making { begin: &begin, make: &|value, found, _| step(value, found), marks: false };
        all.run(&making, |_, _| ControlFlow::Continue(()))
    }
}

#[derive(Clone)]
struct Tell(Arc<dyn Fn(u64, u64) + Send + Sync>);

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}

/// Why a search ended early.
#[derive(Debug)]
pub enum SearchError {
    /// The trail could not be listed.
    Trail(Error),
    /// The output took no more.
    Output(io::Error),
}

impl From<Error> for SearchError {
    fn from(error: Error) -> Self {
        Self::Trail(error)
    }
}

impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trail(error) => error.fmt(f),
            Self::Output(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SearchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Trail(error) => Some(error),
            Self::Output(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests;
