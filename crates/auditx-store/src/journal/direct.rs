//! The simplest journal: each entry goes to the active segment with one write(2), under a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use auditx_format::Result;
use auditx_format::control_record::ControlRecord;

use super::{Refusal, SharedAppender, forked};
use crate::metrics::{Counter, JournalLoad};

/// The kernel has the bytes when `try_push` returns. It is the fallback if no ring can be used, and the
/// reference that tests compare the ring with.
#[derive(Debug)]
pub(crate) struct Direct {
    appender: Arc<SharedAppender>,
    process: u32,
    accepted: Counter,
    /// Whether the last entry was refused.
    is_failing: AtomicBool,
}

impl Direct {
    pub(crate) fn new(appender: Arc<SharedAppender>) -> Self {
        Self {
            appender,
            process: std::process::id(),
            accepted: Counter::default(),
            is_failing: AtomicBool::new(false),
        }
    }

    pub(super) fn try_push(&self, body: &[u8]) -> Result<u64, Refusal> {
        if std::process::id() != self.process {
            return Err(forked().into());
        }
        let appended = self.appender.with(|appender| appender.append(body));
        self.is_failing.store(appended.is_err(), Ordering::Relaxed);
        let position = appended?;
        self.accepted.add(1);
        Ok(position)
    }

    pub(super) fn ready(&self) -> Result<()> {
        self.appender.ready()?;
        if self.is_failing.load(Ordering::Relaxed) {
            // Only a written line shows that the disk takes lines again.
            self.appender.push_control_record(&ControlRecord::Heartbeat)?;
            self.is_failing.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn reach(&self) -> u64 {
        self.appender.watermark().written_position()
    }

    pub(super) fn load(&self) -> JournalLoad {
        JournalLoad { accepted: self.accepted.read(), ..JournalLoad::default() }
    }
}
