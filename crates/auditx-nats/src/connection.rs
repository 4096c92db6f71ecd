//! A connection that is given up as soon as it is lost, so that nobody waits for an answer that cannot come.

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

/// How long a server may take for one answer. A cluster chooses a leader in the meantime, or does not answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What nobody answered is asked again, so often: a cluster chooses a leader within nine seconds.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);
pub(crate) const TRIES: u32 = 10;

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
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            // Each server is asked once, whichever of them are down; whoever ships connects anew by himself.
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
                .map_err(|error| Error::said(format!("cannot read {}: {error}", path.display())))?;
            options = options.credentials(&text).map_err(Error::said)?;
        }
        if let Some(path) = &address.roots {
            options = options.add_root_certificates(path.clone());
        }
        let client = options.connect(address.servers.clone()).await.map_err(of_connecting)?;
        Ok(Self { jetstream: jetstream::new(client.clone()), client, is_lost })
    }

    pub(crate) fn is_whole(&self) -> bool {
        !*self.is_lost.borrow()
    }

    /// The answer, unless the connection is lost first.
    pub(crate) async fn answer<T, E: From<Error>>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Self::unless_lost(self.watch(), answer).await
    }

    /// The same, asked again each second until somebody answers: nobody hears what is asked of a cluster that chooses a leader. What was
    /// asked before is still listened for, since a slow line answers late.
    pub(crate) async fn insist<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let insisting = async {
            let (mut asked, mut ticks) = (FuturesUnordered::new(), interval(AGAIN));
            let mut tries = 0;
            loop {
                tokio::select! {
                    _ = ticks.tick() => {
                        tries += 1;
                        asked.push(ask());
                    }
                    Some(answer) = asked.next() => match answer {
                        Err(error) if error.is_of_the_way() && tries < TRIES => {}
                        answer => return answer,
                    }
                }
            }
        };
        self.answer(insisting).await
    }

    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.is_lost.clone()
    }

    /// The same where the connection itself is borrowed by whoever asks.
    pub(crate) async fn unless_lost<T, E: From<Error>>(
        mut is_lost: watch::Receiver<bool>,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            answer = answer => answer,
            _ = is_lost.wait_for(|is_lost| *is_lost) => Err(Error::unreachable("the connection was lost").into()),
        }
    }
}

fn of_connecting(error: async_nats::ConnectError) -> Error {
    use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation};
    match error.kind() {
        Authentication | AuthorizationViolation => Error::said(error),
        _ => Error::unreachable(error),
    }
}
