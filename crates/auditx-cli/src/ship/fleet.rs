//! The shippers of one call: one for each trail and engine.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use auditx_ship::{Settings, Shipper, State, StoredCopy, TrailId};

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
}

impl Fleet {
    /// One trail of this machine.
    pub(super) fn of_trail(arguments: &Arguments, settings: Settings) -> Result<Self, Failure> {
        let trail = &arguments.trail;
        if arguments.once {
            trail.must_be_there()?;
        }
        // Entries of a process that was killed are shipped too.
        if trail.is_there() {
            trail.bring_in()?;
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
        };
        Ok(Self { shippers: Vec::new(), discovery: Some(discovery) })
    }

    /// Says what is new. Whether there is more to do.
    pub(super) fn look(&mut self, once: bool) -> Result<bool, Failure> {
        if let Some(discovery) = &mut self.discovery {
            match discovery.look() {
                Ok(found) => self.shippers.extend(found),
                Err(error) if once => return Err(error),
                Err(error) => terminal::complain(&format!("{error} (tries again)")),
            }
        }
        let mut is_over = once || self.discovery.is_none();
        for (watch, shipper) in &mut self.shippers {
            let progress = shipper.progress();
            watch.tell(&progress);
            let is_done = once && progress.state == State::CaughtUp;
            is_over &= is_done || progress.state == State::Ended;
        }
        Ok(!is_over)
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
        Ok(status)
    }
}

impl Discovery {
    /// Begins to ship what was not known before, now and then.
    fn look(&mut self) -> Result<Vec<(Watch, Shipper)>, Failure> {
        if self.looked_at.is_some_and(|at| at.elapsed() < DISCOVERY) {
            return Ok(Vec::new());
        }
        self.looked_at = Some(Instant::now());
        let trails = wait_for(async { Ok::<_, Failure>(self.stream.copy().await?.trails().await?) })??;
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
}
