//! The watermark in a process that does not write the trail.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use auditx_format::Error;

use super::Watermark;
use crate::reach::Reach;

/// The process that writes the trail, seen from one that does not.
pub(crate) trait RemoteWriter: std::fmt::Debug + Send + Sync {
    /// Asks for an fdatasync of every entry before `position`.
    fn want_durable(&self, position: u64);
}

impl Watermark {
    /// Follows another process that writes the trail.
    pub(crate) fn follow(&self, remote: Weak<dyn RemoteWriter>) {
        drop(self.remote.set(remote));
        // ORDERING: no other thread uses it yet.
        self.is_remote.store(true, Ordering::SeqCst);
    }

    /// This process writes the trail from now on.
    pub(crate) fn lead(&self) {
        // ORDERING: a caller that still sees the old value asks through the ring, which this process then
        // answers itself.
        self.is_remote.store(false, Ordering::SeqCst);
        // What the last writer could not do, this one may.
        self.lock().poison = None;
    }

    /// Undoes `lead`.
    pub(crate) fn follow_again(&self) {
        // ORDERING: as in `lead`; without a process that was joined there is none to ask.
        self.is_remote.store(self.remote.get().is_some(), Ordering::SeqCst);
    }

    pub(super) fn remote_writer(&self) -> Option<Arc<dyn RemoteWriter>> {
        // ORDERING: see `lead`.
        self.remote.get().filter(|_| self.is_remote.load(Ordering::SeqCst))?.upgrade()
    }

    /// Repeats what another process has published. `poison` says why nothing becomes durable any more.
    pub(crate) fn mirror(&self, written: Reach, durable: Reach, poison: Option<Error>) {
        // ORDERING: as in `publish_written`; nobody waits for these.
        self.written.fetch_max(written.lines, Ordering::SeqCst);
        self.written_position.fetch_max(written.position, Ordering::SeqCst);
        if durable.position > self.durable_position() || durable.lines > self.durable() {
            self.publish_durable(durable);
        }
        match poison {
            Some(error) => {
                self.lock().is_poison_remote = true;
                self.poison(&error);
            }
            None => {
                let mut waiters = self.lock();
                if std::mem::take(&mut waiters.is_poison_remote) {
                    waiters.poison = None;
                }
            }
        }
    }
}
