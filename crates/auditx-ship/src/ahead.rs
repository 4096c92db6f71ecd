//! A source that is read while the lines before are on their way.

use auditx_core::Hash;

use crate::batch::TrailName;
use crate::error::Result;
use crate::source::{Lines, Source, Waiting};

#[derive(Debug)]
pub(crate) struct Ahead<S> {
    source: S,
    /// What the next reading gives.
    read: Option<Lines>,
}

impl<S: Source> Ahead<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { source, read: None }
    }

    /// Reads for later what begins with `next`. What goes wrong goes wrong again when it is wanted.
    pub(crate) async fn read_ahead(&mut self, next: u64, lines: usize, bytes: usize) {
        if self.read.is_none() {
            match self.source.read(lines, bytes).await {
                Ok(read) => self.read = read,
                Err(_) => self.go_to(next),
            }
        }
    }
}

impl<S: Source> Source for Ahead<S> {
    async fn look(&mut self) -> Result<Option<(TrailName, u64)>> {
        self.source.look().await
    }

    fn go_to(&mut self, next: u64) {
        self.read = None;
        self.source.go_to(next);
    }

    async fn read(&mut self, lines: usize, bytes: usize) -> Result<Option<Lines>> {
        match self.read.take() {
            Some(read) => Ok(Some(read)),
            None => self.source.read(lines, bytes).await,
        }
    }

    fn waiting(&self, next: u64, end: u64) -> Result<Option<Waiting>> {
        self.source.waiting(next, end)
    }

    async fn leaf(&mut self, seq: u64) -> Result<Option<Hash>> {
        self.source.leaf(seq).await
    }
}
