//! Creates, checks and opens the stream that holds trails. An operator creates it, never a shipper.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageErrorKind, StorageType, Stream,
};

use crate::address::Address;
use crate::connection::Connection;
use crate::error::{Error, Result};

/// The shortest duplicate window that servers allow. Shipping does not use message ids, and servers keep each
/// id in memory for this time: with the default of two minutes, there would be millions.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// Creates the stream of this address. It is stored in files, with three replicas if the address or the
/// cluster has at least three servers. Messages cannot be deleted or purged, and a full stream refuses new
/// messages. An existing stream is not changed. Returns messages for the user: first what was done, then
/// warnings about the stream's configuration.
///
/// # Errors
/// If the servers cannot be reached or refuse.
pub async fn init(url: &str) -> Result<Vec<String>> {
    let address = Address::parse(url)?;
    let connection = Connection::open(&address).await?;
    let name = &address.stream;
    let replicas = address.replicas.unwrap_or_else(|| {
        // Servers announce each other to clients, but a server that has just started does not know all of
        // them.
        let servers = address.servers.len().max(connection.client.server_info().connect_urls.len());
        if servers >= 3 { 3 } else { 1 }
    });
    if let Ok(stream) = open(&connection, name).await {
        return Ok(report(format!("Stream {name} already exists."), stream.cached_info()));
    }
    let created = connection.answer(async {
        connection.jetstream.create_stream(config(name, replicas)).await.map_err(|error| match error.kind() {
            CreateStreamErrorKind::JetStream(error) => Error::refused(error),
            _ => Error::unreachable(error),
        })
    });
    Ok(report(format!("Created stream {name}."), created.await?.cached_info()))
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
    let warnings = [
        (
            config.num_replicas < 3,
            "the stream has fewer than three replicas, so losing one server may lose all data",
        ),
        (config.storage != StorageType::File, "the stream is stored in memory"),
        (!config.deny_delete, "messages can be deleted, because deny_delete is off"),
        (!config.deny_purge, "the stream can be purged, because deny_purge is off"),
        (
            config.discard != DiscardPolicy::New,
            "a full stream drops the oldest messages, because discard is not new",
        ),
        (!config.max_age.is_zero(), "the stream drops old messages, because max_age is set"),
        (
            config.num_replicas == 1 && !config.allow_batch_publish,
            "shipping is slower without fast batches, because allow_batched is off",
        ),
        (!config.allow_atomic_publish, "nothing can be shipped to the stream, because allow_atomic is off"),
    ];
    let mut report = vec![done];
    report.extend(
        warnings.into_iter().filter(|(applies, _)| *applies).map(|(_, why)| format!("Warning: {why}.")),
    );
    let sync = "Note: clients cannot see whether the servers have `sync_interval: always`; check their \
                configuration.";
    report.push(sync.to_owned());
    report
}

/// Returns the last message of a subject, or `None` if there is none.
pub(crate) async fn last_of(stream: &Stream, subject: &str) -> Result<Option<StreamMessage>> {
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(error) => Err(Error::from_response(&error)),
            _ => Err(Error::unreachable(error)),
        },
    }
}

/// Opens the stream of this name.
pub(crate) async fn open(connection: &Connection, name: &str) -> Result<Stream> {
    let found = connection.jetstream.get_stream(name);
    found.await.map_err(|error| match error.kind() {
        GetStreamErrorKind::JetStream(error) if error.code() == 404 => {
            Error::refused(format!("stream {name} does not exist; `auditx ship init` creates it"))
        }
        GetStreamErrorKind::JetStream(error) => Error::from_response(&error),
        _ => Error::unreachable(error),
    })
}
