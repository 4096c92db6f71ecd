//! The shipper: copies one trail to one destination, on a thread of its own.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use auditx_store::Cursor;
use tokio::sync::watch;

use crate::archive::Archive;
use crate::archiver::Archiver;
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::progress::{Progress, Shared, State};
use crate::sealed::SealedFeed;
use crate::settings::Settings;
use crate::source::Source;
use crate::timeout::Stop;
use crate::worker::Worker;

/// A running shipper. It runs until it is stopped; dropping it stops it immediately and waits for its thread.
pub struct Shipper {
    stop: watch::Sender<Option<Instant>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// Sets the state to `Ended` when the thread ends, also after a panic.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.change(|progress| progress.state = State::Ended);
    }
}

impl fmt::Debug for Shipper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shipper")
            .field("state", &self.progress().state)
            .field("next", &self.progress().next)
            .finish_non_exhaustive()
    }
}

impl Shipper {
    /// Starts shipping the trail in this directory. If no logger has opened the trail yet, the shipper waits
    /// for it. From now on, no segment is retired that the destination does not hold.
    ///
    /// # Errors
    /// If the cursor cannot be opened or the thread cannot be started.
    pub fn spawn(
        directory: impl Into<PathBuf>,
        destination: impl Destination,
        settings: Settings,
    ) -> Result<Self> {
        let directory = directory.into();
        let cursor = Cursor::of_shipper(&directory, destination.id().as_str()).map_err(Error::new)?;
        let feed = Feed::new(&directory, settings.policy.clone());
        Self::start((feed, Some(cursor)), directory, destination, settings)
    }

    /// Starts archiving the sealed segments of the trail in this directory. From now on, no segment is
    /// retired that the archive does not hold.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub fn spawn_archive(
        directory: impl Into<PathBuf>,
        archive: impl Archive,
        settings: Settings,
    ) -> Result<Self> {
        let directory = directory.into();
        let name = archive.id().as_str().to_owned();
        let cursor = Cursor::of_shipper(&directory, &name).map_err(Error::new)?;
        let feed = SealedFeed::new(directory, settings.policy.clone());
        Self::run(&name, move |stop| Archiver::new(feed, cursor, archive, settings, stop).run())
    }

    /// Starts shipping from a source that is not a trail on this machine. It has no cursor, so retention does
    /// not wait for it. Lines that the destination refuses are stored in `directory`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn relay(
        source: impl Source,
        directory: impl Into<PathBuf>,
        destination: impl Destination,
        settings: Settings,
    ) -> Result<Self> {
        Self::start((source, None), directory.into(), destination, settings)
    }

    fn start(
        source: (impl Source, Option<Cursor>),
        directory: PathBuf,
        destination: impl Destination,
        settings: Settings,
    ) -> Result<Self> {
        let name = destination.id().as_str().to_owned();
        Self::run(&name, move |stop| Worker::new(source, directory, destination, settings, stop).run())
    }

    fn run<F>(name: &str, work: impl FnOnce((Arc<Shared>, Stop)) -> F + Send + 'static) -> Result<Self>
    where
        F: Future<Output = Result<()>>,
    {
        let (stop, stopped) = watch::channel(None);
        let shared = Arc::<Shared>::default();
        let watched = shared.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::new(format!("cannot start a shipper's runtime: {error}")))?;
        let ending = Ending(shared.clone());
        let thread = std::thread::Builder::new()
            .name(format!("auditx-ship-{name}"))
            .spawn(move || {
                let _ending = ending;
                let outcome = runtime.block_on(work((watched, stopped)));
                // Does not wait for a DNS lookup that is still running.
                runtime.shutdown_background();
                outcome
            })
            .map_err(|error| Error::new(format!("cannot start a shipper's thread: {error}")))?;
        Ok(Self { stop, shared, thread: Some(thread) })
    }

    /// Returns the current progress.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.progress()
    }

    /// Waits until the condition holds. Returns false if the shipper ended or the deadline passed first.
    #[must_use]
    pub fn wait_until(&self, deadline: Instant, condition: impl Fn(&Progress) -> bool) -> bool {
        self.shared.wait_until(deadline, condition)
    }

    /// Stops the shipper. A batch that is being sent may finish until the deadline; then the cursor is saved.
    ///
    /// # Errors
    /// `is_diverged` if the shipper had already ended because the destination and the trail hold different
    /// lines.
    pub fn stop(mut self, deadline: Instant) -> Result<()> {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Instant) -> Result<()> {
        self.stop.send_replace(Some(deadline));
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| Err(Error::new("the shipper's thread panicked")))
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        // Callers that need the error call `stop`.
        drop(self.end(Instant::now()));
    }
}
