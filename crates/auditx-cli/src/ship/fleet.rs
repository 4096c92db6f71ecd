//! The shippers of one call: one for each trail and engine.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use auditx_ship::{Settings, Shipper, State, StoredCopy, StoredTrail, TrailId};

use super::Arguments;
use super::metrics::MetricsFile;
use super::watch::Watch;
use crate::destination::{Engine, wait_for};
use crate::failure::{Failure, Status};
use crate::terminal;

/// How long what is on its way may take once it is to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Between two looks whether a stream has more trails.
const DISCOVERY: Duration = Duration::from_secs(10);

/// The same while the stream cannot be reached.
const RETRY: Duration = Duration::from_millis(500);

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
    looked_at: Option<Instant>,
    /// Since when the stream cannot be reached, and why, as it was said last.
    failing: Option<(Instant, String)>,
}

impl Fleet {
    /// One trail of this machine.
    pub(super) fn of_trail(arguments: &Arguments, settings: Settings) -> Result<Self, Failure> {
        let trail = &arguments.trail;
        if arguments.once {
            trail.must_be_there()?;
        }
        let mut shippers = Vec::new();
        for engine in &arguments.to {
            let shipper = engine.spawn(trail.directory(), settings)?;
            shippers.push((Watch::of(engine.id()?.as_str().to_owned()), shipper));
        }
        Ok(Self { shippers, discovery: None })
    }

    /// Every trail of a stream.
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
            looked_at: None,
            failing: None,
        };
        Ok(Self { shippers: Vec::new(), discovery: Some(discovery) })
    }

    /// Says what is new, and gives up what got nowhere within the limit. Whether there is more to do.
    ///
    /// With `once` the other shippers are waited for; without it, one that gave up ends them all, so that whoever supervises the
    /// command learns of it.
    pub(super) fn look(&mut self, once: bool, limit: Option<Duration>) -> Result<bool, Failure> {
        if let Some(discovery) = &mut self.discovery {
            self.shippers.extend(discovery.look(limit)?);
        }
        let mut is_over = match &self.discovery {
            None => true,
            Some(discovery) => once && discovery.failing.is_none(),
        };
        let mut has_given_up = false;
        for (watch, shipper) in &mut self.shippers {
            let progress = shipper.progress();
            watch.tell(&progress);
            let is_done = progress.state == State::Ended || (once && progress.state == State::CaughtUp);
            if let Some(limit) = limit.filter(|_| !is_done) {
                watch.give_up_after(limit, &progress);
            }
            is_over &= is_done || watch.has_given_up();
            has_given_up |= watch.has_given_up();
        }
        Ok(!(is_over || (has_given_up && !once)))
    }

    /// Writes how far they are. What is shipped does not wait for a disk that takes no metrics.
    pub(super) fn measure(&self, file: &mut MetricsFile) {
        let progress: Vec<_> =
            self.shippers.iter().map(|(watch, shipper)| (watch.name(), shipper.progress())).collect();
        if let Err(error) = file.write(&progress) {
            terminal::complain(&format!("{error} (tries again)"));
        }
    }

    /// Stops them all, and says how far they came.
    pub(super) fn end(self) -> Result<Status, Failure> {
        let mut status = Status::Found;
        let has_given_up = self.shippers.iter().any(|(watch, _)| watch.has_given_up());
        let deadline = Instant::now() + GRACE;
        let mut out = terminal::output();
        for (watch, shipper) in self.shippers {
            let progress = shipper.progress();
            match shipper.stop(deadline) {
                Ok(()) => writeln!(out, "{}", watch.summary(&progress))?,
                Err(error) => {
                    terminal::complain(&watch.said(&error.to_string()));
                    status = Status::Nothing;
                }
            }
            if progress.parked > 0 {
                status = Status::Nothing;
            }
        }
        out.flush()?;
        Ok(if has_given_up { Status::Error } else { status })
    }
}

impl Discovery {
    /// Begins to ship what was not known before, now and then.
    ///
    /// # Errors
    /// Where the stream could not be reached for longer than the limit, or a shipper cannot be started.
    fn look(&mut self, limit: Option<Duration>) -> Result<Vec<(Watch, Shipper)>, Failure> {
        let interval = if self.failing.is_some() { RETRY } else { DISCOVERY };
        if self.looked_at.is_some_and(|at| at.elapsed() < interval) {
            return Ok(Vec::new());
        }
        let began = *self.looked_at.insert(Instant::now());
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
                // Numbers of lines are those of one trail.
                let directory = self.directory.join(stored.trail.to_string());
                let shipper = engine.relay(&self.stream, stored.trail, &directory, self.settings)?;
                found.push((Watch::of(format!("{} of {}", engine.id()?.as_str(), stored.trail)), shipper));
            }
        }
        Ok(found)
    }

    /// The trails of the stream. It is given up as one that takes too long for one answer is.
    fn trails(&self) -> Result<Vec<StoredTrail>, Failure> {
        let patience = self.settings.patience;
        let answer = async { Ok::<_, Failure>(self.stream.copy().await?.trails().await?) };
        let late = |_| Err(Failure::said(format!("no answer within {patience:?}")));
        wait_for(async { tokio::time::timeout(patience, answer).await.unwrap_or_else(late) })?
    }

    /// Says why the stream cannot be reached, unless that was said before.
    ///
    /// # Errors
    /// Where that is so for longer than the limit.
    fn failed(&mut self, began: Instant, why: &str, limit: Option<Duration>) -> Result<(), Failure> {
        let stream = self.stream.id()?;
        let said = self.failing.as_ref().is_some_and(|(_, said)| said == why);
        let since = self.failing.take().map_or(began, |(since, _)| since);
        if let Some(limit) = limit.filter(|limit| since.elapsed() >= *limit) {
            return Err(Failure::said(format!(
                "{}: gave up after {limit:?} in which the trails of the stream could not be listed, last error: {why}",
                stream.as_str()
            )));
        }
        if !said {
            terminal::complain(&format!("{}: {why} (tries again)", stream.as_str()));
        }
        self.failing = Some((since, why.to_owned()));
        Ok(())
    }
}
