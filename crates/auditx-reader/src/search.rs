//! Searches a trail across its segments, while it may be written.
//!
//! A [`Search`] names a directory, a query, an order and a limit. It yields the matching entries in the order
//! of the trail or in reverse, and a [`Summary`] that counts what could not be read.

mod read_errors;
mod cursor;
mod check;
mod span;
mod prune;
mod needle;
mod pending;
mod units;
mod text;
mod filter;
mod findings;
mod run;

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use auditx_format::moment::Moment;
use auditx_format::row::{Field, Row};

use crate::error::{Error, Result};
use crate::query::Query;
use crate::verify::Fault;

pub use cursor::Cursor;
pub use read_errors::ReadErrors;
use run::Mapper;

/// The entries of a trail that are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Every entry.
    #[default]
    Audit,
    /// Entries whose level is SECURITY or CRITICAL, of which `security.jsonl` has copies. Read from the
    /// trail.
    Security,
}

impl Source {
    /// Matches these entries.
    #[must_use]
    pub fn query(self) -> Query {
        match self {
            Self::Audit => Query::everything(),
            Self::Security => Query::is(Field::Level, ["SECURITY", "CRITICAL"]),
        }
    }
}

/// The order in which entries are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In the order in which they were written.
    #[default]
    OldestFirst,
    /// From the end of the trail; with a limit, the search stops early.
    NewestFirst,
}

/// A matching entry and its position.
#[derive(Debug, Clone, Copy)]
pub struct Found<'l> {
    /// The entry.
    pub row: &'l Row<'l>,
    /// The file that contains its line.
    pub path: &'l Path,
    /// The byte offset of its line; for a compressed file, the offset in the decompressed text.
    pub offset: u64,
    /// Whether its line is newer than the latest checkpoint, so that no proof covers it yet.
    pub is_unsigned: bool,
}

impl Found<'_> {
    /// The cursor after which a search continues with the entry that follows this one.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor::of(self.row.seq(), self.path, self.offset)
    }
}

/// The outcome of a search.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// The number of matching entries.
    pub found: u64,
    /// The number of them that are newer than the latest checkpoint.
    pub unsigned: u64,
    /// The number of lines that the latest checkpoint covers; `None` if there is no readable checkpoint.
    pub signed: Option<u64>,
    /// Whether the lines were never signed: they were copied without `.auditx`, or the trail has format 1.
    pub is_unsigned: bool,
    /// The first deviation from what was signed, if any: entries may be missing or wrong.
    pub fault: Option<Fault>,
    /// The lines and segments that could not be read.
    pub errors: ReadErrors,
    /// If a limit was reached, where to continue with [`Search::after`]. There may be no further entries.
    pub next: Option<Cursor>,
    /// Whether the search ended at its [time limit](Search::time_limit). Every entry up to `next` was
    /// examined.
    pub is_out_of_time: bool,
}

/// A search of a trail.
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
/// let mut descriptions = Vec::new();
/// Search::new(log_dir).order(Order::NewestFirst).limit(1).each(|found| {
///     descriptions.push(found.row.text(auditx_reader::Field::Description).into_owned());
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(descriptions, ["Stock counted"]);
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
    time_limit: Option<Duration>,
    after: Option<Cursor>,
    uses_index: bool,
    is_strict: bool,
    threads: usize,
    progress: Option<Progress>,
    /// For handmade trails: uses indexes that no line names, and verifies nothing.
    #[cfg(test)]
    trusts_indexes: bool,
}

