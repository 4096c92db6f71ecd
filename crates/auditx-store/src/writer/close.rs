//! Closes a trail: as its writer, or as one of the processes that record into it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use auditx_format::{Error, Result};

use super::{Running, Shared, Writer};
use crate::journal::Ring;
use crate::kill_point::kill_point;

impl Writer {
    /// Closes the trail: writes the `close` record, makes all lines durable, signs them, waits for the
    /// followers, and releases the lock. Closing a closed trail does nothing.
    ///
    /// If other processes have the trail open, one of them writes it from then on. If another process writes
    /// it, this only waits until the entries of this process are durable.
    ///
    /// # Errors
    /// - `is_timed_out` if the entries are not durable within `timeout`.
    /// - `is_storage` if a write or an fdatasync failed.
    /// - `is_signing` if the last checkpoint could not be signed. The next open signs the remaining lines.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        // ORDERING: one of several callers closes; Relaxed would do.
        if self.shared.is_closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner).take();
        if std::process::id() != self.process {
            // A forked child has neither the threads nor the locks, and must not release them.
            std::mem::forget((peers, self.shared.take_running()));
            return Ok(());
        }
        let deadline = Instant::now() + timeout;
        let Some(ring) = self.journal.ring() else { return self.shared.close_writer(None, Ok(0), deadline) };
        let end = ring.leave(deadline);
        let mut outcome = Ok(());
        if self.shared.writing.get().is_none() {
            let watermark = &self.shared.trail.watermark;
            outcome = end.as_ref().map_or(Ok(()), |end| watermark.wait_durable(*end, Some(deadline)));
        }
        if let Some(peers) = &mut peers {
            peers.stop();
        }
        if self.shared.writing.get().is_some() {
            return self.shared.close_writer(Some(ring), end, deadline);
        }
        ring.give_up_slot(end.is_ok());
        // Nobody here repeats any more what the writer publishes: no receipt may wait for it.
        self.shared.trail.watermark.poison(&Error::closed());
        outcome.and(end.map(drop))
    }
}

impl Shared {
    fn take_running(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends the writing. `end` is a position after every entry of this process.
    fn close_writer(&self, ring: Option<&Ring>, end: Result<u64>, deadline: Instant) -> Result<()> {
        let (Some(mut running), Some(writing)) = (self.take_running(), self.writing.get()) else {
            return Ok(());
        };
        // Maintenance stops first, so that a segment is either retired before the `close` record or kept.
        running.maintenance.stop();
        let is_quiet = end.is_ok();
        let mut is_alone = true;
        let written = match ring {
            None => Ok(()),
            Some(ring) if ring.is_alone() => ring.wait_until_written(ring.close_queue(), deadline),
            Some(ring) => {
                let written = end.and_then(|end| ring.wait_until_written(end, deadline));
                // What other processes record waits for the next writer, after the `close` record.
                is_alone = false;
                if let Some(drain) = &mut running.drain {
                    drain.stop();
                }
                written
            }
        };
        let closed = match written {
            Ok(()) => writing.appender.close(),
            Err(error) => {
                writing.appender.abandon();
                Err(error)
            }
        };
        kill_point("close: recorded");
        let watermark = &self.trail.watermark;
        let durable = watermark.wait_durable_lines(watermark.written(), Some(deadline));
        // The others must not wait for followers of this process: those of the next writer continue.
        writing.followers.close(if is_alone { deadline } else { Instant::now() });
        let signed = running.committer.stop();
        if let Some(drain) = &mut running.drain {
            drain.stop();
        }
        kill_point("close: signed");
        // The slot first: whoever gets the lock finds whether it is alone.
        if let Some(ring) = ring {
            ring.give_up_slot(is_quiet);
        }
        running.lock.lock().unwrap_or_else(PoisonError::into_inner).release();
        kill_point("close: released");
        if let Some(ring) = ring {
            ring.queue().tell_all();
        }
        closed.and(durable).and(signed)
    }
}
