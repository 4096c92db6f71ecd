//! Two ways to publish messages of one trail so that each is stored once, and none behind a gap, whoever else publishes meanwhile.

use async_nats::client::{RequestError, RequestErrorKind};
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM,
};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{Message, StatusCode};
use auditx_core::to_hex;
use auditx_ship::{ShipError, TrailId};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time::timeout;

use crate::connection::{Connection, PATIENCE};
use crate::error::{Error, Result};
use crate::message::{Outgoing, all_of};

/// Which subjects the condition is about.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// Where a trail's next messages belong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) stream: &'a str,
    pub(crate) trail: TrailId,
    /// Where the last message of the trail is in the stream.
    pub(crate) tip: u64,
}

impl Place<'_> {
    /// What follows is stored only there.
    fn expect(&self, message: &mut Outgoing) {
        let headers = &mut message.headers;
        headers.insert(NATS_EXPECTED_STREAM, self.stream);
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, self.tip.to_string().as_str());
        headers.insert(EXPECTED_SUBJECT, all_of(self.trail).as_str());
    }
}

/// All or nothing: one atomic publish (NATS ADR-50), which each server that keeps the stream stores twice. Gives where the last one is then.
pub(crate) async fn at_once(
    connection: &Connection,
    place: Place<'_>,
    messages: Vec<Outgoing>,
) -> Result<u64, ShipError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(Error::said)?;
    let (id, count) = (to_hex(&id), messages.len());
    let mut answer = None;
    for (mut message, number) in messages.into_iter().zip(1..) {
        message.headers.insert(NATS_BATCH_ID, id.as_str());
        message.headers.insert(NATS_BATCH_SEQUENCE, number.to_string().as_str());
        if number == 1 {
            place.expect(&mut message);
        }
        if number < count {
            publish(connection, message).await?;
        } else {
            message.headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
            answer = Some(request(connection, message).await);
        }
    }
    match judge(answer.ok_or(ShipError::Split)?, place)? {
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

/// One after the other in a fast batch (NATS ADR-50), which a server ends with the first message that it does not store: a first part of
/// them is stored, without a gap, and one answer says how many and where the last one is. None where nothing was.
///
/// Each is stored only as the stream's next message behind `end`, so that nobody else's come in between. Only for a stream that one server
/// keeps: that one decides as it stores.
pub(crate) async fn in_a_row(
    connection: &Connection,
    place: Place<'_>,
    end: u64,
    messages: impl ExactSizeIterator<Item = Outgoing>,
) -> Result<Option<(usize, u64)>, ShipError> {
    let (inbox, count) = (connection.client.new_inbox(), messages.len());
    let mut answers = connection.client.subscribe(format!("{inbox}.>")).await.map_err(Error::unreachable)?;
    for ((mut message, number), last) in messages.zip(1_usize..).zip(end..) {
        if number == 1 {
            place.expect(&mut message);
        }
        message.headers.insert(NATS_EXPECTED_LAST_SEQUENCE, last.to_string());
        let step = if number == count { COMMIT } else { u8::from(number > 1) };
        // Batch, messages between two interim answers, what a gap does, number, step.
        let reply = format!("{inbox}.b.{}.fail.{number}.{step}.$FI", u16::MAX);
        let Outgoing { subject, headers, payload } = message;
        let published = connection.client.publish_with_reply_and_headers(subject, reply, headers, payload);
        published.await.map_err(Error::unreachable)?;
    }
    let end_of_it = async {
        while let Some(answer) = answers.next().await {
            if let Some(stored) = how_many(&answer, place)? {
                return Ok(stored);
            }
        }
        Err(Error::unreachable("the connection was closed").into())
    };
    timeout(PATIENCE, end_of_it).await.unwrap_or_else(|_| Err(late()))
}

/// The last step of a fast batch.
const COMMIT: u8 = 2;

/// What became of a fast batch, if this answer ends it.
fn how_many(answer: &Message, place: Place<'_>) -> Result<Option<Option<(usize, u64)>>, ShipError> {
    #[derive(Deserialize)]
    struct Answer {
        /// Of one that is not the last: `ack`, `gap`, `err`.
        #[serde(rename = "type")]
        interim: Option<String>,
        seq: Option<u64>,
        count: Option<usize>,
    }
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(nobody(place));
    }
    let Answer { interim, seq, count } = serde_json::from_slice(&answer.payload).map_err(unreadable)?;
    if interim.is_some() {
        return Ok(None);
    }
    // Whatever there is to complain of, an atomic publish hears of it too.
    Ok(Some(count.zip(seq).filter(|(count, _)| *count > 0)))
}

async fn publish(connection: &Connection, message: Outgoing) -> Result<()> {
    let Outgoing { subject, headers, payload } = message;
    connection.client.publish_with_headers(subject, headers, payload).await.map_err(Error::unreachable)
}

async fn request(connection: &Connection, message: Outgoing) -> Result<Message, RequestError> {
    let Outgoing { subject, headers, payload } = message;
    connection.client.request_with_headers(subject, headers, payload).await
}

fn judge(answer: Result<Message, RequestError>, place: Place<'_>) -> Result<Response<PublishAck>, ShipError> {
    let answer = answer.map_err(|error| match error.kind() {
        RequestErrorKind::TimedOut => late(),
        RequestErrorKind::NoResponders => nobody(place),
        _ => Error::unreachable(error).into(),
    })?;
    serde_json::from_slice(&answer.payload).map_err(unreadable)
}

fn late() -> ShipError {
    ShipError::timed_out(Error::said("no acknowledgement in time"))
}

fn nobody(place: Place<'_>) -> ShipError {
    let stream = place.stream;
    let why = format!(
        "nobody keeps what is published: no stream {stream}, or none with a leader; `auditx ship init` makes it"
    );
    Error::said(why).into()
}

fn unreadable(error: serde_json::Error) -> ShipError {
    Error::said(format!("an acknowledgement cannot be read: {error}")).into()
}
