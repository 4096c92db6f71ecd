//! slog's JSON lines through slog-async's background thread, without loss.
//!
//! It uses the documented drain with `OverflowStrategy::Block` and the default queue length (longer queues
//! were not faster here, and sometimes slower). slog-json writes token by token, so it gets a buffer that is
//! flushed after each record: one write(2) per line, as with the other subjects.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use ::slog_async::{Async, AsyncGuard, OverflowStrategy};
use slog::{Drain, FnValue, Logger, Record};

use super::subject::Subject;
use crate::Outcome;
use crate::facts::Facts;
use crate::output::FILE;

pub(super) const SETUP: &str =
    "slog-json through `Async` with `OverflowStrategy::Block` and its default queue, one write(2) per line";

pub(super) struct SlogAsync {
    logger: Logger,
    guard: AsyncGuard,
}

impl SlogAsync {
    pub(super) fn open(directory: &Path) -> Outcome<Self> {
        let file = BufWriter::new(File::options().create(true).append(true).open(directory.join(FILE))?);
        let (queue, guard) =
            Async::new(json(file).fuse()).overflow_strategy(OverflowStrategy::Block).build_with_guard();
        Ok(Self { logger: Logger::root(queue.fuse(), slog::o!()), guard })
    }
}

/// Returns the default keys (time, level, message) with the names that the other subjects use.
fn json<W: Write>(file: W) -> slog_json::Json<W> {
    let time =
        FnValue(|_: &Record<'_>| humantime::format_rfc3339_micros(std::time::SystemTime::now()).to_string());
    let keys = slog::o!(
        "timestamp" => time,
        "level" => FnValue(|record: &Record<'_>| record.level().as_short_str()),
        "description" => slog::PushFnValue(|record: &Record<'_>, value| value.emit(record.msg())),
    );
    slog_json::Json::new(file).set_flush(true).add_key_value(keys).build()
}

impl Subject for SlogAsync {
    fn record(&self, call: u64) -> Outcome<()> {
        let facts = Facts::of(call);
        slog::info!(self.logger, "{}", facts.description;
            "id" => %facts.id,
            "module" => facts.module,
            "action" => facts.action,
            "user" => facts.user,
            "user_role" => facts.user_role,
            "company_id" => facts.company_id,
            "branch_id" => facts.branch_id,
            "entity_type" => facts.entity_type,
            "entity_id" => facts.entity_id,
            "reference_no" => facts.reference_no,
            "amount" => facts.amount,
            "currency" => facts.currency,
            "metadata.party" => facts.metadata.party,
            "request_id" => facts.request_id,
            "session_id" => facts.session_id,
            "ip" => facts.ip,
            "hostname" => facts.hostname,
            "method" => facts.method,
            "endpoint" => facts.endpoint,
            "success" => facts.success,
        );
        Ok(())
    }

    fn drain(self: Box<Self>) -> Outcome<()> {
        let Self { logger, guard } = *self;
        drop(logger);
        drop(guard);
        Ok(())
    }
}
