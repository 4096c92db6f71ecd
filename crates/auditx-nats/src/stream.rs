//! The stream that holds trails: made by whoever runs the servers, never by a shipper.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageErrorKind, StorageType, Stream,
};

use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};

/// As short as servers allow. Nothing rests on what they remember of ids, and they keep each for that long in memory: two minutes of
/// them, the default, would be millions.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// Makes the stream of this address, in files, on three servers where the address or the cluster names as many; nothing in it can be deleted or purged, and
/// where it is full it refuses what is new. One that is there already is left as it is. Gives what is to be said about it: first what was
/// done, then what it lacks.
///
/// # Errors
/// Where the servers cannot be reached or refuse.
pub async fn init(url: &str) -> Result<Vec<String>> {
    let address = Address::parse(url)?;
    let connection = Connection::open(&address).await?;
    let name = &address.stream;
    let replicas = address.replicas.unwrap_or_else(|| {
        // Servers tell their clients of each other, those that have just started not of all of them.
        let servers = address.servers.len().max(connection.client.server_info().connect_urls.len());
        if servers >= 3 { 3 } else { 1 }
    });
    if let Ok(stream) = open(&connection, name).await {
        return Ok(report(format!("The stream {name} is there already."), stream.cached_info()));
    }
    let made = connection.answer(async {
        connection.jetstream.create_stream(config(name, replicas)).await.map_err(|error| match error.kind() {
            CreateStreamErrorKind::JetStream(error) => Error::said(error),
            _ => Error::unreachable(error),
        })
    });
    Ok(report(format!("The stream {name} is made."), made.await?.cached_info()))
}

fn config(name: &str, replicas: usize) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec!["audit.>".to_owned()],
        storage: StorageType::File,
        num_replicas: replicas,
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        allow_atomic_publish: true,
        allow_batch_publish: true,
        duplicate_window: DUPLICATE_WINDOW,
        description: Some("Audit trails, shipped by auditx".to_owned()),
        ..Config::default()
    }
}

fn report(done: String, info: &Info) -> Vec<String> {
    let config = &info.config;
    let lacks = [
        (
            config.num_replicas < 3,
            "it is kept by fewer than three servers: the loss of one may be the loss of all",
        ),
        (config.storage != StorageType::File, "it is kept in memory"),
        (!config.deny_delete, "messages can be deleted: deny_delete is off"),
        (!config.deny_purge, "it can be purged: deny_purge is off"),
        (config.discard != DiscardPolicy::New, "where it is full it drops the oldest: discard is not new"),
        (!config.max_age.is_zero(), "it forgets with age: max_age is set"),
        (
            config.num_replicas == 1 && !config.allow_batch_publish,
            "it takes no fast batches, so shipping to it is slower: allow_batched is off",
        ),
        (!config.allow_atomic_publish, "nothing can be shipped to it: allow_atomic is off"),
    ];
    let mut report = vec![done];
    report.extend(lacks.into_iter().filter(|(is_so, _)| *is_so).map(|(_, why)| format!("Look: {why}.")));
    report.push("Look: whether the servers have `sync_interval: always` no client can see.".to_owned());
    report
}

/// The newest message under a subject; none where there is none.
pub(crate) async fn last_of(stream: &Stream, subject: &str) -> Result<Option<StreamMessage>> {
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(error) => Err(Error::answered(&error)),
            _ => Err(Error::unreachable(error)),
        },
    }
}

/// The stream of this name.
pub(crate) async fn open(connection: &Connection, name: &str) -> Result<Stream> {
    let found = connection.jetstream.get_stream(name);
    found.await.map_err(|error| match error.kind() {
        GetStreamErrorKind::JetStream(said) if said.code() == 404 => {
            Error::said(format!("there is no stream {name}: `auditx ship init` makes it"))
        }
        GetStreamErrorKind::JetStream(said) => Error::answered(&said),
        _ => Error::unreachable(error),
    })
}
