//! auditx itself: the transaction helper of its quick start, in a context that was entered once.
//!
//! The configuration is the default one, host name and what the subject's name says apart, so what is measured is what users get. The facts of
//! the request live in its context, as they do in an application.

use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config};

use super::subject::Subject;
use crate::Outcome;
use crate::facts;

/// Far longer than a full journal takes to drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

pub(super) const SETUP: &str = "the default configuration: the ring of 16 MiB, fdatasync within 100 ms, a tree over every line, \
    signed checkpoints, segments of 10 MiB sealed and compressed; facts of the request in its context";
pub(super) const SETUP_OS: &str = "the same with `Durability::Os`, the promise that the peers give: the kernel decides when the disk \
    gets the lines";
pub(super) const SETUP_DIRECT: &str =
    "the default configuration with `JournalKind::Direct`: one write(2) for each entry, under a lock";

/// How soon it is seen that everything is written.
const POLL: Duration = Duration::from_micros(50);

#[derive(Debug)]
pub(super) struct Auditx {
    logger: AuditLogger,
}

impl Auditx {
    pub(super) fn open(config: Config) -> Outcome<Self> {
        Ok(Self { logger: AuditLogger::open(config.hostname(facts::HOSTNAME))? })
    }
}

impl Subject for Auditx {
    fn record(&self, call: u64) -> Outcome<()> {
        facts::record(&self.logger, call)
    }

    fn wait(&self) -> Outcome<()> {
        let deadline = Instant::now() + DRAIN_LIMIT;
        while self.logger.metrics().waiting > 0 {
            if Instant::now() >= deadline {
                return Err("entries are still waiting in the journal".into());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn can_wait(&self) -> bool {
        true
    }

    fn drain(self: Box<Self>) -> Outcome<()> {
        Ok(self.logger.close(DRAIN_LIMIT)?)
    }

    fn in_thread(&self, calls: &mut dyn FnMut() -> Outcome<()>) -> Outcome<()> {
        let _scope = facts::context()?.enter();
        calls()
    }
}
