//! A stream as a destination.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use auditx_ship::{Batch, Destination, DestinationId, Position, ShipError, Shipped, TrailId};

use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::message::{Outgoing, Writer, all_of, position_of};
use crate::publish::{Place, at_once, in_a_row};
use crate::stream;

/// Servers take so many messages in one atomic publish, and one of them may be a note.
const MOST_LINES: usize = 999;

/// So many are published at once to learn a pace.
const PROBE: usize = 256;

/// Fewer are published at once.
const FEW: usize = 64;

/// So many batches are published at once after another trail came in between.
const DETOUR: u32 = 32;

/// And so many after a row that took more than twice as long, or too long altogether: a server with `sync_interval: always` syncs each message of a row, and those
/// of an atomic publish together.
const LONG_DETOUR: u32 = 1_000;

/// What headers take, and then some.
const HEADERS: usize = 1_024;

/// Servers, reached when they are needed. See [`init`](crate::init) for what must be there.
pub struct Nats {
    address: Address,
    id: DestinationId,
    /// None while something is asked: what is given up in the middle of a question is not asked anything else.
    connection: Option<Connection>,
    /// Where the last message of each trail is in the stream; 0 where there is none. Forgotten with each refusal.
    tips: HashMap<TrailId, u64>,
    /// One server keeps the stream, and takes messages in a row.
    takes_rows: bool,
    /// Where the last message of the stream is, whoever published it, as far as is known.
    end: u64,
    /// So many bytes the stream takes in one message.
    largest: usize,
    /// So many batches more are published at once.
    detour: u32,
    /// How long a line took when many were last published at once.
    pace: Option<Duration>,
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("id", &self.id.as_str()).finish_non_exhaustive()
    }
}

impl Nats {
    /// Takes `nats://[user[:password]@]host[:port][,host[:port]…][/STREAM][?creds=FILE&ca=FILE]`; the stream is `AUDIT` where none is named,
    /// and a password that is not there is the one of `NATS_PASSWORD`. Connects to nothing yet.
    ///
    /// # Errors
    /// Where the text is no address.
    pub fn new(url: &str) -> Result<Self> {
        let address = Address::parse(url)?;
        let host = address.servers[0].split("://").nth(1).unwrap_or_default();
        let id = DestinationId::new(&format!("nats-{host}-{}", address.stream));
        Ok(Self {
            address,
            id,
            connection: None,
            tips: HashMap::new(),
            takes_rows: false,
            end: 0,
            largest: usize::MAX,
            detour: 0,
            pace: None,
        })
    }

    async fn connection(&mut self) -> Result<Connection> {
        match self.connection.take().filter(Connection::is_whole) {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.address).await,
        }
    }

    /// Why a line cannot be sent, if one cannot.
    fn too_large(&self, connection: &Connection, lines: &[Shipped]) -> Option<ShipError> {
        let most = self.largest.min(connection.client.server_info().max_payload).saturating_sub(HEADERS);
        let line = lines.iter().find(|line| line.line.len() > most)?;
        let why = format!("it has {} bytes, and the server takes {most}", line.line.len());
        Some(ShipError::Poison { seq: line.seq, why })
    }

    /// The lines of a batch to be published in a row; none where it is to be published at once. A last line with a note is left to be
    /// published together with it.
    fn row_of<'a>(&mut self, batch: &'a Batch) -> Option<&'a [Shipped]> {
        let lines = batch.lines();
        if !self.takes_rows || self.pace.is_none() || lines.len() < FEW {
            return None;
        }
        if self.detour > 0 {
            self.detour -= 1;
            return None;
        }
        Some(if batch.note().is_some() { &lines[..lines.len() - 1] } else { lines })
    }

    /// None where nothing was stored by it and nothing by anybody else.
    async fn send_in_a_row(
        &mut self,
        batch: &Batch,
        tip: u64,
        lines: &[Shipped],
    ) -> Result<Option<Position>, ShipError> {
        let (trail, connection) = (batch.trail(), self.connection().await?);
        let place = Place { stream: &self.address.stream, trail, tip };
        let mut writer = Writer::new(trail);
        let messages = lines.iter().map(|line| writer.line(line));
        // Unless it proves to be fast: one that is given up in the middle is not tried again either.
        self.detour = LONG_DETOUR;
        let begin = Instant::now();
        let sent = connection.answer(in_a_row(&connection, place, self.end, messages)).await?;
        self.connection = Some(connection);
        if let Some((count, tip)) = sent {
            if count < lines.len() {
                self.detour = DETOUR;
            } else if self.pace.is_some_and(|pace| pace_of(begin, lines.len()) <= pace * 2) {
                self.detour = 0;
            }
            self.end = tip;
            self.tips.insert(trail, tip);
            return Ok(lines[..count.min(lines.len())].last().map(Shipped::position));
        }
        self.detour = DETOUR;
        match self.last(trail).await? {
            Some(last) if last.seq >= batch.first() => Ok(Some(last)),
            _ if self.tips.get(&trail) == Some(&tip) => Ok(None),
            _ => Err(ShipError::Fenced),
        }
    }

    /// `lines` are the batch's last ones, or all.
    async fn send_at_once(
        &mut self,
        batch: &Batch,
        tip: u64,
        lines: &[Shipped],
    ) -> Result<Position, ShipError> {
        let (trail, connection) = (batch.trail(), self.connection().await?);
        let lines = &lines[..lines.len().min(MOST_LINES)];
        let mut writer = Writer::new(trail);
        let mut messages: Vec<Outgoing> = lines.iter().map(|line| writer.line(line)).collect();
        let last = lines.last().map_or_else(|| batch.last(), Shipped::position);
        if let Some(note) = batch.note().filter(|_| last == batch.last()) {
            messages.push(Outgoing::note(trail, &last, note));
        }
        let place = Place { stream: &self.address.stream, trail, tip };
        let begin = Instant::now();
        let tip = connection.answer(at_once(&connection, place, messages)).await?;
        if lines.len() >= FEW {
            self.pace = Some(pace_of(begin, lines.len()));
        }
        (self.connection, self.end) = (Some(connection), tip);
        self.tips.insert(trail, tip);
        Ok(last)
    }
}

