//! auditx itself: the transaction helper of its quick start, in a context that is entered once.
//!
//! The configuration is the default except for the host name and what the subject's name says, so the results
//! are those of a default installation. The fields of the request are in its context, as in an application.

use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config};

use super::subject::Subject;
use crate::Outcome;
use crate::facts;

/// A time limit far longer than a full journal takes to drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

pub(super) const SETUP: &str = "the default configuration: a ring of 16 MiB, fdatasync within 100 ms, a tree \
    over every line, signed checkpoints, segments of 10 MiB sealed and compressed; facts of the request in \
    its context";
pub(super) const SETUP_OS: &str = "the same with `Durability::Os`, the guarantee of the peers: the kernel \
    decides when the lines reach the disk";
pub(super) const SETUP_DIRECT: &str =
    "the default configuration with `JournalKind::Direct`: one write(2) per entry, under a lock";

/// The interval at which it checks whether everything is written.
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
                return Err("the journal was not drained in time".into());
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
