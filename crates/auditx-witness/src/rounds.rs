//! The rounds of submission: which witnesses are asked when, and what follows from their answers.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auditx_core::{AuditAction, AuditLogger, LogLevel};
use auditx_reader::latest_checkpoint;
use auditx_store::background::{Ending, Shared};
use auditx_tlog::{SignedCheckpoint, WitnessKey};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::Client;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::cosigned;
use crate::error::Result;
use crate::progress::{Progress, keep};
use crate::target::{self, Outcome, Target};

/// How often the trail is asked for a new checkpoint. It signs about one a second.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long cosignatures that have arrived wait for those of the other witnesses before they are stored.
const GRACE: Duration = Duration::from_millis(200);

/// The pauses after failures.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The witnesses to ask, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) targets: Vec<Target>,
    /// The shortest time between two submissions of new checkpoints.
    pub(crate) interval: Duration,
    /// The time after which the same checkpoint is submitted again.
    pub(crate) refresh: Duration,
}

/// The state of the submitting thread.
pub(crate) struct Work {
    witnesses: Vec<Asked>,
    interval: Duration,
    refresh: Duration,
    directory: PathBuf,
    logger: Option<AuditLogger>,
    client: Client,
    pub(crate) shared: Arc<Shared<Progress>>,
}

/// A witness, and when it is asked next.
struct Asked {
    target: Target,
    /// The checkpoint that it cosigned last, and when.
    cosigned: Option<(u64, Instant)>,
    /// After a failure, not before this time.
    not_before: Option<Instant>,
    pause: Duration,
    /// The alarms that were recorded in the trail since it cosigned.
    alarms: Vec<Outcome>,
}

impl Work {
    pub(crate) fn new(plan: Plan, directory: PathBuf, logger: Option<AuditLogger>) -> Result<Self> {
        let Plan { targets, interval, refresh } = plan;
        let asked = |target| Asked {
            target,
            cosigned: None,
            not_before: None,
            pause: FIRST_PAUSE,
            alarms: Vec::new(),
        };
        let witnesses = targets.into_iter().map(asked).collect();
        let (client, shared) = (target::client()?, Arc::default());
        Ok(Self { witnesses, interval, refresh, directory, logger, client, shared })
    }

    pub(crate) fn run(mut self, runtime: &Runtime) {
        let mut began: Option<Instant> = None;
        loop {
            let ending = self.shared.ending();
            if ending == Some(Ending::Now) {
                return;
            }
            let is_time = ending.is_some() || began.is_none_or(|began| began.elapsed() >= self.interval);
            if is_time
                && let Some(latest) = self.latest()
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
            self.shared.wait_for_end(POLL_INTERVAL);
        }
    }

    /// Returns the latest checkpoint, if one was signed.
    fn latest(&self) -> Option<SignedCheckpoint> {
        match &self.logger {
            Some(logger) => logger.checkpoint(),
            None => latest_checkpoint(&self.directory).ok(),
        }
    }

    /// Submits a checkpoint to the witnesses that are due, or to all. Returns it with the cosignatures that it
    /// has then, and whether the trail has a newer one.
    pub(crate) async fn round(
        &mut self,
        latest: SignedCheckpoint,
        is_last: bool,
    ) -> Result<(SignedCheckpoint, bool)> {
        let (size, keys) = (latest.size(), self.keys());
        let mut checkpoint = cosigned::with_kept(&self.directory, latest.clone());
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
        let (mut outcomes, mut unsaved, mut stored) = (Vec::new(), 0, Ok(()));
        loop {
            // A witness that does not answer must not delay what the others cosigned.
            match timeout(GRACE, answers.next()).await {
                Ok(Some((index, mut outcome))) => {
                    if let Outcome::Cosigned(lines) = &outcome {
                        match checkpoint.with_cosignature(lines, &keys[index]) {
                            Ok(cosigned) => (checkpoint, unsaved) = (cosigned, unsaved + 1),
                            Err(error) => outcome = Outcome::Failed(error.to_string()),
                        }
                    }
                    outcomes.push((index, outcome));
                }
                Err(_) if unsaved == 0 => {}
                ended => {
                    if unsaved > 0 {
                        stored = stored.and(keep(&self.shared, directory, &checkpoint, unsaved));
                        unsaved = 0;
                    }
                    if ended.is_ok() {
                        break;
                    }
                }
            }
        }
        drop(answers);
        let is_newer = outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Newer);
        for (index, outcome) in outcomes {
            self.conclude(index, outcome, size);
        }
        stored.map(|()| (checkpoint, is_newer))
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
                (asked.not_before, asked.pause) = (None, FIRST_PAUSE);
                asked.alarms.clear();
                self.shared.change(|progress| progress.failures.remove(&name));
                return;
            }
            Outcome::Newer => return,
            Outcome::Ahead(known) => format!(
                "it says that it cosigned {known} lines of this log, but the trail has only {size}: the trail was rolled \
                 back, or another copy of it was continued"
            ),
            Outcome::Split(known) => format!(
                "it says that it cosigned {known} lines of this log that are not the first lines of the trail: the trail \
                 was rewritten, or another copy of it was continued"
            ),
            Outcome::Failed(why) => why.clone(),
        };
        asked.not_before = Some(Instant::now() + asked.pause);
        asked.pause = (asked.pause * 2).min(LONGEST_PAUSE);
        let is_alarm = matches!(outcome, Outcome::Ahead(_) | Outcome::Split(_));
        // One of each kind until it cosigns again: a witness may name another size each time.
        let is_same = |alarm: &Outcome| mem::discriminant(alarm) == mem::discriminant(&outcome);
        let is_new_alarm = is_alarm && !asked.alarms.iter().any(is_same);
        if is_new_alarm {
            asked.alarms.push(outcome);
        }
        if is_new_alarm {
            self.record(&name, &failure, size);
        }
        let known = self.shared.change(|progress| progress.failures.insert(name.clone(), failure.clone()));
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
            .success(false)
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
