//! The trait for sources of lines: a trail on this machine, or a copy of one in another system.

use std::future::Future;
use std::time::SystemTime;

use auditx_tlog::Hash;

use crate::batch::{CoveringCheckpoint, ShippedLine, TrailName};
use crate::error::Result;

/// Provides signed lines in order.
///
/// A call may be cancelled at any time by dropping its future; [`seek`](Source::seek) is then called before
/// the next read.
pub trait Source: Send + 'static {
    /// Reads the latest checkpoint and returns the trail and the number of signed lines, or `None` if nothing
    /// is signed yet.
    ///
    /// # Errors
    /// If the source cannot be read. The call is retried.
    fn refresh(&mut self) -> impl Future<Output = Result<Option<(TrailName, u64)>>>;

    /// Sets the line that is read next.
    fn seek(&mut self, next: u64);

    /// Reads the next lines, up to the given numbers of lines and bytes, and not beyond the next checkpoint;
    /// also returns that checkpoint if it is known. `None` if no more lines are signed.
    ///
    /// # Errors
    /// As [`refresh`](Source::refresh).
    fn read(&mut self, lines: usize, bytes: usize) -> impl Future<Output = Result<Option<Lines>>>;

    /// Returns the size and age of the lines from `next` up to but not including `end`, or `None` if they are
    /// not known without reading the lines.
    ///
    /// # Errors
    /// As [`refresh`](Source::refresh).
    fn backlog(&self, _next: u64, _end: u64) -> Result<Option<Backlog>> {
        Ok(None)
    }

    /// Returns the leaf hash of a line, if the line is signed and its leaf hash is known.
    ///
    /// # Errors
    /// As [`refresh`](Source::refresh).
    fn leaf(&mut self, seq: u64) -> impl Future<Output = Result<Option<Hash>>>;
}

/// The lines that are not shipped yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backlog {
    /// Their size on disk.
    pub bytes: u64,
    /// The timestamp of the first of them.
    pub oldest: Option<SystemTime>,
}

/// The result of one read.
#[derive(Debug)]
pub struct Lines {
    /// The lines, at least one.
    pub lines: Vec<ShippedLine>,
    /// A checkpoint that covers all of these lines, and possibly later ones.
    pub checkpoint: Option<CoveringCheckpoint>,
}
