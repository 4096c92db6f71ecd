//! Obtains cosignatures for the checkpoints of a trail, on a thread of its own.

use std::path::Path;
use std::time::Duration;

use auditx_core::AuditLogger;
use auditx_reader::latest_checkpoint;
use auditx_store::background::{Background, Ending};
use auditx_tlog::{Policy, SignedCheckpoint};
use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rounds::{Plan, Work};
use crate::target::Target;

/// The environment variable that names a policy file.
pub const VARIABLE: &str = "AUDITX_WITNESSES";

/// How often a submission by hand begins again because the trail has a newer checkpoint.
const ATTEMPTS: usize = 5;

/// The witnesses of a trail.
#[derive(Debug, Clone)]
pub struct Witnesses(Plan);

impl Witnesses {
    /// Takes the witnesses of a policy that have a URL.
    ///
    /// # Errors
    /// If a URL is invalid, or no witness has one.
    pub fn of(policy: &Policy) -> Result<Self> {
        let with_url =
            policy.witnesses().iter().filter_map(|witness| Some((witness.url.as_ref()?, &witness.key)));
        let targets = with_url.map(|(url, key)| Target::new(url, key.clone())).collect::<Result<Vec<_>>>()?;
        if targets.is_empty() {
            return Err(Error::new(
                "no witness of the policy has a URL: write `witness NAME VKEY URL` for each to submit to",
            ));
        }
        Ok(Self(Plan { targets, interval: Duration::from_secs(1), refresh: Duration::from_secs(300) }))
    }

    /// Takes the witnesses of the policy file that `AUDITX_WITNESSES` names; `None` if it is not set.
    ///
    /// # Errors
    /// If the file cannot be read, is no policy, or has no witness with a URL.
    pub fn from_env() -> Result<Option<Self>> {
        let Some(path) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let failed =
            |error: &dyn std::fmt::Display| Error::new(format!("{VARIABLE}, {}: {error}", path.display()));
        let policy = std::fs::read(&path).map_err(|error| failed(&error))?;
        let policy = Policy::parse(&policy).map_err(|error| failed(&error))?;
        Self::of(&policy).map(Some).map_err(|error| failed(&error))
    }

    /// Default: one second. Sets the shortest time between two submissions of new checkpoints. Public
    /// witnesses ask for a minute.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.0.interval = interval;
        self
    }

    /// Default: five minutes. Sets the time after which a checkpoint is cosigned again if no new one was
    /// signed, so that the cosignatures of a quiet trail do not become old.
    #[must_use]
    pub fn refresh(mut self, refresh: Duration) -> Self {
        self.0.refresh = refresh;
        self
    }

    /// Submits the checkpoints of this logger's trail until [`Submitter::close`]. Recording never waits for
    /// a witness. Failures are retried and written to app.log. If a witness has seen another history of the
    /// trail, that is recorded in the trail, with level CRITICAL.
    ///
    /// # Errors
    /// If the logger has no trail, TLS cannot be set up, or the thread cannot be started.
    pub fn spawn(self, logger: &AuditLogger) -> Result<Submitter> {
        let directory = logger.trail_dir().map_err(|error| Error::new(error.to_string()))?.to_owned();
        Submitter::start(Work::new(self.0, directory, Some(logger.clone()))?)
    }

    /// Submits the latest checkpoint of the trail in this directory once, for example by a command. The
    /// trail must be writable. Returns the checkpoint with all cosignatures that it has then.
    ///
    /// # Errors
    /// If the trail has no checkpoint, TLS cannot be set up, or the cosigned checkpoint cannot be stored.
    pub fn submit_once(self, directory: &Path) -> Result<(SignedCheckpoint, Progress)> {
        let runtime = runtime()?;
        let mut work = Work::new(self.0, directory.to_owned(), None)?;
        for _ in 0..ATTEMPTS {
            let latest = latest_checkpoint(directory).map_err(|error| Error::new(error.to_string()))?;
            let (checkpoint, has_newer) = runtime.block_on(work.round(latest, true))?;
            if !has_newer {
                runtime.shutdown_background();
                let progress = work.shared.progress();
                return Ok((checkpoint, progress));
            }
        }
        Err(Error::new("the trail has a newer checkpoint each time: its application submits it"))
    }
}

/// Submits checkpoints in the background. Dropping it ends the thread after the round that is running,
/// without a last submission.
#[derive(Debug)]
pub struct Submitter(Background<Progress>);

impl Submitter {
    fn start(work: Work) -> Result<Self> {
        let (shared, runtime) = (work.shared.clone(), runtime()?);
        let started = Background::spawn("auditx-cosign", shared, move || {
            work.run(&runtime);
            // Does not wait for a host name that is still being resolved.
            runtime.shutdown_background();
        });
        started.map(Self).map_err(|error| Error::new(format!("cannot start a thread: {error}")))
    }

    /// Returns how far the submission is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.0.shared().progress()
    }

    /// Waits until `condition` is true of the progress. Returns `false` if the time is over first.
    pub fn wait_until(&self, timeout: Duration, condition: impl Fn(&Progress) -> bool) -> bool {
        self.0.wait_until(timeout, condition)
    }

    /// Submits the latest checkpoint and ends. Call it after the logger was closed, which signs the last one.
    /// Waits for a round that is running, then for the last one; each request may take five seconds.
    #[must_use]
    pub fn close(mut self) -> Progress {
        self.0.end(Ending::Soon);
        self.progress()
    }
}

fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::new(format!("cannot start a runtime: {error}")))
}
