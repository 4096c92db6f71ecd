//! The trail in which a witness records what it cosigned: the parent of the trails that submit to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use auditx_witness::Witness;

use crate::failure::Failure;

/// Where the witness records, and who cosigns that.
#[derive(Debug, clap::Args)]
pub(crate) struct Parent {
    /// Record the cosigned checkpoints in the trail in this directory, which is created if necessary: one
    /// cosigned checkpoint of it vouches for all logs
    #[arg(long, value_name = "DIR")]
    trail: Option<PathBuf>,
    /// Submit the checkpoints of that trail to the witnesses of this policy
    #[arg(long, value_name = "FILE", requires = "trail")]
    policy: Option<PathBuf>,
    /// Record each log, and submit, at most once in this time
    #[arg(long, value_name = "SPAN", default_value = "1m", requires = "trail")]
    interval: String,
}

impl Parent {
    /// Starts recording, if that is wanted. It ends with the process.
    pub(super) fn start(&self, witness: &Arc<Witness>) -> Result<(), Failure> {
        let Some(trail) = &self.trail else { return Ok(()) };
        start(witness, trail, self.policy.as_deref(), crate::selection::span(&self.interval)?)
    }
}

#[cfg(not(feature = "ship"))]
fn start(_: &Arc<Witness>, _: &Path, _: Option<&Path>, _: Duration) -> Result<(), Failure> {
    Err(Failure::new(
        "this auditx was built without a client for witnesses, which --trail needs: install it with \
         `cargo install auditx-cli --features ship`",
    ))
}

#[cfg(feature = "ship")]
fn start(
    witness: &Arc<Witness>,
    trail: &Path,
    policy: Option<&Path>,
    interval: Duration,
) -> Result<(), Failure> {
    use std::sync::{Mutex, PoisonError};

    use auditx_core::{AuditLogger, Config};
    use auditx_witness::{Error, Recorder, Witnesses};

    use crate::terminal::sanitized;
    use crate::{evidence, signals};

    /// How long a signal waits until the trail is closed.
    const TIMEOUT: Duration = Duration::from_secs(10);

    let display_path = sanitized(&trail.to_string_lossy());
    let failed = |error: Error| Failure::new(format!("{display_path}: {}", sanitized(&error.to_string())));
    let logger = AuditLogger::open(Config::new(trail))
        .map_err(|error| Failure::new(format!("cannot open the trail in {display_path}: {error}")))?;
    let submitter = match policy {
        Some(policy) => {
            let witnesses = Witnesses::of(&evidence::policy(policy)?).map_err(failed)?;
            Some(witnesses.interval(interval).spawn(&logger).map_err(failed)?)
        }
        None => None,
    };
    let recorder = Recorder::spawn(witness.clone(), &logger, interval).map_err(failed)?;
    let running = Arc::new(Mutex::new(Some((recorder, logger, submitter))));
    signals::before_end(move || {
        let Some((recorder, logger, submitter)) =
            running.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return;
        };
        // What was cosigned last is recorded, signed and submitted.
        drop(recorder);
        // If it cannot be closed, the next open recovers the trail; no entry is lost.
        drop(logger.close(TIMEOUT));
        drop(submitter.map(|submitter| submitter.close()));
    })
    .map_err(|error| Failure::new(format!("cannot prepare for signals: {error}")))
}
