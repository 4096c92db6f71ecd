//! A stream as a source: ships a trail from a stream to another destination.

use std::collections::VecDeque;
use std::fmt;

use async_nats::jetstream::stream::Stream;
use auditx_ship::{Lines, Source, TrailId, TrailName};
use auditx_tlog::{Hash, SignedCheckpoint};

use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::message::{Stored, checkpoints_of};
use crate::reader::Reader;
use crate::stream;

/// One trail in a stream, as a source. Its lines are not verified here; verify the copy at the destination.
pub struct NatsSource {
    address: Address,
    trail: TrailId,
    open: Option<Open>,
    next: u64,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    stream: Stream,
    /// `None` until the first line is located.
    reader: Option<Reader>,
    /// Messages that were read and not returned yet.
    buffered: VecDeque<Stored>,
}

impl fmt::Debug for NatsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSource").field("trail", &format_args!("{}", self.trail)).finish_non_exhaustive()
    }
}

impl NatsSource {
    /// Creates a source for one trail. The URL is that of [`Nats::new`](crate::Nats::new). Does not connect
    /// yet.
    ///
    /// # Errors
    /// If the URL is invalid.
    pub fn new(url: &str, trail: TrailId) -> Result<Self> {
        Ok(Self { address: Address::parse(url)?, trail, open: None, next: 0 })
    }

    /// Takes the open connection, or opens a new one. The caller puts it back after the request; after a
    /// cancelled request it is dropped.
    async fn open(&mut self) -> Result<Open> {
        match self.open.take().filter(|open| open.connection.is_open()) {
            Some(open) => Ok(open),
            None => {
                let connection = Connection::open(&self.address).await?;
                let stream = connection.answer(stream::open(&connection, &self.address.stream)).await?;
                Ok(Open { connection, stream, reader: None, buffered: VecDeque::new() })
            }
        }
    }
}

impl Open {
    async fn latest_checkpoint(&self, trail: TrailId) -> Result<Option<SignedCheckpoint>> {
        let last = stream::last_of(&self.stream, &checkpoints_of(trail)).await?;
        last.map(|message| SignedCheckpoint::parse(&message.payload).map_err(Error::refused)).transpose()
    }

    /// Fills the buffer if it is empty. It stays empty at the end of the trail.
    async fn fill(&mut self, trail: TrailId, next: u64) -> Result<()> {
        if !self.buffered.is_empty() {
            return Ok(());
        }
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::at(&mut self.stream, trail, next).await?,
        };
        self.buffered.extend(reader.page().await?);
        self.reader = Some(reader);
        Ok(())
    }

    async fn leaf(&mut self, trail: TrailId, seq: u64) -> Result<Option<Hash>> {
        let page = Reader::at(&mut self.stream, trail, seq).await?.page().await?;
        Ok(page.into_iter().find_map(|stored| match stored {
            Stored::Line(line) if line.seq == seq => Some(line.leaf_hash),
            _ => None,
        }))
    }

    /// Reads lines up to the next checkpoint, the limits or the end of the trail.
    async fn read(
        &mut self,
        trail: TrailId,
        next: u64,
        (max_lines, max_bytes): (usize, usize),
    ) -> Result<Lines> {
        let mut read = Lines { lines: Vec::new(), checkpoint: None };
        let mut len = 0;
        while read.lines.len() < max_lines && len < max_bytes {
            self.fill(trail, next).await?;
            match self.buffered.pop_front() {
                Some(Stored::Line(line)) => {
                    len += line.line.len();
                    read.lines.push(line);
                }
                Some(Stored::Checkpoint(checkpoint)) if !read.lines.is_empty() => {
                    read.checkpoint = Some(checkpoint);
                    break;
                }
                // It covers lines that were returned before.
                Some(Stored::Checkpoint(_)) => {}
                None => break,
            }
        }
        Ok(read)
    }
}

impl Source for NatsSource {
    async fn refresh(&mut self) -> auditx_ship::Result<Option<(TrailName, u64)>> {
        let open = self.open().await?;
        let latest = open.connection.answer(open.latest_checkpoint(self.trail)).await?;
        self.open = Some(open);
        Ok(latest
            .map(|signed| (TrailName { id: self.trail, origin: signed.origin().to_owned() }, signed.size())))
    }

    fn seek(&mut self, next: u64) {
        self.next = next;
        if let Some(open) = &mut self.open {
            open.reader = None;
            open.buffered.clear();
        }
    }

    async fn read(&mut self, lines: usize, bytes: usize) -> auditx_ship::Result<Option<Lines>> {
        let mut open = self.open().await?;
        let is_lost = open.connection.watch();
        let read = Connection::unless_lost(is_lost, open.read(self.trail, self.next, (lines, bytes))).await?;
        self.open = Some(open);
        if let Some(last) = read.lines.last() {
            self.next = last.seq + 1;
        }
        Ok((!read.lines.is_empty()).then_some(read))
    }

    async fn leaf(&mut self, seq: u64) -> auditx_ship::Result<Option<Hash>> {
        let mut open = self.open().await?;
        let is_lost = open.connection.watch();
        let found = Connection::unless_lost(is_lost, open.leaf(self.trail, seq)).await?;
        self.open = Some(open);
        Ok(found)
    }
}
