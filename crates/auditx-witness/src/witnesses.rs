//! Obtains cosignatures for the checkpoints of a trail, on a thread of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use auditx_core::{AuditAction, AuditLogger, LogLevel};
use auditx_reader::latest_checkpoint;
use auditx_tlog::{Policy, SignedCheckpoint, WitnessKey};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::Client;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::cosigned;
use crate::error::{Error, Result};
use crate::target::{self, Outcome, Target};

/// How often the trail is asked for a new checkpoint. It signs about one a second.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long cosignatures that have arrived wait for those of the other witnesses before they are stored.
const GRACE: Duration = Duration::from_millis(200);

/// The environment variable that names a policy file.
pub const VARIABLE: &str = "AUDITX_WITNESSES";

/// The pauses after failures.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The witnesses of a trail.
#[derive(Debug, Clone)]
pub struct Witnesses {
    targets: Vec<Target>,
    interval: Duration,
    refresh: Duration,
}

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
        Ok(Self { targets, interval: Duration::from_secs(1), refresh: Duration::from_secs(300) })
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
        self.interval = interval;
        self
    }

    /// Default: five minutes. Sets the time after which a checkpoint is cosigned again if no new one was
    /// signed, so that the cosignatures of a quiet trail do not become old.
    #[must_use]
    pub fn refresh(mut self, refresh: Duration) -> Self {
        self.refresh = refresh;
        self
    }

    /// Submits the checkpoints of this logger's trail until [`Submitter::close`]. Recording never waits for
    /// a witness. Failures are retried and written to app.log. If a witness has seen another history of the
    /// trail, that is recorded in the trail, with level CRITICAL.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn spawn(self, logger: &AuditLogger) -> Result<Submitter> {
        let directory = logger.trail_dir().map_err(|error| Error::new(error.to_string()))?.to_owned();
        Submitter::start(Work::new(self, directory, Some(logger.clone()))?)
    }

    /// Submits the latest checkpoint of the trail in this directory once, for example by a command. The
    /// trail must be writable.
    ///
    /// # Errors
    /// If the trail has no checkpoint, or the cosigned one cannot be stored.
    pub fn submit_once(self, directory: &Path) -> Result<Progress> {
        let runtime = runtime()?;
        let mut work = Work::new(self, directory.to_owned(), None)?;
        let latest = latest_checkpoint(directory).map_err(|error| Error::new(error.to_string()))?;
        runtime.block_on(work.round(latest, true))?;
        Ok(work.shared.locked().progress.clone())
    }
}

