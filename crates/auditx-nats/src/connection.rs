//! A connection whose requests fail as soon as it is lost, instead of waiting for a response that cannot
//! arrive.

use std::future::Future;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::interval;

use crate::address::Address;
use crate::error::{Error, Result};

/// How long a server may take to respond. A cluster that is electing a leader may not respond at all.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// The interval between attempts, and their number: a cluster elects a leader within nine seconds.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(1);
pub(crate) const MAX_TRIES: u32 = 10;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) jetstream: Context,
    is_lost: watch::Receiver<bool>,
}

impl Connection {
    pub(crate) async fn open(address: &Address) -> Result<Self> {
        let (lose, is_lost) = watch::channel(false);
        let mut options = ConnectOptions::new()
            .name("auditx")
            .connection_timeout(TIMEOUT)
            .request_timeout(Some(TIMEOUT))
            // Each server is tried once. The client does not reconnect by itself: the shipper opens a new
            // connection.
            .max_reconnects(address.servers.len())
            .event_callback(move |event| {
                let is_over = matches!(event, Event::Disconnected | Event::Closed | Event::LameDuckMode);
                if is_over {
                    lose.send_replace(true);
                }
                async {}
            });
        if let Some((user, password)) = &address.user {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if let Some(path) = &address.credentials {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Error::refused(format!("cannot read {}: {error}", path.display())))?;
            options = options.credentials(&text).map_err(Error::refused)?;
        }
        if let Some(path) = &address.roots {
            options = options.add_root_certificates(path.clone());
        }
        let client = options.connect(address.servers.clone()).await.map_err(connect_error)?;
        Ok(Self { jetstream: jetstream::new(client.clone()), client, is_lost })
    }

    pub(crate) fn is_open(&self) -> bool {
        !*self.is_lost.borrow()
    }

    /// Waits for a response. Fails if the connection is lost first.
    pub(crate) async fn answer<T, E: From<Error>>(
        &self,
        response: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Self::unless_lost(self.watch(), response).await
    }

    /// Sends a request again every second until there is a response, because a cluster that is electing a
    /// leader ignores requests. Responses to earlier requests are still accepted, since a slow connection
    /// delays them.
    pub(crate) async fn retry<T, F>(&self, mut request: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let response = async {
            let (mut pending, mut ticks) = (FuturesUnordered::new(), interval(RETRY_INTERVAL));
            let mut tries = 0;
            loop {
                tokio::select! {
                    _ = ticks.tick() => {
                        tries += 1;
                        pending.push(request());
                    }
                    Some(response) = pending.next() => match response {
                        Err(error) if error.is_unreachable() && tries < MAX_TRIES => {}
                        response => return response,
                    }
                }
            }
        };
        self.answer(response).await
    }

    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.is_lost.clone()
    }

    /// Does the same as `answer` for a caller that has borrowed the connection mutably.
    pub(crate) async fn unless_lost<T, E: From<Error>>(
        mut is_lost: watch::Receiver<bool>,
        response: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            response = response => response,
            _ = is_lost.wait_for(|is_lost| *is_lost) => {
                Err(Error::unreachable("the connection was lost").into())
            }
        }
    }
}

fn connect_error(error: async_nats::ConnectError) -> Error {
    use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation};
    match error.kind() {
        Authentication | AuthorizationViolation => Error::refused(error),
        _ => Error::unreachable(error),
    }
}
