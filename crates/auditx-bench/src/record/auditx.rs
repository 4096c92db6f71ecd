//! auditx itself: the transaction helper of its quick start, in a context that was entered once.
//!
//! The configuration is the default one, host name apart, so what is measured is what users get. The facts of
//! the request live in its context, as they do in an application.

use std::path::Path;
use std::time::Duration;

use auditx_core::{AuditLogger, Config};

use super::subject::Subject;
use crate::Outcome;
use crate::facts;

/// Far longer than a full journal takes to drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct Auditx {
    logger: AuditLogger,
}

impl Auditx {
    pub(super) fn open(directory: &Path) -> Outcome<Self> {
        Ok(Self { logger: AuditLogger::open(Config::new(directory).hostname(facts::HOSTNAME))? })
    }
}

impl Subject for Auditx {
    fn record(&self, call: u64) -> Outcome<()> {
        facts::record(&self.logger, call)
    }

    fn drain(self: Box<Self>) -> Outcome<()> {
        Ok(self.logger.close(DRAIN_LIMIT)?)
    }

    fn in_thread(&self, calls: &mut dyn FnMut() -> Outcome<()>) -> Outcome<()> {
        let _scope = facts::context()?.enter();
        calls()
    }
}
