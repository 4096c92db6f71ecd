//! Where lines come from: a trail on this machine, or a copy of one somewhere else.

use std::future::Future;
use std::time::SystemTime;

use auditx_core::Hash;

use crate::batch::{Note, Shipped, TrailName};
use crate::error::Result;

/// Signed lines, in order.
///
/// A call may be given up at any moment by dropping its future; [`go_to`](Source::go_to) comes before it is read again then.
pub trait Source: Send + 'static {
    /// Looks what is signed by now: which trail, and of how many lines; none before anything is.
    ///
    /// # Errors
    /// Where that cannot be read; tried again.
    fn look(&mut self) -> impl Future<Output = Result<Option<(TrailName, u64)>>>;

    /// The line that is read next.
    fn go_to(&mut self, next: u64);

    /// The lines from there, as many as may be and no further than the next note, and that note where it is known. None where nothing
    /// more is signed.
    ///
    /// # Errors
    /// As [`look`](Source::look).
    fn read(&mut self, lines: usize, bytes: usize) -> impl Future<Output = Result<Option<Lines>>>;

    /// What the lines from `next` on and before `end` are, where that can be told without reading them.
    ///
    /// # Errors
    /// As [`look`](Source::look).
    fn waiting(&self, _next: u64, _end: u64) -> Result<Option<Waiting>> {
        Ok(None)
    }

    /// The leaf of a line, if the line is signed and its leaf is known.
    ///
    /// # Errors
    /// As [`look`](Source::look).
    fn leaf(&mut self, seq: u64) -> impl Future<Output = Result<Option<Hash>>>;
}

/// Lines that wait.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waiting {
    /// What they take on the disk.
    pub bytes: u64,
    /// When the first of them was recorded, as it says.
    pub oldest: Option<SystemTime>,
}

/// What was read at once.
#[derive(Debug)]
pub struct Lines {
    /// At least one.
    pub lines: Vec<Shipped>,
    /// One that covers all of them, and ends with them or later.
    pub note: Option<Note>,
}
