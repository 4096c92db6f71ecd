//! The ring as a way between processes: what the one that writes the trail publishes, and what the others make
//! of it.

use std::sync::{Arc, PoisonError};

use auditx_format::Error;

use super::{Ring, SharedAppender};
use crate::reach::Reach;
use crate::watermark::RemoteWriter;

/// In the process that writes the trail.
impl Ring {
    /// This process writes the trail from now on.
    pub(crate) fn lead(&self, appender: Arc<SharedAppender>) {
        let _mirroring = self.lock_mirroring();
        *self.appender.write().unwrap_or_else(PoisonError::into_inner) = Some(appender);
        self.watermark().lead();
    }

    /// Undoes `lead`: this process could not write the trail, and another one may try.
    pub(crate) fn follow_again(&self) {
        let _mirroring = self.lock_mirroring();
        *self.appender.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.watermark().follow_again();
    }

    /// Publishes where this process goes on from as the new writer of the trail.
    pub(crate) fn publish_recovered(&self, reach: Reach) {
        self.queue().publish_written(reach);
        self.queue().publish_durable(reach);
        self.queue().tell_all();
    }

    /// Notes that entries before this position were written by the last writer, in lines from this one on.
    ///
    /// As long as one of them is not released, that line stays in the ring: if this process dies as well, the
    /// next writer must look for them from there on.
    pub(crate) fn set_unreleased(&self, end: u64, lines: u64) {
        *self.unreleased.lock().unwrap_or_else(PoisonError::into_inner) = Reach { lines, position: end };
    }

    fn release(&self, reach: Reach) {
        let unreleased = *self.unreleased.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = if reach.position < unreleased.position {
            unreleased.lines.min(reach.lines)
        } else {
            reach.lines
        };
        self.queue().release(reach.position, lines);
    }

    /// Frees the room of what is durable, and tells the other processes.
    pub(crate) fn publish_durable(&self, reach: Reach) {
        self.release(reach);
        self.queue().publish_durable(reach);
        self.queue().tell();
        self.room.notify();
    }

    /// Tells the other processes how far the trail is written, and frees the room of it if that is enough.
    pub(super) fn publish_written(&self, reach: Reach, is_released: bool) {
        self.queue().publish_written(reach);
        if is_released {
            self.release(reach);
            self.queue().tell();
        }
    }
}

/// In a process that does not.
impl Ring {
    /// In a process that does not write the trail: repeats what the writer has published, and wakes who waits
    /// for it.
    pub(crate) fn mirror(&self) {
        let (queue, watermark) = (self.queue(), self.watermark());
        let mirroring = self.lock_mirroring();
        if self.appender().is_some() {
            return;
        }
        let released = queue.released();
        // Of the entries that end after what was released.
        watermark.history.add_mark(released.position + 1, released.lines);
        let poison = queue.is_poisoned().then(|| self.remote_failure());
        watermark.mirror(queue.written(), queue.durable(), poison);
        drop(mirroring);
        self.room.notify();
    }

    pub(super) fn remote_failure(&self) -> Error {
        let what = "the process that writes the trail cannot write any more; its app.log says why";
        Error::storage(what, self.trail.directory.path(), std::io::Error::other("the journal is closed"))
    }
}

impl RemoteWriter for Ring {
    fn want_durable(&self, position: u64) {
        self.queue().want_durable(position);
        self.queue().want_news();
        self.queue().call();
        // What was published before news were wanted was not told.
        self.mirror();
    }
}
