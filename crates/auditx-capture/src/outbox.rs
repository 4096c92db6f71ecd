//! What a database offers to a collector.

use std::time::{Duration, SystemTime};

use auditx_core::EncodedEntry;
use auditx_reader::Moment;
use uuid::Uuid;

use crate::change::Change;
use crate::error::Result;
use crate::series::Series;

/// A row that waits in an outbox.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Waiting {
    /// What the outbox finds the row by.
    pub key: i64,
    /// The id of the entry that it becomes.
    pub id: Uuid,
    /// What it holds.
    pub content: Content,
}

/// What a row holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// The text of an [`EncodedEntry`](auditx_core::EncodedEntry).
    Entry(String),
    /// A change that a trigger noted, or that was read from a log.
    Change(Box<Change>),
    /// A change of nothing that is noted. It is removed.
    Nothing,
    /// Something else, for this reason. It is refused.
    Unreadable(String),
}

impl Waiting {
    /// Creates a row.
    #[must_use]
    pub fn new(key: i64, id: Uuid, content: Content) -> Self {
        Self { key, id, content }
    }

    /// Returns the time of its entry; `None` if it becomes none.
    pub(crate) fn at(&self) -> Option<SystemTime> {
        let at = match &self.content {
            Content::Entry(text) => EncodedEntry::parse(text.as_str()).ok()?.at(),
            Content::Change(change) => change.at,
            Content::Nothing | Content::Unreadable(_) => return None,
        };
        Some(SystemTime::UNIX_EPOCH + Duration::from_micros(at.micros().max(0).unsigned_abs()))
    }
}

/// A table in which entries wait until their transaction has committed. Only one collector may have it open:
/// the implementation holds a lock of the database from when it is opened.
///
/// If the lock may be lost, every call fails until [`Outbox::waiting`] has taken it again: another collector
/// may have recorded rows in between.
pub trait Outbox: Send + 'static {
    /// Returns the ids of all rows whose transactions have committed, and the earliest of their times; `None`
    /// if there are none. Called first, and again after each failure, to find out which of them were recorded
    /// but not removed.
    ///
    /// # Errors
    /// If the database fails.
    fn waiting(&mut self) -> Result<Option<(Vec<Uuid>, Moment)>>;

    /// Returns the series of the ids, if the rows come from a log in which they stay: then the collector
    /// searches the trail for the last of the series instead of for the ids of [`Outbox::waiting`], which may
    /// be empty, and calls [`Outbox::resume`] with it.
    fn series(&self) -> Option<Series> {
        None
    }

    /// Continues after this row, or with the first one for `None`.
    ///
    /// # Errors
    /// If the database fails.
    fn resume(&mut self, _last: Option<Uuid>) -> Result<()> {
        Ok(())
    }

    /// Returns the first rows, at most `limit`: those of a transaction in the order in which they were
    /// stored, and after those of each transaction that had committed when they were stored. A row is
    /// returned until it is removed or refused.
    ///
    /// # Errors
    /// If the database fails.
    fn take(&mut self, limit: usize) -> Result<Vec<Waiting>>;

    /// Removes rows, in one transaction.
    ///
    /// # Errors
    /// If the database fails. Then none of them is removed.
    fn remove(&mut self, keys: &[i64]) -> Result<()>;

    /// Moves a row that cannot become an entry to a table of its own, with the reason.
    ///
    /// # Errors
    /// If the database fails.
    fn refuse(&mut self, key: i64, reason: &str) -> Result<()>;

    /// Waits until a row may be waiting, or until the time is over.
    ///
    /// # Errors
    /// If the database fails.
    fn wait(&mut self, timeout: Duration) -> Result<()>;
}