/// How far the submission is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The checkpoint that was cosigned last, with its cosignatures.
    pub cosigned: Option<SignedCheckpoint>,
    /// How many cosignatures were obtained.
    pub cosignatures: u64,
    /// Why witnesses did not cosign the last time, by their names.
    pub failures: HashMap<String, String>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Signalled at each change.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    ending: Option<Ending>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    AfterSubmission,
    Now,
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Submits checkpoints in the background. Dropped, it ends without a last submission.
#[derive(Debug)]
pub struct Submitter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Submitter {
    fn start(work: Work) -> Result<Self> {
        let (shared, runtime) = (work.shared.clone(), runtime()?);
        let thread = thread::Builder::new().name("auditx-cosign".to_owned());
        let thread = thread.spawn(move || work.run(&runtime));
        let thread = thread.map_err(|error| Error::new(format!("cannot start a thread: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Returns how far the submission is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.locked().progress.clone()
    }

    /// Waits until `condition` is true of the progress. Returns `false` if the time is over first.
    pub fn wait_until(&self, timeout: Duration, condition: impl Fn(&Progress) -> bool) -> bool {
        let waiting = |state: &mut State| !condition(&state.progress);
        let waited = self.shared.changed.wait_timeout_while(self.shared.locked(), timeout, waiting);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Submits the latest checkpoint, and ends. Call it after the logger was closed, which signs the last
    /// one. Takes at most five seconds if a witness does not answer.
    #[must_use]
    pub fn close(mut self) -> Progress {
        self.end(Ending::AfterSubmission);
        self.progress()
    }

    fn end(&mut self, ending: Ending) {
        self.shared.locked().ending = Some(ending);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended too.
            drop(thread.join());
        }
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        self.end(Ending::Now);
    }
}

fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::new(format!("cannot start a runtime: {error}")))
}

/// What the thread has.
struct Work {
    witnesses: Vec<Asked>,
    interval: Duration,
    refresh: Duration,
    directory: PathBuf,
    logger: Option<AuditLogger>,
    client: Client,
    shared: Arc<Shared>,
}

/// A witness, and when it is asked next.
struct Asked {
    target: Target,
    /// The checkpoint that it cosigned last, and when.
    cosigned: Option<(u64, Instant)>,
    /// After a failure, not before this time.
    not_before: Option<Instant>,
    pause: Duration,
    /// What was recorded of it in the trail.
    alarm: Option<Outcome>,
}

impl Work {
    fn new(witnesses: Witnesses, directory: PathBuf, logger: Option<AuditLogger>) -> Result<Self> {
        let Witnesses { targets, interval, refresh } = witnesses;
        let asked =
            |target| Asked { target, cosigned: None, not_before: None, pause: FIRST_PAUSE, alarm: None };
        let witnesses = targets.into_iter().map(asked).collect();
        let (client, shared) = (target::client()?, Arc::default());
        Ok(Self { witnesses, interval, refresh, directory, logger, client, shared })
    }

