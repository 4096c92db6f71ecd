//! A stream as a destination, and the choice between atomic and fast batches.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use auditx_ship::{Batch, Destination, DestinationId, Position, ShipError, ShippedLine, TrailId};

use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::message::{Outgoing, Writer, all_of, position_of};
use crate::publish::{Target, publish_atomic, publish_fast};
use crate::stream;

/// The maximum number of lines in an atomic batch. Servers accept 1,000 messages, and one of them may be a
/// checkpoint.
const MAX_ATOMIC_LINES: usize = 999;

/// The number of lines in the atomic batch that measures the time per line.
const PROBE_LINES: usize = 256;

/// Smaller batches are always published atomically.
const MIN_FAST_LINES: usize = 64;

/// The number of atomic batches after a fast batch was interrupted by another trail.
const ATOMIC_AFTER_CONFLICT: u32 = 32;

/// The number of atomic batches after a fast batch that took more than twice as long per line, or timed out.
/// A server with `sync_interval: always` syncs each message of a fast batch, but syncs an atomic batch once.
const ATOMIC_AFTER_SLOW: u32 = 1_000;

/// An upper limit for the size of a message's headers.
const HEADER_BYTES: usize = 1_024;

/// A stream as a destination. It connects when needed. [`init`](crate::init) creates the stream.
pub struct Nats {
    address: Address,
    id: DestinationId,
    /// `None` during a request, so that a connection is not used again after a cancelled request.
    connection: Option<Connection>,
    /// The stream sequence of each trail's last message; 0 if there is none. Removed when a publish fails.
    last_messages: HashMap<TrailId, u64>,
    /// Whether fast batches are possible: the stream has one replica and accepts them.
    allows_fast: bool,
    /// The stream sequence of the last known message of the stream, of any publisher.
    stream_end: u64,
    /// The stream's limit for the size of a message.
    max_message_bytes: usize,
    /// The number of further batches to publish atomically.
    atomic_left: u32,
    /// The time per line of the last large atomic batch.
    atomic_time_per_line: Option<Duration>,
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("id", &self.id.as_str()).finish_non_exhaustive()
    }
}

impl Nats {
    /// Creates a destination from
    /// `nats://[user[:password]@]host[:port][,host[:port]…][/STREAM][?creds=FILE&ca=FILE]`. The default
    /// stream is `AUDIT`; a missing password is taken from `NATS_PASSWORD`. Does not connect yet.
    ///
    /// # Errors
    /// If the URL is invalid.
    pub fn new(url: &str) -> Result<Self> {
        let address = Address::parse(url)?;
        let host = address.servers[0].split("://").nth(1).unwrap_or_default();
        let id = DestinationId::new(&format!("nats-{host}-{}", address.stream));
        Ok(Self {
            address,
            id,
            connection: None,
            last_messages: HashMap::new(),
            allows_fast: false,
            stream_end: 0,
            max_message_bytes: usize::MAX,
            atomic_left: 0,
            atomic_time_per_line: None,
        })
    }