fn pace_of(begin: Instant, lines: usize) -> Duration {
    begin.elapsed() / u32::try_from(lines.max(1)).unwrap_or(u32::MAX)
}

impl Destination for Nats {
    fn id(&self) -> &DestinationId {
        &self.id
    }

    fn most_lines(&self) -> usize {
        match (self.takes_rows, self.pace) {
            (true, None) => PROBE,
            (true, Some(_)) if self.detour == 0 => usize::MAX,
            _ => MOST_LINES,
        }
    }

    async fn last(&mut self, trail: TrailId) -> Result<Option<Position>, ShipError> {
        self.tips.remove(&trail);
        let connection = self.connection().await?;
        let name = &self.address.stream;
        let asked = connection.insist(async || {
            let stream = stream::open(&connection, name).await?;
            // Before the last message: what comes in between makes the end of the stream another one.
            let info = stream.cached_info().clone();
            Ok((stream::last_of(&stream, &all_of(trail)).await?, info))
        });
        let (last, info) = asked.await?;
        let config = info.config;
        (self.connection, self.end) = (Some(connection), info.state.last_sequence);
        self.takes_rows = config.num_replicas == 1 && config.allow_batch_publish;
        // -1 where there is no such limit.
        self.largest = usize::try_from(config.max_message_size).unwrap_or(usize::MAX);
        let Some(last) = last else {
            self.tips.insert(trail, 0);
            return Ok(None);
        };
        let position = position_of(&last.subject, &last.headers, &last.payload)
            .ok_or_else(|| Error::said(format!("message {} of the stream is none of ours", last.sequence)))?;
        self.tips.insert(trail, last.sequence);
        Ok(Some(position))
    }

    async fn send(&mut self, batch: &Batch) -> Result<Position, ShipError> {
        let trail = batch.trail();
        let Some(tip) = self.tips.remove(&trail) else { return Err(ShipError::Fenced) };
        let connection = self.connection().await?;
        let refused = self.too_large(&connection, batch.lines());
        self.connection = Some(connection);
        if let Some(poison) = refused {
            self.tips.insert(trail, tip);
            return Err(poison);
        }
        let Some(lines) = self.row_of(batch) else {
            return self.send_at_once(batch, tip, batch.lines()).await;
        };
        let rest = &batch.lines()[lines.len()..];
        let Some(last) = self.send_in_a_row(batch, tip, lines).await? else {
            return self.send_at_once(batch, tip, batch.lines()).await;
        };
        match (rest.first(), self.tips.get(&trail)) {
            (Some(next), Some(&tip)) if next.seq == last.seq + 1 => self.send_at_once(batch, tip, rest).await,
            _ => Ok(last),
        }
    }

    async fn close(&mut self) {
        self.connection = None;
    }
}
