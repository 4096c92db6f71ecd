//! A session with a server for callers that block: it has a runtime of its own, and is given up after a failure.

use std::thread;

use auditx_capture::{Error, Result};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;

use crate::address::Address;

/// What is kept open between requests.
pub(crate) trait Connect: Send + Sized {
    /// Connects to the server.
    async fn open(address: &Address) -> Result<Self>;
}

/// The session of an outbox.
pub(crate) struct Blocking<S> {
    address: Address,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    /// `None` after a failure, until [`Blocking::connect`].
    session: Option<S>,
}

impl<S: Connect> Blocking<S> {
    /// Connects. Blocks the thread, also if it belongs to an async runtime.
    pub(crate) fn open(url: &str) -> Result<Self> {
        let address = Address::parse(url).map_err(Error::database)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::database)?;
        let mut opened = Self { address, runtime: Some(runtime), session: None };
        if Handle::try_current().is_err() {
            opened.connect()?;
            return Ok(opened);
        }
        // A thread of an async runtime cannot run another one.
        let connected = thread::scope(|scope| scope.spawn(|| opened.connect()).join());
        connected.unwrap_or_else(|_| Err(Error::database("the thread that connects ended")))?;
        Ok(opened)
    }

    /// Connects again if the session was given up.
    pub(crate) fn connect(&mut self) -> Result<()> {
        if self.session.is_none() {
            self.session = Some(self.runtime()?.block_on(S::open(&self.address))?);
        }
        Ok(())
    }

    pub(crate) fn session(&self) -> Option<&S> {
        self.session.as_ref()
    }

    /// Runs a request. After a failure, the session is given up: what the server knows of it is not known.
    pub(crate) fn run<T>(&mut self, request: impl AsyncFnOnce(&mut S) -> Result<T>) -> Result<T> {
        let session = self.session.take();
        let mut session = session.ok_or_else(|| Error::database("the connection was lost"))?;
        let outcome = self.runtime()?.block_on(request(&mut session));
        self.session = Some(session);
        if outcome.is_err() {
            self.give_up()?;
        }
        outcome
    }

    /// Ends the session.
    pub(crate) fn give_up(&mut self) -> Result<()> {
        if let Some(session) = self.session.take() {
            self.runtime()?.block_on(async move {
                drop(session);
                // The task of the connection closes the socket when it runs next.
                yield_now().await;
            });
        }
        Ok(())
    }

    fn runtime(&self) -> Result<&Runtime> {
        self.runtime.as_ref().ok_or_else(|| Error::database("the outbox is closed"))
    }
}

impl<S> Drop for Blocking<S> {
    fn drop(&mut self) {
        self.session = None;
        if let Some(runtime) = self.runtime.take() {
            // Does not wait, since this may be a thread of an async runtime. Closes the connections.
            runtime.shutdown_background();
        }
    }
}
