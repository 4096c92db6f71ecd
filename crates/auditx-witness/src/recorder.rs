//! Records in a trail which checkpoints a witness cosigned. Such a trail is the parent of those that the
//! witness cosigns: one cosigned checkpoint of it vouches for all of them.

use std::sync::Arc;
use std::time::Duration;

use auditx_core::{AuditAction, AuditLogger, BusinessModule};
use auditx_store::background::{Background, Shared};
use auditx_tlog::SignedCheckpoint;
use serde_json::json;

use crate::error::{Error, Result};
use crate::witness::Witness;

/// Records the newest checkpoint of each log that a witness cosigned, in the background. Dropping it records
/// what is left and ends the thread.
#[derive(Debug)]
pub struct Recorder {
    _thread: Background<()>,
}

impl Recorder {
    /// Records with this logger, for each log at most one entry in an interval. Drop it before the logger is
    /// closed.
    ///
    /// # Errors
    /// If the logger has no trail, or the thread cannot be started.
    pub fn spawn(witness: Arc<Witness>, logger: &AuditLogger, interval: Duration) -> Result<Self> {
        logger.trail_dir().map_err(|error| Error::new(error.to_string()))?;
        let (shared, logger) = (Arc::new(Shared::<()>::default()), logger.clone());
        let ended = shared.clone();
        let thread = Background::spawn("auditx-recorder", shared, move || {
            loop {
                let is_last = ended.wait_for_end(interval).is_some();
                witness.take_cosigned().iter().for_each(|checkpoint| record(&logger, checkpoint));
                if is_last {
                    return;
                }
            }
        });
        let thread = thread.map_err(|error| Error::new(format!("cannot start a thread: {error}")))?;
        Ok(Self { _thread: thread })
    }
}

fn record(logger: &AuditLogger, checkpoint: &SignedCheckpoint) {
    let (log, size) = (checkpoint.origin(), checkpoint.size());
    let entry = logger
        .log(format!("Checkpoint of {log} cosigned"))
        .module(BusinessModule::other("witness"))
        .action(AuditAction::other("COSIGN"))
        .entity("log", log)
        .metadata("lines", size)
        .metadata("checkpoint", checkpoint.as_str());
    if let Err(error) = entry.record() {
        // The log submits again, at the latest after its time of refresh.
        logger.warning("a cosigned checkpoint cannot be recorded", json!({ "error": error.to_string() }));
    }
}
