//! Reads the messages of one trail from the stream, in order.

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use auditx_ship::TrailId;
use futures_util::StreamExt;

use crate::error::{Error, Result};
use crate::message::{Stored, all_of, seq_of};

/// The number of messages requested at a time.
const PAGE: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Reader {
    consumer: Consumer<pull::Config>,
}

impl Reader {
    /// Creates a reader of a trail's messages from this line on.
    pub(crate) async fn at(stream: &mut Stream, trail: TrailId, seq: u64) -> Result<Self> {
        let from = locate(stream, trail, seq).await?;
        Self::from_sequence(stream, all_of(trail), from).await
    }

    /// Creates a reader of the messages that match the filter, from this stream sequence on.
    pub(crate) async fn from_sequence(stream: &Stream, filter: String, from: u64) -> Result<Self> {
        let config = pull::Config {
            filter_subject: filter,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1) },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        Ok(Self { consumer: stream.create_consumer(config).await.map_err(Error::unreachable)? })
    }

    /// Returns the next messages that are available; empty at the end. Messages that are not auditx messages
    /// are skipped.
    pub(crate) async fn page(&mut self) -> Result<Vec<Stored>> {
        let request = self.consumer.fetch().max_messages(PAGE).messages();
        let mut messages = request.await.map_err(Error::unreachable)?;
        let mut page = Vec::new();
        while let Some(message) = messages.next().await {
            let message = message.map_err(Error::unreachable)?;
            let headers = message.headers.clone().unwrap_or_default();
            page.extend(Stored::of(&message.subject, &headers, &message.payload));
        }
        Ok(page)
    }
}

/// Returns the stream sequence of the first message of this line or a later one, or the end of the stream if
/// there is none. It is a binary search and needs about log2(n) requests for n messages.
async fn locate(stream: &mut Stream, trail: TrailId, seq: u64) -> Result<u64> {
    let state = stream.info().await.map_err(Error::unreachable)?.state.clone();
    let (mut low, mut high) = (state.first_sequence.max(1), state.last_sequence + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = match stream.get_first_raw_message_by_subject(all_of(trail), middle).await {
            Ok(message) => Some(message),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => None,
            Err(error) => return Err(Error::unreachable(error)),
        };
        let found_seq = found.as_ref().and_then(|message| seq_of(&message.subject, &message.payload));
        match (found, found_seq) {
            (Some(message), Some(known)) if known < seq => low = message.sequence + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
