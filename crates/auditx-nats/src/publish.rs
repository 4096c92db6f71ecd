//! Two ways to publish messages of one trail so that each is stored once, and none behind a gap, whoever else publishes meanwhile.

use async_nats::Message;
use async_nats::client::{RequestError, RequestErrorKind};
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM,
    NATS_MESSAGE_ID,
};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use auditx_core::to_hex;
use auditx_ship::{ShipError, TrailId};

use crate::connection::Connection;
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

/// One after the other, each on the condition that the message before it is the last of the whole stream: a first part of them is stored,
/// and if the last one is, all are, so that only this one is answered. Gives where it is then; none where the chain broke.
///
/// What a condition says is whose line and which, with its hash, so that it cannot hold by chance. Only for a stream that one server keeps:
/// that one decides as it stores.
pub(crate) async fn in_a_chain(
    connection: &Connection,
    place: Place<'_>,
    messages: impl ExactSizeIterator<Item = Outgoing>,
) -> Result<Option<u64>, ShipError> {
    let count = messages.len();
    let (mut answer, mut before) = (None, None);
    for (mut message, number) in messages.zip(1..) {
        match before.replace(message.id.clone()) {
            None => place.expect(&mut message),
            Some(before) => {
                message.headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, before);
            }
        }
        if number < count {
            publish(connection, message).await?;
        } else {
            answer = Some(request(connection, message).await);
        }
    }
    match judge(answer.ok_or(ShipError::Split)?, place)? {
        Response::Ok(ack) if !ack.duplicate => Ok(Some(ack.sequence)),
        // Whatever there is to complain of, an atomic publish hears of it too.
        Response::Ok(_) | Response::Err { .. } => Ok(None),
    }
}

async fn publish(connection: &Connection, message: Outgoing) -> Result<()> {
    let Outgoing { subject, id, mut headers, payload } = message;
    headers.insert(NATS_MESSAGE_ID, id);
    connection.client.publish_with_headers(subject, headers, payload).await.map_err(Error::unreachable)
}

async fn request(connection: &Connection, message: Outgoing) -> Result<Message, RequestError> {
    let Outgoing { subject, id, mut headers, payload } = message;
    headers.insert(NATS_MESSAGE_ID, id);
    connection.client.request_with_headers(subject, headers, payload).await
}

fn judge(answer: Result<Message, RequestError>, place: Place<'_>) -> Result<Response<PublishAck>, ShipError> {
    let answer = answer.map_err(|error| match error.kind() {
        RequestErrorKind::TimedOut => ShipError::timed_out(Error::said("no acknowledgement in time")),
        RequestErrorKind::NoResponders => Error::said(format!(
            "nobody keeps what is published: no stream {}, or none with a leader; `auditx ship init` makes it",
            place.stream
        ))
        .into(),
        _ => Error::unreachable(error).into(),
    })?;
    serde_json::from_slice(&answer.payload)
        .map_err(|error| Error::said(format!("an acknowledgement cannot be read: {error}")).into())
}
