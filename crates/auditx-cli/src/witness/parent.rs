//! The trail in which a witness records what it cosigned: the parent of the trails that submit to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use auditx_reader::is_trail;
use auditx_witness::Witness;

use crate::failure::Failure;
use crate::terminal::sanitized;

/// The parent trail, and the witnesses that cosign it.
#[derive(Debug, clap::Args)]
pub(crate) struct Parent {
    /// Record the cosigned checkpoints in the trail in DIR, the parent trail. Other witnesses then need to
    /// cosign only the parent trail
    #[arg(long, value_name = "DIR")]
    trail: Option<PathBuf>,
    /// Submit the checkpoints of the parent trail to the witnesses of this policy
    #[arg(long, value_name = "FILE", requires = "trail")]
    policy: Option<PathBuf>,
    /// The shortest time between two entries for the same log, and between two submissions
    #[arg(long, value_name = "SPAN", default_value = "1m", requires = "trail")]
    interval: String,
}

impl Parent {
    /// Starts recording, if that is wanted. `create` allows a new parent trail. What is returned ends it; so
    /// does a signal.
    pub(super) fn start(&self, witness: &Arc<Witness>, create: bool) -> Result<impl Fn() + use<>, Failure> {
        let end = match &self.trail {
            None => None,
            Some(trail) if !create && !is_trail(trail).unwrap_or(false) => {
                return Err(Failure::new(format!(
                    "no audit trail in {}: check the directory, or create it with `auditx record --create`",
                    sanitized(&trail.to_string_lossy())
                )));
            }
            Some(trail) => {
                Some(start(witness, trail, self.policy.as_deref(), crate::selection::span(&self.interval)?)?)
            }
        };
        Ok(move || end.iter().for_each(|end| end()))
    }
}

#[cfg(not(feature = "ship"))]
fn start(_: &Arc<Witness>, _: &Path, _: Option<&Path>, _: Duration) -> Result<fn(), Failure> {
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
) -> Result<impl Fn() + use<>, Failure> {
    use std::sync::{Mutex, PoisonError};

    use auditx_core::{AuditLogger, Config};
    use auditx_witness::{Error, Recorder, Witnesses};

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
    let end = move || {
        let Some((recorder, logger, submitter)) =
            running.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return;
        };
        // The order matters: the last entries are recorded, then signed by `close`, then submitted.
        drop(recorder);
        // If it cannot be closed, the next open recovers the trail; no entry is lost.
        drop(logger.close(TIMEOUT));
        drop(submitter.map(|submitter| submitter.close()));
    };
    signals::before_end(end.clone())
        .map_err(|error| Failure::new(format!("cannot prepare for signals: {error}")))?;
    Ok(end)
}
