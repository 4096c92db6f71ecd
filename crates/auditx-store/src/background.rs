//! A background thread with a progress that its owner can read and wait for. The owner ends it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How a thread ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// After it has done the remaining work.
    Soon,
    /// Before any further work.
    Now,
}

/// What a thread and its owner share.
#[derive(Debug)]
pub struct Shared<P> {
    state: Mutex<State<P>>,
    /// Signalled at each change.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State<P> {
    progress: P,
    ending: Option<Ending>,
}

impl<P: Default> Default for Shared<P> {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new() }
    }
}

impl<P> Shared<P> {
    /// Changes the progress, and wakes those who wait for a change.
    pub fn change<T>(&self, change: impl FnOnce(&mut P) -> T) -> T {
        let changed = change(&mut self.locked().progress);
        self.changed.notify_all();
        changed
    }

    /// Returns when the thread is to end; `None` if it is to go on.
    pub fn ending(&self) -> Option<Ending> {
        self.locked().ending
    }

    /// Waits until the thread is to end, at most this long.
    pub fn wait_for_end(&self, timeout: Duration) -> Option<Ending> {
        let waiting = |state: &mut State<P>| state.ending.is_none();
        let waited = self.changed.wait_timeout_while(self.locked(), timeout, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.ending
    }

    fn locked(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Clone> Shared<P> {
    /// Returns the progress.
    pub fn progress(&self) -> P {
        self.locked().progress.clone()
    }
}

/// A thread and its progress. Dropping it ends the thread [now](Ending::Now) and joins it.
#[derive(Debug)]
pub struct Background<P> {
    shared: Arc<Shared<P>>,
    thread: Option<JoinHandle<()>>,
}

impl<P: Send + 'static> Background<P> {
    /// Starts a thread with this name. `work` must look at [`Shared::ending`] from time to time.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn spawn(
        name: &str,
        shared: Arc<Shared<P>>,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl<P> Background<P> {
    /// Returns what it shares with the thread.
    pub fn shared(&self) -> &Shared<P> {
        &self.shared
    }

    /// Waits until `condition` holds for the progress. Returns `false` if the timeout passes first.
    pub fn wait_until(&self, timeout: Duration, condition: impl Fn(&P) -> bool) -> bool {
        let waiting = |state: &mut State<P>| !condition(&state.progress);
        let waited = self.shared.changed.wait_timeout_while(self.shared.locked(), timeout, waiting);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Ends the thread and waits for that.
    pub fn end(&mut self, ending: Ending) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.locked().ending = Some(ending);
        self.shared.changed.notify_all();
        // A thread that panicked has ended too.
        drop(thread.join());
    }
}

impl<P> Drop for Background<P> {
    fn drop(&mut self) {
        self.end(Ending::Now);
    }
}
