//! A trail in a stream as a source: what was shipped here goes on to another engine.

use std::collections::VecDeque;
use std::fmt;

use async_nats::jetstream::stream::Stream;
use auditx_core::{Hash, SignedCheckpoint};
use auditx_ship::{Lines, Source, TrailId, TrailName};

use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::message::{Stored, notes_of};
use crate::reader::Reader;
use crate::stream;

/// One trail of a stream. What it gives is as good as the stream: whoever doubts it verifies where it arrives.
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
    /// Absent until it is known where to begin.
    reader: Option<Reader>,
    /// Read and not given yet.
    ahead: VecDeque<Stored>,
}

impl fmt::Debug for NatsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSource").field("trail", &format_args!("{}", self.trail)).finish_non_exhaustive()
    }
}

impl NatsSource {
    /// Takes what [`Nats::new`](crate::Nats::new) takes, and which trail. Connects to nothing yet.
    ///
    /// # Errors
    /// Where the text is no address.
    pub fn new(url: &str, trail: TrailId) -> Result<Self> {
        Ok(Self { address: Address::parse(url)?, trail, open: None, next: 0 })
    }

    /// None while something is asked.
    async fn open(&mut self) -> Result<Open> {
        match self.open.take().filter(|open| open.connection.is_whole()) {
            Some(open) => Ok(open),
            None => {
                let connection = Connection::open(&self.address).await?;
                let stream = connection.answer(stream::open(&connection, &self.address.stream)).await?;
                Ok(Open { connection, stream, reader: None, ahead: VecDeque::new() })
            }
        }
    }
}

impl Open {
    async fn newest_note(&self, trail: TrailId) -> Result<Option<SignedCheckpoint>> {
        let last = stream::last_of(&self.stream, &notes_of(trail)).await?;
        last.map(|note| SignedCheckpoint::parse(&note.payload).map_err(Error::said)).transpose()
    }

    /// Sees to it that something is ahead, if anything follows.
    async fn fill(&mut self, trail: TrailId, next: u64) -> Result<()> {
        if !self.ahead.is_empty() {
            return Ok(());
        }
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::at(&mut self.stream, trail, next).await?,
        };
        self.ahead.extend(reader.page().await?);
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

    /// Lines up to a note, or as many as there are.
    async fn read(&mut self, trail: TrailId, next: u64, (most, bytes): (usize, usize)) -> Result<Lines> {
        let mut read = Lines { lines: Vec::new(), note: None };
        let mut len = 0;
        while read.lines.len() < most && len < bytes {
            self.fill(trail, next).await?;
            match self.ahead.pop_front() {
                Some(Stored::Line(line)) => {
                    len += line.line.len();
                    read.lines.push(line);
                }
                Some(Stored::Note(note)) if !read.lines.is_empty() => {
                    read.note = Some(note);
                    break;
                }
                // It speaks of lines that were given before.
                Some(Stored::Note(_)) => {}
                None => break,
            }
        }
        Ok(read)
    }
}

impl Source for NatsSource {
    async fn look(&mut self) -> auditx_ship::Result<Option<(TrailName, u64)>> {
        let open = self.open().await?;
        let note = open.connection.answer(open.newest_note(self.trail)).await?;
        self.open = Some(open);
        Ok(note.map(|note| (TrailName { id: self.trail, origin: note.origin().to_owned() }, note.size())))
    }

    fn go_to(&mut self, next: u64) {
        self.next = next;
        if let Some(open) = &mut self.open {
            open.reader = None;
            open.ahead.clear();
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
