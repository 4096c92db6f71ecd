//! The shippers of one command: one for each trail and destination.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use auditx_ship::{Settings, Shipper, State, StoredCopy, StoredTrail, TrailId};

use super::Arguments;
use super::metrics;
use super::watch::Watch;
use crate::destination::Engine;
use crate::failure::{Failure, Status};
use crate::metrics_file::MetricsFile;
use crate::runtime::wait_for;
use crate::terminal;

/// How long a shipper may take to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How often a stream is checked for new trails.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10);

/// Like [`DISCOVERY_INTERVAL`], while the stream cannot be reached.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Fleet {
    shippers: Vec<(Watch, Shipper)>,
    discovery: Option<Discovery>,
}

/// Finds the trails of a stream.
struct Discovery {
    stream: Engine,
    to: Vec<Engine>,
    directory: PathBuf,
    settings: Settings,
    known: BTreeSet<TrailId>,
    polled_at: Option<Instant>,
    /// Since when the stream cannot be reached, and the last reported error.
    failing: Option<(Instant, String)>,
}

impl Fleet {
    /// Starts the shippers of a trail of this machine.
    pub(super) fn of_trail(arguments: &Arguments, settings: Settings) -> Result<Self, Failure> {
        let trail = &arguments.trail;
        if arguments.once {
            trail.must_be_there()?;
        }
        let mut shippers = Vec::new();
        for engine in &arguments.to {
            let shipper = engine.spawn(trail.directory(), settings.clone())?;
            shippers.push((Watch::of(engine.id()?.as_str().to_owned(), &settings), shipper));
        }
        Ok(Self { shippers, discovery: None })
    }

    /// Starts to ship every trail of a stream.
    pub(super) fn of_stream(
        arguments: &Arguments,
        stream: Engine,
        settings: Settings,
    ) -> Result<Self, Failure> {
        let discovery = Discovery {
            stream,
            to: arguments.to.clone(),
            directory: arguments.trail.directory().to_path_buf(),
            settings,
            known: BTreeSet::new(),
            polled_at: None,
            failing: None,
        };
        Ok(Self { shippers: Vec::new(), discovery: Some(discovery) })
    }

    /// Reports progress, and gives up shippers that made none within the limit. Returns `false` when the
    /// command is to end.
    ///
    /// With `once`, the command waits for the other shippers. Without it, one shipper that gave up ends the
    /// command, so that its supervisor notices.
    pub(super) fn poll(&mut self, once: bool, limit: Option<Duration>) -> Result<bool, Failure> {
        if let Some(discovery) = &mut self.discovery {
            self.shippers.extend(discovery.poll(limit)?);
        }
        let mut is_finished = match &self.discovery {
            None => true,
            Some(discovery) => once && discovery.failing.is_none(),
        };
        let mut gave_up = false;
        for (watch, shipper) in &mut self.shippers {
            let progress = shipper.progress();
            watch.update(&progress);
            let is_done = progress.state == State::Ended || (once && progress.state == State::CaughtUp);
            if let Some(limit) = limit.filter(|_| !is_done) {
                watch.give_up_after(limit, &progress);
            }
            is_finished &= is_done || watch.gave_up();
            gave_up |= watch.gave_up();
        }
        Ok(!(is_finished || (gave_up && !once)))
    }

    /// Writes the metrics file. A failure is reported and does not stop shipping.
    pub(super) fn write_metrics(&self, file: &mut MetricsFile) {
        let progress: Vec<_> =
            self.shippers.iter().map(|(watch, shipper)| (watch.name(), shipper.progress())).collect();
        if let Err(error) = file.write(&metrics::text_of(&progress)) {
            terminal::print_message(&format!("{error} (will retry)"));
        }
    }

    /// Stops all shippers and prints their progress.
    pub(super) fn end(self) -> Result<Status, Failure> {
        let mut status = Status::Success;
        let gave_up = self.shippers.iter().any(|(watch, _)| watch.gave_up());
        let deadline = Instant::now() + GRACE;
        let mut out = terminal::output();
        for (watch, shipper) in self.shippers {
            let progress = shipper.progress();
            match shipper.stop(deadline) {
                Ok(()) => writeln!(out, "{}", watch.summary(&progress))?,
                Err(error) => {
                    terminal::print_message(&watch.prefixed(&error.to_string()));
                    status = Status::Negative;
                }
            }
            if progress.parked > 0 {
                status = Status::Negative;
            }
        }
        out.flush()?;
        Ok(if gave_up { Status::Error } else { status })
    }
}

impl Discovery {
    /// Starts shippers for new trails of the stream, if a check is due.
    ///
    /// # Errors
    /// Fails if the stream could not be reached for longer than the limit, or a shipper cannot be started.
    fn poll(&mut self, limit: Option<Duration>) -> Result<Vec<(Watch, Shipper)>, Failure> {
        let interval = if self.failing.is_some() { RETRY_INTERVAL } else { DISCOVERY_INTERVAL };
        if self.polled_at.is_some_and(|at| at.elapsed() < interval) {
            return Ok(Vec::new());
        }
        let began = *self.polled_at.insert(Instant::now());
        let trails = match self.trails() {
            Ok(trails) => trails,
            Err(error) => return self.failed(began, &error.to_string(), limit).map(|()| Vec::new()),
        };
        self.failing = None;
        let mut found = Vec::new();
        for stored in trails {
            if !self.known.insert(stored.trail) {
                continue;
            }
            for engine in &self.to {
                // Parked lines are stored by number, which is unique only within a trail.
                let directory = self.directory.join(stored.trail.to_string());
                let shipper = engine.relay(&self.stream, stored.trail, &directory, self.settings.clone())?;
                let name = format!("{} of {}", engine.id()?.as_str(), stored.trail);
                found.push((Watch::of(name, &self.settings), shipper));
            }
        }
        Ok(found)
    }

    /// Lists the trails of the stream. Fails if there is no answer within the timeout.
    fn trails(&self) -> Result<Vec<StoredTrail>, Failure> {
        let timeout = self.settings.timeout;
        let answer = async { Ok::<_, Failure>(self.stream.copy().await?.trails().await?) };
        let timed_out = |_| Err(Failure::new(format!("no answer within {timeout:?}")));
        wait_for(async { tokio::time::timeout(timeout, answer).await.unwrap_or_else(timed_out) })?
    }

    /// Reports why the stream cannot be reached, unless the same error was reported before.
    ///
    /// # Errors
    /// Fails if the stream could not be reached for longer than the limit.
    fn failed(&mut self, began: Instant, why: &str, limit: Option<Duration>) -> Result<(), Failure> {
        let stream = self.stream.id()?;
        let is_reported = self.failing.as_ref().is_some_and(|(_, reported)| reported == why);
        let since = self.failing.take().map_or(began, |(since, _)| since);
        if let Some(limit) = limit.filter(|limit| since.elapsed() >= *limit) {
            return Err(Failure::new(format!(
                "{}: gave up after {limit:?}: cannot list the trails of the stream, last error: {why}",
                stream.as_str()
            )));
        }
        if !is_reported {
            terminal::print_message(&format!("{}: {why} (will retry)", stream.as_str()));
        }
        self.failing = Some((since, why.to_owned()));
        Ok(())
    }
}
