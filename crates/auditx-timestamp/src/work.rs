//! Decides when the latest checkpoint of a trail is stamped, and stamps it.
//!
//! Only the latest one ever is: its stamp shows that all lines before it existed, so a stamp of an older
//! checkpoint would say less. After a failure, the next attempt takes what is the latest then.

use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use auditx_core::AuditLogger;
use auditx_reader::{latest_checkpoint, stamp_sizes};
use auditx_store::background::{Ending, Shared};
use auditx_store::{checkpoint_history, kept_sizes};
use auditx_tlog::SignedCheckpoint;
use reqwest::Client;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::authority::{self, Authority};
use crate::error::{Error, Result};
use crate::kept;
use crate::progress::Progress;
use crate::request::Request;
use crate::stamp::Stamped;

/// How often the trail is asked for a new boundary.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The pauses after failures.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Two changes of a directory within this time may have the same time of modification.
const SAME_TIME: Duration = Duration::from_secs(1);

/// The authority to ask, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) authority: Authority,
    /// The time after which a checkpoint is stamped that is at no boundary.
    pub(crate) interval: Duration,
    /// The shortest time between two stamps.
    pub(crate) spacing: Duration,
}

/// The state of the stamping thread.
pub(crate) struct Work {
    plan: Plan,
    directory: PathBuf,
    logger: Option<AuditLogger>,
    client: Client,
    boundaries: Boundaries,
    /// The lines of the largest checkpoint that was stamped, in this session or before.
    stamped: u64,
    /// When this session began, or stamped last.
    since: Instant,
    has_stamped: bool,
    /// After a failure, not before this time.
    not_before: Option<Instant>,
    pause: Duration,
    pub(crate) shared: Arc<Shared<Progress>>,
}

impl Work {
    pub(crate) fn new(plan: Plan, directory: PathBuf, logger: Option<AuditLogger>) -> Result<Self> {
        let kept = stamp_sizes(&directory).map_err(|error| Error::new(error.to_string()))?;
        // A name that is larger than the trail says nothing.
        let latest = latest_checkpoint(&directory).map_or(0, |latest| latest.size());
        let stamped = kept.into_iter().filter(|size| *size <= latest).max().unwrap_or(0);
        Ok(Self {
            plan,
            logger,
            client: authority::client()?,
            boundaries: Boundaries::new(&directory),
            directory,
            stamped,
            since: Instant::now(),
            has_stamped: false,
            not_before: None,
            pause: FIRST_PAUSE,
            shared: Arc::default(),
        })
    }

    pub(crate) fn run(mut self, runtime: &Runtime) {
        loop {
            let ending = self.shared.ending();
            if ending == Some(Ending::Now) {
                return;
            }
            if (ending.is_some() || self.is_due())
                && let Some(latest) = self.latest()
                && latest.size() > self.stamped
            {
                // The failure is in the progress and in app.log.
                drop(runtime.block_on(self.stamp(&latest)));
            }
            if ending.is_some() {
                return;
            }
            self.shared.wait_for_end(POLL_INTERVAL);
        }
    }

    /// Whether a boundary or the interval has passed since the last stamp.
    fn is_due(&mut self) -> bool {
        let is_paused = self.not_before.is_some_and(|time| Instant::now() < time);
        let elapsed = self.since.elapsed();
        if is_paused || (self.has_stamped && elapsed < self.plan.spacing) {
            return false;
        }
        elapsed >= self.plan.interval || self.boundaries.largest() > self.stamped
    }

    /// Returns the latest checkpoint, if one was signed.
    fn latest(&self) -> Option<SignedCheckpoint> {
        match &self.logger {
            Some(logger) => logger.checkpoint(),
            None => latest_checkpoint(&self.directory).ok(),
        }
    }

    /// Obtains and stores a stamp.
    pub(crate) async fn stamp(&mut self, checkpoint: &SignedCheckpoint) -> Result<Stamped> {
        let outcome = self.obtain(checkpoint).await;
        let failure = outcome.as_ref().err().map(ToString::to_string);
        match &outcome {
            Ok(_) => {
                (self.since, self.has_stamped, self.stamped) = (Instant::now(), true, checkpoint.size());
                (self.not_before, self.pause) = (None, FIRST_PAUSE);
            }
            Err(_) => {
                self.not_before = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
        let is_new = self.shared.change(|progress| {
            if let Ok(stamped) = &outcome {
                progress.stamped = Some((checkpoint.size(), stamped.clone()));
                progress.stamps += 1;
            }
            mem::replace(&mut progress.failure, failure.clone()) != failure
        });
        if let (Some(logger), Err(error), true) = (&self.logger, &outcome, is_new) {
            logger.warning("a checkpoint cannot be time-stamped", json!({ "error": error.to_string() }));
        }
        outcome
    }

    async fn obtain(&self, checkpoint: &SignedCheckpoint) -> Result<Stamped> {
        let request = Request::of(checkpoint)?;
        let (stamp, stamped) = self.plan.authority.stamp(&self.client, &request).await?;
        let failed =
            |error| Error::new(format!("cannot store a time stamp in {}: {error}", self.directory.display()));
        kept::keep(&self.directory, checkpoint.size(), request.stamped(), stamp.as_bytes())
            .map_err(failed)?;
        Ok(stamped)
    }
}

/// The largest checkpoint of a boundary. Lists the directory only after a change.
struct Boundaries {
    directory: PathBuf,
    listed_at: Option<SystemTime>,
    largest: u64,
}

impl Boundaries {
    fn new(trail: &Path) -> Self {
        Self { directory: checkpoint_history(trail), listed_at: None, largest: 0 }
    }

    fn largest(&mut self) -> u64 {
        let changed = fs::metadata(&self.directory).and_then(|metadata| metadata.modified()).ok();
        if changed.is_none() || changed != self.listed_at {
            self.largest =
                kept_sizes(&self.directory, "").ok().and_then(|sizes| sizes.last().copied()).unwrap_or(0);
            let is_old = |time: &SystemTime| time.elapsed().is_ok_and(|age| age > SAME_TIME);
            self.listed_at = changed.filter(is_old);
        }
        self.largest
    }
}
