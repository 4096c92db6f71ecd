//! Waits until positions of the journal are durable, and finds the lines of their entries.

use std::sync::Arc;
use std::task::Waker;

use auditx_format::{Error, Result};
use auditx_tlog::{Hash, leaf_hash};
use uuid::Uuid;

use crate::dir::Dir;
use crate::history::Found;
use crate::segment::TrailReader;
use crate::watermark::Watermark;

/// The seq and the leaf hash of a durable entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The sequence number of the line, from 0.
    pub seq: u64,
    /// The leaf hash of the line in the Merkle tree of the trail.
    pub leaf_hash: Hash,
}

/// Waits until positions of the journal are durable, even after the [`Writer`](super::Writer) is dropped.
#[derive(Debug, Clone)]
pub struct Positions {
    watermark: Arc<Watermark>,
    directory: Dir,
}

impl Positions {
    pub(super) fn new(watermark: Arc<Watermark>, directory: Dir) -> Self {
        Self { watermark, directory }
    }

    /// Blocks until the entry before this position is durable.
    ///
    /// # Errors
    /// `is_storage` if a write or an fdatasync failed.
    pub fn wait_durable(&self, position: u64) -> Result<()> {
        self.watermark.wait_durable(position, None)
    }

    /// Returns the outcome, or registers `waker`, which is woken once the outcome is known. No wake-up is
    /// lost: the position is checked and the waker added under one mutex (see `watermark`).
    pub fn poll_durable(&self, position: u64, waker: &Waker) -> Option<Result<()>> {
        self.watermark.poll_durable(position, waker)
    }

    /// Returns the seq and the leaf hash of a durable entry. If it is no longer in the in-memory history, its
    /// line is searched for in the trail.
    ///
    /// # Errors
    /// `is_invalid` if the line was erased or retired; `is_storage` if the trail cannot be read.
    pub fn line_of(&self, id: Uuid, position: u64) -> Result<Recorded> {
        let begin = match self.watermark.history.find(position) {
            Found::Line(line) => return Ok(Recorded { seq: line.seq, leaf_hash: line.leaf_hash }),
            Found::NotBefore(seq) => seq,
        };
        let id = format!(",\"id\":\"{}\"", id.hyphenated());
        let mut reader = TrailReader::new(&self.directory, begin);
        while let Some((seq, line)) = reader.next_line()? {
            let comma = memchr::memchr(b',', line).unwrap_or(line.len());
            if line[comma..].starts_with(id.as_bytes()) {
                return Ok(Recorded { seq, leaf_hash: leaf_hash(line) });
            }
        }
        Err(Error::invalid("the entry is durable, but its line has since been erased or retired"))
    }
}
