//! Publishes messages of one trail as an atomic or a fast batch. With both, each message is stored once and
//! in order without gaps, even if others publish concurrently.

use async_nats::client::{RequestError, RequestErrorKind};
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM,
};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{Message, StatusCode};
use auditx_ship::{ShipError, TrailId};
use auditx_tlog::to_hex;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time::timeout;

use crate::connection::{Connection, TIMEOUT};
use crate::error::{Error, Result};
use crate::message::{Outgoing, all_of};

/// The header with the subjects to which the condition applies.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// The position in a stream at which a trail's next messages must be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) stream: &'a str,
    pub(crate) trail: TrailId,
    /// The stream sequence of the trail's last message.
    pub(crate) last_message: u64,
}

impl Target<'_> {
    /// Adds the condition that the message is stored only at this position.
    fn add_condition(&self, message: &mut Outgoing) {
        let headers = &mut message.headers;
        headers.insert(NATS_EXPECTED_STREAM, self.stream);
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, self.last_message.to_string().as_str());
        headers.insert(EXPECTED_SUBJECT, all_of(self.trail).as_str());
    }
}

/// Publishes an atomic batch (NATS ADR-50): all messages are stored or none. Each replica writes them twice.
/// Returns the stream sequence of the last message.
pub(crate) async fn publish_atomic(
    connection: &Connection,
    target: Target<'_>,
    messages: Vec<Outgoing>,
) -> Result<u64, ShipError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(Error::refused)?;
    let (id, count) = (to_hex(&id), messages.len());
    let mut response = None;
    for (mut message, number) in messages.into_iter().zip(1..) {
        message.headers.insert(NATS_BATCH_ID, id.as_str());
        message.headers.insert(NATS_BATCH_SEQUENCE, number.to_string().as_str());
        if number == 1 {
            target.add_condition(&mut message);
        }
        if number < count {
            publish(connection, message).await?;
        } else {
            message.headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
            response = Some(request(connection, message).await);
        }
    }
    match parse_response(response.ok_or(ShipError::Split)?, target)? {
        Response::Ok(ack) => Ok(ack.sequence),
        Response::Err { error } => Err(match error.error_code() {
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE
            | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT
            | ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE => ShipError::Fenced,
            ErrorCode::ATOMIC_PUBLISH_TOO_LARGE_BATCH => ShipError::Split,
            _ => Error::refused(error).into(),
        }),
    }
}

/// Publishes a fast batch (NATS ADR-50), which the server ends with the first message that it does not store:
/// a prefix of the messages is stored, without a gap. Returns how many messages were stored.
///
/// Each message is stored only as the next message of the stream after `end`, so messages of other publishers
/// end the batch, and the stored ones have the sequences after `end`. The sequence in the answer is not used:
/// it can be that of a message that another publisher stored before the server answered. Only for a stream
/// with one replica, whose server checks the condition while it stores.
pub(crate) async fn publish_fast(
    connection: &Connection,
    target: Target<'_>,
    end: u64,
    messages: impl ExactSizeIterator<Item = Outgoing>,
) -> Result<usize, ShipError> {
    let (inbox, count) = (connection.client.new_inbox(), messages.len());
    let mut responses =
        connection.client.subscribe(format!("{inbox}.>")).await.map_err(Error::unreachable)?;
    for ((mut message, number), last) in messages.zip(1_usize..).zip(end..) {
        if number == 1 {
            target.add_condition(&mut message);
        }
        message.headers.insert(NATS_EXPECTED_LAST_SEQUENCE, last.to_string());
        let step = if number == count { COMMIT } else { u8::from(number > 1) };
        // The batch's inbox, the number of messages between interim acknowledgements, the action on a gap,
        // the message's number, and the step.
        let reply = format!("{inbox}.b.{}.fail.{number}.{step}.$FI", u16::MAX);
        let Outgoing { subject, headers, payload } = message;
        let published = connection.client.publish_with_reply_and_headers(subject, reply, headers, payload);
        published.await.map_err(Error::unreachable)?;
    }
    let result = async {
        while let Some(response) = responses.next().await {
            if let Some(stored) = batch_result(&response, target)? {
                return Ok(stored);
            }
        }
        Err(Error::unreachable("the connection was closed").into())
    };
    timeout(TIMEOUT, result).await.unwrap_or_else(|_| Err(timed_out()))
}

/// The last step of a fast batch.
const COMMIT: u8 = 2;

/// Returns how many messages of a fast batch were stored, or `None` if this response does not end it.
fn batch_result(response: &Message, target: Target<'_>) -> Result<Option<usize>, ShipError> {
    #[derive(Deserialize)]
    struct Acknowledgement {
        /// The kind of an interim response: `ack`, `gap` or `err`.
        #[serde(rename = "type")]
        interim: Option<String>,
        count: Option<usize>,
    }
    if response.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(no_responders(target));
    }
    let Acknowledgement { interim, count } = serde_json::from_slice(&response.payload).map_err(unreadable)?;
    if interim.is_some() {
        return Ok(None);
    }
    // An error is not examined here: the atomic batch that follows will report it.
    Ok(Some(count.unwrap_or(0)))
}

async fn publish(connection: &Connection, message: Outgoing) -> Result<()> {
    let Outgoing { subject, headers, payload } = message;
    connection.client.publish_with_headers(subject, headers, payload).await.map_err(Error::unreachable)
}

async fn request(connection: &Connection, message: Outgoing) -> Result<Message, RequestError> {
    let Outgoing { subject, headers, payload } = message;
    connection.client.request_with_headers(subject, headers, payload).await
}

fn parse_response(
    response: Result<Message, RequestError>,
    target: Target<'_>,
) -> Result<Response<PublishAck>, ShipError> {
    let response = response.map_err(|error| match error.kind() {
        RequestErrorKind::TimedOut => timed_out(),
        RequestErrorKind::NoResponders => no_responders(target),
        _ => Error::unreachable(error).into(),
    })?;
    serde_json::from_slice(&response.payload).map_err(unreadable)
}

fn timed_out() -> ShipError {
    ShipError::timed_out(Error::refused("no acknowledgement in time"))
}

fn no_responders(target: Target<'_>) -> ShipError {
    let stream = target.stream;
    let why = format!(
        "no server stores the messages: stream {stream} does not exist or has no leader; \
         `auditx ship init` creates it"
    );
    Error::refused(why).into()
}

fn unreadable(error: serde_json::Error) -> ShipError {
    Error::refused(format!("invalid acknowledgement: {error}")).into()
}