impl Search {
    /// Creates a search of every entry of the trail, oldest first.
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
            time_limit: None,
            after: None,
            uses_index: true,
            is_strict: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            progress: None,
            #[cfg(test)]
            trusts_indexes: false,
        }
    }

    /// Sets which entries are searched.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Sets the query that entries must match. The default matches every entry.
    #[must_use]
    pub fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// Restricts the search to entries at this moment or later.
    #[must_use]
    pub fn since(mut self, since: Moment) -> Self {
        self.since = Some(since);
        self
    }

    /// Restricts the search to entries before this moment.
    #[must_use]
    pub fn until(mut self, until: Moment) -> Self {
        self.until = Some(until);
        self
    }

    /// Sets the order of the entries.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Stops after this many entries.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Stops after this time, at the end of a piece of 1 MiB; [`Summary::next`] says how far it came, which
    /// is at least one piece. Lines whose hashes are not in the tree have no effect on it: a directory
    /// without `.auditx` is searched to the end. The default is no limit. Ignored by [`Search::fold`].
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Continues where an earlier search with the same order ended.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Reads every segment completely instead of using its index. The result is the same.
    #[must_use]
    pub fn without_index(mut self) -> Self {
        self.uses_index = false;
        self
    }

    /// Verifies the whole trail, and parses every line, even those that cannot match: each unreadable line is
    /// then an error in the summary. Without it, lines that lack a word of the query are skipped if they are
    /// UTF-8, begin with `{` and end with `}`, and the trail is verified only if something that was read
    /// deviates from what was signed.
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

    /// Sets the number of threads that read. The default is the number of processors.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Calls `report` with the number of bytes done and the total, on the thread that runs the search.
    #[must_use]
    pub fn progress(mut self, report: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Progress(Arc::new(report)));
        self
    }

    /// Renders each entry with `render` and writes the text to `out`, in order. `render` runs on several
    /// threads. `out` runs on the calling thread, each time with the text of many entries.
    ///
    /// # Errors
    /// [`SearchError::Trail`] with `is_missing` if there is no such directory, or `is_storage` if it cannot
    /// be listed; [`SearchError::Output`] if `out` fails. Lines and segments that cannot be read are counted
    /// in the summary instead.
    pub fn write(
        &self,
        render: impl Fn(&Found<'_>, &mut Vec<u8>) + Sync,
        mut out: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Summary, SearchError> {
        let mut failure = None;
        let mapper = Mapper { init: &|| (), map: &|(), found, text| render(found, text), marks: false };
        let (_, summary) = self.run(&mapper, |findings, taken| {
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
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        match failure {
            Some(error) => Err(SearchError::Output(error)),
            None => Ok(summary),
        }
    }

    /// Calls `visit` with each entry, in order, on the calling thread. The search ends when `visit` breaks.
    ///
    /// # Errors
    /// `is_missing` if there is no such directory; `is_storage` if it cannot be listed.
    pub fn each(&self, mut visit: impl FnMut(Found<'_>) -> ControlFlow<()>) -> Result<Summary> {
        let mut found = 0;
        let mapper = Mapper {
            init: &|| (),
            map: &|(), found, text| text.extend_from_slice(found.row.line().as_bytes()),
            marks: true,
        };
        let (_, mut summary) = self.run(&mapper, |findings, taken| {
            let mut begin = 0;
            findings.marks.iter().take(taken).try_for_each(|mark| {
                let line = &findings.text[std::mem::replace(&mut begin, mark.end)..mark.end];
                found += 1;
                // Parsing cannot fail: the line was parsed before.
                Row::read(line).map_or(ControlFlow::Continue(()), |row| {
                    let is_unsigned = mark.is_unsigned;
                    visit(Found { row: &row, path: &mark.path, offset: mark.offset, is_unsigned })
                })
            })
        })?;
        summary.found = found;
        Ok(summary)
    }

    /// Folds the entries in any order, and ignores the limits: `step` runs on several threads, each with its
    /// own value, created by `init`. Returns the values.
    ///
    /// # Errors
    /// The same as those of [`Search::each`].
    pub fn fold<T: Send>(
        &self,
        init: impl Fn() -> T + Sync,
        step: impl Fn(&mut T, &Found<'_>) + Sync,
    ) -> Result<(Vec<T>, Summary)> {
        let all = Self { limit: None, time_limit: None, ..self.clone() };
        let mapper = Mapper { init: &init, map: &|value, found, _| step(value, found), marks: false };
        all.run(&mapper, |_, _| ControlFlow::Continue(()))
    }
}

#[derive(Clone)]
struct Progress(Arc<dyn Fn(u64, u64) + Send + Sync>);

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Why a search failed.
#[derive(Debug)]
pub enum SearchError {
    /// The trail could not be listed.
    Trail(Error),
    /// The output failed.
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
