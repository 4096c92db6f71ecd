//! Records in a trail which checkpoints a witness cosigned. Such a trail is the parent of those that the
//! witness cosigns: one cosigned checkpoint of it vouches for all of them.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use auditx_core::{AuditAction, AuditLogger, BusinessModule};
use auditx_tlog::SignedCheckpoint;
use serde_json::json;

use crate::error::{Error, Result};
use crate::witness::Witness;

/// Records the newest checkpoint of each log that a witness cosigned, in the background. Dropping it records
/// what is left and ends the thread.
#[derive(Debug)]
pub struct Recorder {
    ending: Arc<Ending>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Ending {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Recorder {
    /// Records with this logger, for each log at most one entry in an interval. Drop it before the logger is
    /// closed.
    ///
    /// # Errors
    /// If the logger has no trail, or the thread cannot be started.
    pub fn spawn(witness: Arc<Witness>, logger: &AuditLogger, interval: Duration) -> Result<Self> {
        logger.trail_dir().map_err(|error| Error::new(error.to_string()))?;
        let (ending, logger) = (Arc::new(Ending::default()), logger.clone());
        let ends = ending.clone();
        let thread = thread::Builder::new().name("auditx-recorder".to_owned());
        let thread = thread.spawn(move || {
            loop {
                let is_last = ends.wait(interval);
                witness.take_cosigned().iter().for_each(|checkpoint| record(&logger, checkpoint));
                if is_last {
                    return;
                }
            }
        });
        let thread = thread.map_err(|error| Error::new(format!("cannot start a thread: {error}")))?;
        Ok(Self { ending, thread: Some(thread) })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        *self.ending.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ending.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended too.
            drop(thread.join());
        }
    }
}

impl Ending {
    /// Waits for the end, at most this long. Returns whether it has come.
    fn wait(&self, interval: Duration) -> bool {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_set, interval, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
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
