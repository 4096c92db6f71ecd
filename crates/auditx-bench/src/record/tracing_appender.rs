//! tracing's JSON lines through tracing-appender's background thread, without loss.
//!
//! It is configured as documented by both crates: a flattened JSON layer on a non-blocking writer with
//! `lossy(false)`. The target and the spans are off, because the other subjects do not write them; the level
//! and the time are those of the layer.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use ::tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use super::subject::Subject;
use crate::Outcome;
use crate::facts::Facts;
use crate::output::FILE;

pub(super) const SETUP: &str =
    "a flattened JSON layer on `NonBlockingBuilder::default().lossy(false)`; no target, no spans";

/// A time limit far longer than any queue takes to drain; only a worker that hangs reaches it.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct TracingAppender {
    guard: WorkerGuard,
    /// In a mutex only because callers share the subject; only `drain` uses it.
    worker_end: Mutex<Receiver<()>>,
}

/// A writer whose drop can be waited for. The guard alone stops waiting after a second, even if lines are
/// still queued.
struct Ending<W> {
    writer: W,
    _end: Sender<()>,
}

impl TracingAppender {
    pub(super) fn open(directory: &Path) -> Outcome<Self> {
        let (end, worker_end) = mpsc::channel();
        let writer = Ending { writer: ::tracing_appender::rolling::never(directory, FILE), _end: end };
        let (writer, guard) = NonBlockingBuilder::default().lossy(false).finish(writer);
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(writer)
            .try_init()?;
        Ok(Self { guard, worker_end: Mutex::new(worker_end) })
    }
}

impl Subject for TracingAppender {
    fn record(&self, call: u64) -> Outcome<()> {
        let facts = Facts::of(call);
        tracing::info!(
            id = %facts.id,
            module = facts.module,
            action = facts.action,
            description = facts.description,
            user = facts.user,
            user_role = facts.user_role,
            company_id = facts.company_id,
            branch_id = facts.branch_id,
            entity_type = facts.entity_type,
            entity_id = facts.entity_id,
            reference_no = facts.reference_no,
            amount = facts.amount,
            currency = facts.currency,
            metadata.party = facts.metadata.party,
            request_id = facts.request_id,
            session_id = facts.session_id,
            ip = facts.ip,
            hostname = facts.hostname,
            method = facts.method,
            endpoint = facts.endpoint,
            success = facts.success,
        );
        Ok(())
    }

    fn drain(self: Box<Self>) -> Outcome<()> {
        let Self { guard, worker_end } = *self;
        drop(guard);
        match worker_end.into_inner().map_err(|_| "a caller panicked")?.recv_timeout(DRAIN_LIMIT) {
            Err(RecvTimeoutError::Disconnected) => Ok(()),
            _ => Err("the worker of tracing-appender did not end".into()),
        }
    }
}

impl<W: io::Write> io::Write for Ending<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
