//! A stream as a destination.

use std::collections::HashMap;

use async_nats::Message;
use async_nats::client::RequestErrorKind;
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM,
};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use auditx_core::to_hex;
use auditx_ship::{Batch, Destination, DestinationId, Position, ShipError, TrailId};

use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::message::{Outgoing, all_of, position_of};
use crate::stream;

/// Servers take so many messages in one atomic publish, and one of them may be a note.
const MOST_LINES: usize = 999;

/// Which subjects the condition is about.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// What headers take, and then some.
const HEADERS: usize = 1_024;

/// Servers, reached when they are needed. See [`init`](crate::init) for what must be there.
#[derive(Debug)]
pub struct Nats {
    address: Address,
    id: DestinationId,
    /// None while something is asked: what is given up in the middle of a question is not asked anything else.
    connection: Option<Connection>,
    /// Where the last message of each trail is in the stream; 0 where there is none. Forgotten with each refusal.
    tips: HashMap<TrailId, u64>,
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
        Ok(Self { address, id, connection: None, tips: HashMap::new() })
    }

    async fn connection(&mut self) -> Result<Connection> {
        match self.connection.take().filter(Connection::is_whole) {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.address).await,
        }
    }

    /// Publishes all or nothing, if the last message of the trail is the one at `tip`. Gives where the last one is then.
    async fn publish(
        &self,
        connection: &Connection,
        trail: TrailId,
        tip: u64,
        messages: Vec<Outgoing>,
    ) -> Result<u64, ShipError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(Error::said)?;
        let (id, count) = (to_hex(&id), messages.len());
        let mut answer = None;
        for (message, number) in messages.into_iter().zip(1..) {
            let Outgoing { subject, mut headers, payload } = message;
            headers.insert(NATS_BATCH_ID, id.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, number.to_string().as_str());
            if number == 1 {
                headers.insert(NATS_EXPECTED_STREAM, self.address.stream.as_str());
                headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, tip.to_string().as_str());
                headers.insert(EXPECTED_SUBJECT, all_of(trail).as_str());
            }
            if number < count {
                let published = connection.client.publish_with_headers(subject, headers, payload.into());
                published.await.map_err(Error::unreachable)?;
            } else {
                headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
                answer = Some(connection.client.request_with_headers(subject, headers, payload.into()).await);
            }
        }
        match answer {
            Some(Ok(answer)) => judge(&answer),
            Some(Err(error)) => Err(match error.kind() {
                RequestErrorKind::TimedOut => ShipError::timed_out(Error::said("no acknowledgement in time")),
                RequestErrorKind::NoResponders => Error::said(format!(
                    "nobody keeps what is published: no stream {}, or none with a leader; `auditx ship init` makes it",
                    self.address.stream
                ))
                .into(),
                _ => Error::unreachable(error).into(),
            }),
            None => Err(ShipError::Split),
        }
    }
}

/// What the server says of a whole publish.
fn judge(answer: &Message) -> Result<u64, ShipError> {
    let answer: Response<PublishAck> = serde_json::from_slice(&answer.payload)
        .map_err(|error| Error::said(format!("an acknowledgement cannot be read: {error}")))?;
    match answer {
        Response::Ok(ack) => Ok(ack.sequence),
        Response::Err { error } => Err(match error.error_code() {
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE
            | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT
            | ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE => ShipError::Fenced,
            ErrorCode::ATOMIC_PUBLISH_TOO_LARGE_BATCH => ShipError::Split,
            _ => Error::said(error).into(),
        }),
    }
}

impl Destination for Nats {
    fn id(&self) -> &DestinationId {
        &self.id
    }

    fn most_lines(&self) -> usize {
        MOST_LINES
    }

    async fn last(&mut self, trail: TrailId) -> Result<Option<Position>, ShipError> {
        self.tips.remove(&trail);
        let connection = self.connection().await?;
        let name = self.address.stream.clone();
        let asked = connection.answer(async {
            let stream = stream::open(&connection, &name).await?;
            match stream.get_last_raw_message_by_subject(&all_of(trail)).await {
                Ok(message) => Ok(Some(message)),
                Err(error) => match error.kind() {
                    LastRawMessageErrorKind::NoMessageFound => Ok(None),
                    LastRawMessageErrorKind::JetStream(error) => Err(Error::said(error)),
                    _ => Err(Error::unreachable(error)),
                },
            }
        });
        let last = asked.await?;
        self.connection = Some(connection);
        let Some(last) = last else {
            self.tips.insert(trail, 0);
            return Ok(None);
        };
        let position = position_of(&last.headers)
            .ok_or_else(|| Error::said(format!("message {} of the stream is none of ours", last.sequence)))?;
        self.tips.insert(trail, last.sequence);
        Ok(Some(position))
    }

    async fn send(&mut self, batch: &Batch) -> Result<Position, ShipError> {
        let trail = batch.trail();
        let Some(tip) = self.tips.remove(&trail) else { return Err(ShipError::Fenced) };
        let lines = &batch.lines()[..batch.lines().len().min(MOST_LINES)];
        let connection = self.connection().await?;
        let most = connection.client.server_info().max_payload.saturating_sub(HEADERS);
        if let Some(line) = lines.iter().find(|line| line.line.len() > most) {
            self.connection = Some(connection);
            self.tips.insert(trail, tip);
            let why = format!("it has {} bytes, and the server takes {most}", line.line.len());
            return Err(ShipError::Poison { seq: line.seq, why });
        }
        let mut messages: Vec<Outgoing> = lines.iter().map(|line| Outgoing::line(trail, line)).collect();
        let last = lines.last().map(|line| Position { seq: line.seq, leaf_hash: line.leaf_hash });
        let last = last.unwrap_or_else(|| batch.last());
        if let Some(note) = batch.note().filter(|_| last == batch.last()) {
            messages.push(Outgoing::note(trail, &last, note));
        }
        let tip = connection.answer(self.publish(&connection, trail, tip, messages)).await?;
        self.connection = Some(connection);
        self.tips.insert(trail, tip);
        Ok(last)
    }

    async fn close(&mut self) {
        self.connection = None;
    }
}
