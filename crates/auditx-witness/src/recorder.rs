//! Records in a trail, the parent trail, which checkpoints a witness cosigned. Other witnesses then need to
//! cosign only the parent trail.

use std::collections::HashMap;
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
            let mut left = HashMap::new();
            loop {
                let is_last = ended.wait_for_end(interval).is_some();
                let cosigned = witness.take_cosigned().into_iter();
                left.extend(cosigned.map(|checkpoint| (checkpoint.origin().to_owned(), checkpoint)));
                left.retain(|_, checkpoint| !record(&logger, checkpoint));
                if is_last {
                    return;
                }
            }
        });
        let thread = thread.map_err(|error| Error::new(format!("cannot start a thread: {error}")))?;
        Ok(Self { _thread: thread })
    }
}

/// Returns whether it is recorded, or never can be.
fn record(logger: &AuditLogger, checkpoint: &SignedCheckpoint) -> bool {
    let (log, size) = (checkpoint.origin(), checkpoint.size());
    let entry = logger
        .log(format!("Checkpoint of {log} cosigned"))
        .module(BusinessModule::other("witness"))
        .action(AuditAction::other("COSIGN"))
        .entity("log", log)
        .metadata("lines", size)
        .metadata("checkpoint", checkpoint.as_str());
    match entry.record() {
        Ok(_) => true,
        Err(error) => {
            let message = "a cosigned checkpoint cannot be recorded";
            logger.warning(message, json!({ "log": log, "error": error.to_string() }));
            error.is_invalid()
        }
    }
}
