//! Obtains time stamps for the checkpoints of a trail, on a thread of its own.

use std::path::Path;
use std::time::Duration;

use auditx_core::AuditLogger;
use auditx_reader::{kept_stamp, latest_checkpoint, stamp_sizes};
use auditx_store::background::{Background, Ending};
use auditx_tlog::SignedCheckpoint;
use tokio::runtime::{Builder, Runtime};

use crate::authority::Authority;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::roots::Roots;
use crate::stamp::{Stamp, Stamped};
use crate::work::{Plan, Work};

/// The environment variable that has the URL of a time-stamping authority.
pub const VARIABLE: &str = "AUDITX_TSA";

/// The time stamps of a trail: from which authority, and how often.
#[derive(Debug, Clone)]
pub struct TimeStamps(Plan);

impl TimeStamps {
    /// Takes the URL of an authority, which speaks RFC 3161 over HTTP.
    ///
    /// # Errors
    /// If the URL is invalid, or neither http:// nor https://.
    pub fn of(url: &str) -> Result<Self> {
        let (interval, spacing) = (Duration::from_secs(86_400), Duration::from_secs(60));
        Ok(Self(Plan { authority: Authority::new(url)?, interval, spacing }))
    }

    /// Takes the URL from `AUDITX_TSA`; `None` if it is not set.
    ///
    /// # Errors
    /// As [`TimeStamps::of`].
    pub fn from_env() -> Result<Option<Self>> {
        let Some(url) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let failed = |why: &dyn std::fmt::Display| Error::new(format!("{VARIABLE}: {why}"));
        let url = url.to_str().ok_or_else(|| failed(&"it is not UTF-8"))?;
        Self::of(url).map(Some).map_err(|error| failed(&error))
    }

    /// Default: a day. Sets the time after which a checkpoint is stamped that is not at the end of a segment
    /// or of a session.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.0.interval = interval;
        self
    }

    /// Default: a minute. Sets the shortest time between two stamps.
    #[must_use]
    pub fn spacing(mut self, spacing: Duration) -> Self {
        self.0.spacing = spacing;
        self
    }

    /// Default: none; a stamp is checked with the certificate in it. Requires that one of these roots vouches
    /// for a stamp before it is stored.
    #[must_use]
    pub fn roots(mut self, roots: Roots) -> Self {
        self.0.authority.roots = Some(roots);
        self
    }

    /// Stamps the latest checkpoint of this logger's trail at the end of each segment and session, and in
    /// each interval, until [`Stamper::close`]. Recording never waits for the authority. Failures are
    /// retried and written to app.log.
    ///
    /// # Errors
    /// If the logger has no trail, TLS cannot be set up, or the thread cannot be started.
    pub fn spawn(self, logger: &AuditLogger) -> Result<Stamper> {
        let directory = logger.trail_dir().map_err(|error| Error::new(error.to_string()))?.to_owned();
        Stamper::start(Work::new(self.0, directory, Some(logger.clone()))?)
    }

    /// Stamps the latest checkpoint of the trail in this directory, for example by a command. The trail must
    /// be writable. Returns the checkpoint, what its stamp says, and whether the stamp is new: a checkpoint
    /// is not stamped twice.
    ///
    /// # Errors
    /// `is_refusal` if the authority refused the request. Others if the trail has no checkpoint, the stamp is
    /// not accepted, or it cannot be stored.
    pub fn stamp_once(self, directory: &Path) -> Result<(SignedCheckpoint, Stamped, bool)> {
        let failed = |error: auditx_reader::Error| Error::new(error.to_string());
        let latest = latest_checkpoint(directory).map_err(failed)?;
        if stamp_sizes(directory).map_err(failed)?.contains(&latest.size()) {
            let kept = kept_stamp(directory, latest.size());
            let own = latest.without_cosignatures().map_err(|error| Error::new(error.to_string()))?;
            let own = own.as_str().as_bytes();
            let stamp = Stamp::parse(&kept.response)?;
            let stamped = match &self.0.authority.roots {
                Some(roots) => stamp.verify(own, roots)?,
                None => stamp.check(own)?,
            };
            return Ok((latest, stamped, false));
        }
        let runtime = runtime()?;
        let mut work = Work::new(self.0, directory.to_owned(), None)?;
        let stamped = runtime.block_on(work.stamp(&latest));
        runtime.shutdown_background();
        stamped.map(|stamped| (latest, stamped, true))
    }
}

/// Stamps checkpoints in the background. Dropping it ends the thread after the request that is running,
/// without a last stamp.
#[derive(Debug)]
pub struct Stamper(Background<Progress>);

impl Stamper {
    fn start(work: Work) -> Result<Self> {
        let (shared, runtime) = (work.shared.clone(), runtime()?);
        let started = Background::spawn("auditx-stamp", shared, move || {
            work.run(&runtime);
            // Does not wait for a host name that is still being resolved.
            runtime.shutdown_background();
        });
        started.map(Self).map_err(|error| Error::new(format!("cannot start a thread: {error}")))
    }

    /// Returns how far the stamping is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.0.shared().progress()
    }

    /// Waits until `condition` is true of the progress. Returns `false` if the time is over first.
    pub fn wait_until(&self, timeout: Duration, condition: impl Fn(&Progress) -> bool) -> bool {
        self.0.wait_until(timeout, condition)
    }

    /// Stamps the latest checkpoint, if it was not, and ends. Call it after the logger was closed, which
    /// signs the last one. Waits for a request that is running, then for the last one; each may take five
    /// seconds.
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
