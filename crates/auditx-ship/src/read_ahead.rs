//! A source that reads the next lines while the previous batch is being sent.

use auditx_tlog::Hash;

use crate::batch::TrailName;
use crate::error::Result;
use crate::source::{Backlog, Lines, Source};

#[derive(Debug)]
pub(crate) struct ReadAhead<S> {
    source: S,
    /// The result of the next `read`, if it was read ahead.
    buffered: Option<Lines>,
}

impl<S: Source> ReadAhead<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { source, buffered: None }
    }

    /// Reads the lines from `next` on in advance. An error is discarded: the next `read` repeats it.
    pub(crate) async fn read_ahead(&mut self, next: u64, lines: usize, bytes: usize) {
        if self.buffered.is_none() {
            match self.source.read(lines, bytes).await {
                Ok(lines) => self.buffered = lines,
                Err(_) => self.seek(next),
            }
        }
    }
}

impl<S: Source> Source for ReadAhead<S> {
    async fn refresh(&mut self) -> Result<Option<(TrailName, u64)>> {
        self.source.refresh().await
    }

    fn seek(&mut self, next: u64) {
        self.buffered = None;
        self.source.seek(next);
    }

    async fn read(&mut self, lines: usize, bytes: usize) -> Result<Option<Lines>> {
        match self.buffered.take() {
            Some(lines) => Ok(Some(lines)),
            None => self.source.read(lines, bytes).await,
        }
    }

    fn backlog(&self, next: u64, end: u64) -> Result<Option<Backlog>> {
        self.source.backlog(next, end)
    }

    async fn leaf(&mut self, seq: u64) -> Result<Option<Hash>> {
        self.source.leaf(seq).await
    }
}
