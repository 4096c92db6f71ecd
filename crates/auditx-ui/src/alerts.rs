//! Alerts: follows the trail, and posts to a webhook when new entries match a saved query.
//!
//! Each alert has a thread, so that a webhook that does not answer delays no other alert. The trail is the
//! queue: the thread keeps counts and the first few lines in memory, and its cursor stays at the first entry
//! that was not posted until the post was accepted and recorded. After a crash the same entries are found
//! again, so a post may be repeated, with the same `webhook-id`, but none is lost.

use std::path::Path;
use std::thread::JoinHandle;

use auditx_core::{AuditLogger, Error};
use tokio::sync::watch;

use crate::alert_watch::AlertWatch;
use crate::saved::SavedQueries;
use crate::source::Source;

/// The alerts of saved queries, not started yet.
///
/// An alert needs no page: an application may send alerts without a dashboard. Webhooks with `https` need the
/// feature `tls`.
///
/// ```
/// use auditx_core::{AuditLogger, Config};
/// use auditx_ui::{Alerts, SavedQueries};
/// # let directory = tempfile::tempdir()?;
/// # let (log_dir, path) = (directory.path().join("logs"), directory.path().join("queries.json"));
///
/// std::fs::write(&path, r#"[{"name": "Failed logins", "query": "action:LOGIN failed",
///     "alert": {"webhook": "http://127.0.0.1:9000/hook", "at_most_every": "15m"}}]"#)?;
/// let logger = AuditLogger::open(Config::new(log_dir))?;
/// let alerts = Alerts::new(&SavedQueries::read(path)?).start(&logger)?;
/// // Alerts are sent until it is dropped.
/// drop(alerts);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Alerts {
    saved: SavedQueries,
    public_url: String,
    source: Option<Source>,
}

/// Sends alerts until it is dropped.
#[derive(Debug)]
pub struct RunningAlerts {
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Alerts {
    /// Takes the saved queries that have an alert.
    #[must_use]
    pub fn new(saved: &SavedQueries) -> Self {
        Self { saved: saved.clone(), public_url: String::new(), source: None }
    }

    /// Sets the address of the dashboard for those who receive an alert, such as `https://audit.example`:
    /// each post then has a link to the entries. The default is no link.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = url.into();
        self
    }

    /// Follows these trails instead of the one of the logger. Each trail of a family has posts of its own;
    /// one that is created later is followed from the next start.
    #[must_use]
    pub fn source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Starts to follow the trail. Each post, and each that failed, is recorded with this logger. A new alert
    /// begins at the end of the trail; any other continues where it stopped.
    ///
    /// # Errors
    /// `is_locked` if another process sends the alerts of this trail; `is_storage` if a cursor or the trail
    /// cannot be read, or a thread cannot be started; otherwise as [`AuditLogger::trail_dir`].
    pub fn start(self, logger: &AuditLogger) -> Result<RunningAlerts, Error> {
        let source = match self.source {
            Some(source) => source,
            None => Source::directory(logger.trail_dir()?),
        };
        if !source.has_files() {
            let why = "a copy in a database has no alerts: send them from the machine of the trail";
            return Err(Error::invalid(why));
        }
        let members = source.members().map_err(|problem| Error::invalid(problem.detail().to_owned()))?;
        let (stop, stopped) = watch::channel(false);
        let mut running = RunningAlerts { stop, threads: Vec::new() };
        for (query, alert) in self.saved.iter().filter_map(|query| Some((query, query.alert.as_ref()?))) {
            for member in &members {
                let (url, stopped) = (&self.public_url, stopped.clone());
                let watch = AlertWatch::open((query, alert), member, logger, url, stopped)?;
                let thread = std::thread::Builder::new().name("auditx-alert".to_owned());
                let started = thread.spawn(move || watch.run());
                running.threads.push(started.map_err(|error| {
                    let directory = member.directory().unwrap_or(Path::new(""));
                    Error::storage("cannot start the thread of an alert", directory, error)
                })?);
            }
        }
        Ok(running)
    }
}

impl Drop for RunningAlerts {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended too.
            drop(thread.join());
        }
    }
}