    fn run(mut self, runtime: &Runtime) {
        let mut began: Option<Instant> = None;
        loop {
            let ending = self.shared.locked().ending;
            if ending == Some(Ending::Now) {
                return;
            }
            let is_time = ending.is_some() || began.is_none_or(|began| began.elapsed() >= self.interval);
            // There is none before the first one is signed; other failures are those of the logger.
            if is_time
                && let Ok(latest) = latest_checkpoint(&self.directory)
                && self
                    .witnesses
                    .iter()
                    .any(|asked| asked.is_due(latest.size(), self.refresh, ending.is_some()))
            {
                began = Some(Instant::now());
                if let Err(error) = runtime.block_on(self.round(latest, ending.is_some())) {
                    self.warn("a cosigned checkpoint cannot be stored", &error.to_string());
                }
            }
            if ending.is_some() {
                return;
            }
            let waiting = |state: &mut State| state.ending.is_none();
            let wait = self.shared.changed.wait_timeout_while(self.shared.locked(), POLL_INTERVAL, waiting);
            drop(wait.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Submits a checkpoint to the witnesses that are due, or to all.
    async fn round(&mut self, latest: SignedCheckpoint, is_last: bool) -> Result<()> {
        let (size, keys) = (latest.size(), self.keys());
        let mut checkpoint = cosigned::with_kept(&self.directory, latest.clone(), &keys);
        let (client, directory, refresh) = (&self.client, &self.directory, self.refresh);
        let mut answers: FuturesUnordered<_> = self
            .witnesses
            .iter_mut()
            .enumerate()
            .filter(|(_, asked)| asked.is_due(size, refresh, is_last))
            .map(|(index, asked)| {
                let latest = &latest;
                async move { (index, asked.target.submit(client, directory, latest).await) }
            })
            .collect();
        let (mut outcomes, mut unsaved) = (Vec::new(), 0);
        loop {
            // A witness that does not answer must not delay what the others cosigned.
            match timeout(GRACE, answers.next()).await {
                Ok(Some((index, outcome))) => {
                    if let Outcome::Cosigned(lines) = &outcome
                        && let Ok(cosigned) = checkpoint.with_cosignature(lines, &keys[index])
                    {
                        checkpoint = cosigned;
                        unsaved += 1;
                    }
                    outcomes.push((index, outcome));
                }
                Err(_) if unsaved == 0 => {}
                ended => {
                    if unsaved > 0 {
                        self.shared.keep(directory, &checkpoint, &keys, unsaved)?;
                        unsaved = 0;
                    }
                    if ended.is_ok() {
                        break;
                    }
                }
            }
        }
        drop(answers);
        for (index, outcome) in outcomes {
            self.conclude(index, outcome, size);
        }
        Ok(())
    }

    fn keys(&self) -> Vec<WitnessKey> {
        self.witnesses.iter().map(|asked| asked.target.key.clone()).collect()
    }

    /// Decides when a witness is asked again, and reports what is wrong.
    fn conclude(&mut self, index: usize, outcome: Outcome, size: u64) {
        let asked = &mut self.witnesses[index];
        let name = asked.target.key.name().to_owned();
        let failure = match &outcome {
            Outcome::Cosigned(_) => {
                asked.cosigned = Some((size, Instant::now()));
                (asked.not_before, asked.pause, asked.alarm) = (None, FIRST_PAUSE, None);
                self.shared.locked().progress.failures.remove(&name);
                return;
            }
            Outcome::Newer => return,
            Outcome::Ahead(known) => format!(
                "it has cosigned {known} lines of this log, and the trail has only {size}: the trail was \
                 rolled back, or another copy of it goes on"
            ),
            Outcome::Split(known) => format!(
                "it has cosigned {known} lines of this log that are not the first lines of the trail: \
                 another copy of it goes on"
            ),
            Outcome::Failed(why) => why.clone(),
        };
        asked.not_before = Some(Instant::now() + asked.pause);
        asked.pause = (asked.pause * 2).min(LONGEST_PAUSE);
        let is_alarm = matches!(outcome, Outcome::Ahead(_) | Outcome::Split(_));
        let is_new_alarm = is_alarm && asked.alarm.as_ref() != Some(&outcome);
        if is_alarm {
            asked.alarm = Some(outcome);
        }
        if is_new_alarm {
            self.record(&name, &failure, size);
        }
        let known = self.shared.locked().progress.failures.insert(name.clone(), failure.clone());
        self.shared.changed.notify_all();
        if known.as_ref() != Some(&failure) {
            self.warn("a witness does not cosign", &format!("{name}: {failure}"));
        }
    }

    /// Records that a witness knows another history.
    fn record(&self, witness: &str, what: &str, size: u64) {
        let Some(logger) = &self.logger else { return };
        let entry = logger
            .log_security(format!("Witness {witness} refuses this trail: {what}"))
            .level(LogLevel::Critical)
            .action(AuditAction::other("WITNESS_REFUSED"))
            .entity("witness", witness)
            .metadata("trail_lines", size);
        if let Err(error) = entry.record() {
            self.warn("the refusal of a witness cannot be recorded", &error.to_string());
        }
    }

    fn warn(&self, message: &str, error: &str) {
        if let Some(logger) = &self.logger {
            logger.warning(message, json!({ "error": error }));
        }
    }
}

impl Asked {
    fn is_due(&self, size: u64, refresh: Duration, is_last: bool) -> bool {
        let is_old = |at: Instant| at.elapsed() >= refresh;
        let wants = self.cosigned.is_none_or(|(cosigned, at)| cosigned < size || is_old(at));
        wants && (is_last || self.not_before.is_none_or(|time| Instant::now() >= time))
    }
}

impl Shared {
    fn keep(&self, trail: &Path, checkpoint: &SignedCheckpoint, keys: &[WitnessKey], new: u64) -> Result<()> {
        cosigned::keep(trail, checkpoint, keys)
            .map_err(|error| Error::storage("cannot store a cosigned checkpoint", trail, error))?;
        let mut state = self.locked();
        state.progress.cosigned = Some(checkpoint.clone());
        state.progress.cosignatures += new;
        self.changed.notify_all();
        Ok(())
    }
}