    async fn connection(&mut self) -> Result<Connection> {
        match self.connection.take().filter(Connection::is_open) {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.address).await,
        }
    }

    /// Returns the error for the first line that is too large for the server or the stream.
    fn too_large(&self, connection: &Connection, lines: &[ShippedLine]) -> Option<ShipError> {
        let server_limit = connection.client.server_info().max_payload;
        let limit = self.max_message_bytes.min(server_limit).saturating_sub(HEADER_BYTES);
        let line = lines.iter().find(|line| line.line.len() > limit)?;
        let why = format!("the line has {} bytes, the server's limit is {limit}", line.line.len());
        Some(ShipError::Poison { seq: line.seq, why })
    }

    /// Returns the lines to publish as a fast batch, or `None` if the batch is to be published atomically. If
    /// a checkpoint follows the last line, that line is excluded and published together with the checkpoint.
    fn fast_lines<'a>(&mut self, batch: &'a Batch) -> Option<&'a [ShippedLine]> {
        let lines = batch.lines();
        if !self.allows_fast || self.atomic_time_per_line.is_none() || lines.len() < MIN_FAST_LINES {
            return None;
        }
        if self.atomic_left > 0 {
            self.atomic_left -= 1;
            return None;
        }
        Some(if batch.checkpoint().is_some() { &lines[..lines.len() - 1] } else { lines })
    }

    /// Publishes lines as a fast batch. `None` if neither this batch nor another shipper stored lines of the
    /// trail.
    async fn send_fast(
        &mut self,
        batch: &Batch,
        last_message: u64,
        lines: &[ShippedLine],
    ) -> Result<Option<Position>, ShipError> {
        let (trail, connection) = (batch.trail(), self.connection().await?);
        let target = Target { stream: &self.address.stream, trail, last_message };
        let mut writer = Writer::new(trail);
        let messages = lines.iter().map(|line| writer.line(line));
        // Set in advance: a fast batch that is cancelled while waiting was too slow.
        self.atomic_left = ATOMIC_AFTER_SLOW;
        let begin = Instant::now();
        let sent = connection.answer(publish_fast(&connection, target, self.stream_end, messages)).await?;
        self.connection = Some(connection);
        let count = sent.min(lines.len());
        if let Some(last) = lines[..count].last() {
            if count < lines.len() {
                self.atomic_left = ATOMIC_AFTER_CONFLICT;
            } else if self
                .atomic_time_per_line
                .is_some_and(|time| time_per_line(begin, lines.len()) <= time * 2)
            {
                self.atomic_left = 0;
            }
            self.stream_end += count as u64;
            self.last_messages.insert(trail, self.stream_end);
            return Ok(Some(last.position()));
        }
        self.atomic_left = ATOMIC_AFTER_CONFLICT;
        match self.last(trail).await? {
            Some(last) if last.seq >= batch.first() => Ok(Some(last)),
            _ if self.last_messages.get(&trail) == Some(&last_message) => Ok(None),
            _ => Err(ShipError::Fenced),
        }
    }

    /// Publishes lines as an atomic batch, with the batch's checkpoint if they include its last line. `lines`
    /// are all lines of the batch, or its last ones.
    async fn send_atomic(
        &mut self,
        batch: &Batch,
        last_message: u64,
        lines: &[ShippedLine],
    ) -> Result<Position, ShipError> {
        let (trail, connection) = (batch.trail(), self.connection().await?);
        let lines = &lines[..lines.len().min(MAX_ATOMIC_LINES)];
        let mut writer = Writer::new(trail);
        let mut messages: Vec<Outgoing> = lines.iter().map(|line| writer.line(line)).collect();
        let last = lines.last().map_or_else(|| batch.last(), ShippedLine::position);
        if let Some(checkpoint) = batch.checkpoint().filter(|_| last == batch.last()) {
            messages.push(Outgoing::checkpoint(trail, &last, checkpoint));
        }
        let target = Target { stream: &self.address.stream, trail, last_message };
        let begin = Instant::now();
        let last_message = connection.answer(publish_atomic(&connection, target, messages)).await?;
        if lines.len() >= MIN_FAST_LINES {
            self.atomic_time_per_line = Some(time_per_line(begin, lines.len()));
        }
        (self.connection, self.stream_end) = (Some(connection), last_message);
        self.last_messages.insert(trail, last_message);
        Ok(last)
    }
}

fn time_per_line(begin: Instant, lines: usize) -> Duration {
    begin.elapsed() / u32::try_from(lines.max(1)).unwrap_or(u32::MAX)
}

impl Destination for Nats {
    fn id(&self) -> &DestinationId {
        &self.id
    }

    fn max_lines(&self) -> usize {
        match (self.allows_fast, self.atomic_time_per_line) {
            (true, None) => PROBE_LINES,
            (true, Some(_)) if self.atomic_left == 0 => usize::MAX,
            _ => MAX_ATOMIC_LINES,
        }
    }

    async fn last(&mut self, trail: TrailId) -> Result<Option<Position>, ShipError> {
        self.last_messages.remove(&trail);
        let connection = self.connection().await?;
        let name = &self.address.stream;
        let found = connection.retry(async || {
            let stream = stream::open(&connection, name).await?;
            // Taken before the last message is requested: if another message is stored in between, the
            // stream's end no longer matches and the fast batch fails.
            let info = stream.cached_info().clone();
            Ok((stream::last_of(&stream, &all_of(trail)).await?, info))
        });
        let (last, info) = found.await?;
        let config = info.config;
        (self.connection, self.stream_end) = (Some(connection), info.state.last_sequence);
        self.allows_fast = config.num_replicas == 1 && config.allow_batch_publish;
        // The limit is -1 if there is none.
        self.max_message_bytes = usize::try_from(config.max_message_size).unwrap_or(usize::MAX);
        let Some(last) = last else {
            self.last_messages.insert(trail, 0);
            return Ok(None);
        };
        let position = position_of(&last.subject, &last.headers, &last.payload).ok_or_else(|| {
            Error::refused(format!("message {} of the stream is not an auditx message", last.sequence))
        })?;
        self.last_messages.insert(trail, last.sequence);
        Ok(Some(position))
    }

    async fn send(&mut self, batch: &Batch) -> Result<Position, ShipError> {
        let trail = batch.trail();
        let Some(last_message) = self.last_messages.remove(&trail) else { return Err(ShipError::Fenced) };
        let connection = self.connection().await?;
        let too_large = self.too_large(&connection, batch.lines());
        self.connection = Some(connection);
        if let Some(poison) = too_large {
            self.last_messages.insert(trail, last_message);
            return Err(poison);
        }
        let Some(lines) = self.fast_lines(batch) else {
            return self.send_atomic(batch, last_message, batch.lines()).await;
        };
        let rest = &batch.lines()[lines.len()..];
        let Some(last) = self.send_fast(batch, last_message, lines).await? else {
            return self.send_atomic(batch, last_message, batch.lines()).await;
        };
        match (rest.first(), self.last_messages.get(&trail)) {
            (Some(next), Some(&last_message)) if next.seq == last.seq + 1 => {
                self.send_atomic(batch, last_message, rest).await
            }
            _ => Ok(last),
        }
    }

    async fn close(&mut self) {
        self.connection = None;
    }
}
