//! Maintenance of sealed segments: an index, compression and retirement on a thread of its own, erasure on
//! request.
//!
//! The thread sleeps on a `Bell`. To stop it, the flag is stored before the notification: either the thread
//! loads it at the top of its loop, or the bell is set when it goes to sleep, and it does not sleep.

mod compress;
mod erase;
mod index;
mod pace;
mod retire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use auditx_format::{Error, Result};

use crate::checkpoint_signer::CheckpointSigner;
use crate::config::{Compression, Retention};
use crate::control;
use crate::follow::Progress;
use crate::journal::{Ring, SharedAppender};
use crate::segment::{SealedSegment, sealed_segments};
use crate::trail::Trail;

pub(crate) use index::Indexed;
use index::State;
pub(crate) use pace::Pace;
use retire::Readers;
pub use retire::Retired;

/// How often retention is checked if no segment was sealed: segments grow old, and followers pass them later.
const ROUND: Duration = Duration::from_secs(60);

/// How often it is checked while sealed segments are still to be signed.
const SOON: Duration = Duration::from_secs(1);

/// The work on sealed segments, one task at a time, whichever thread does it.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    pub(crate) trail: Arc<Trail>,
    pub(crate) appender: Arc<SharedAppender>,
    /// May still hold the text of an entry.
    pub(crate) ring: Option<Arc<Ring>>,
    pub(crate) checkpoint_signer: Arc<CheckpointSigner>,
    pub(crate) followers: Vec<Arc<Progress>>,
    /// Held while a sealed segment is indexed, replaced or removed.
    pub(crate) busy: Mutex<Indexed>,
    pub(crate) pace: Pace,
}

impl Housekeeping {
    /// Removes the sealed segments that `retention` does not keep and that every owner of a cursor has read.
    pub(crate) fn retire(&self, retention: Retention) -> Result<Retired> {
        let mut indexed = self.lock();
        self.appender.sign()?;
        self.retire_for(retention, Readers::All, &mut indexed)
    }

    /// Returns the sealed segments whose last line is signed, each with the seq after it. Others are still
    /// being made durable, and recovery may truncate them.
    fn signed_segments(&self) -> Result<Vec<(SealedSegment, u64)>> {
        let sealed = sealed_segments(&self.trail.directory)?;
        let after_last = self.appender.lock().first_seq();
        Ok(signed_of(sealed, after_last, self.checkpoint_signer.size()))
    }

    /// Copies the control record with this seq to where readers find it.
    pub(crate) fn keep_control_record(&self, seq: u64) -> Result<()> {
        let _busy = self.lock();
        control::store(&self.trail.directory, &*self.trail.storage, seq)
    }

    fn make_control_records(&self) -> Result<()> {
        let _busy = self.lock();
        control::repair(&self.trail.directory, &*self.trail.storage, &self.checkpoint_signer.key())
    }

    fn report(&self, what: &str, error: &Error) {
        self.trail.counters.maintenance_failures.add(1);
        self.trail.app_log.report(&format!("{what}: {error}"));
    }

    fn lock(&self) -> MutexGuard<'_, Indexed> {
        let _hurry = self.pace.hurry();
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Processes the signed segments. Returns whether these are all sealed ones; if not, the others must be
    /// signed first.
    fn round(&self, stopping: &AtomicBool) -> Result<bool> {
        let mut indexed = self.lock();
        self.retire_for(self.trail.config.retention, Readers::Required, &mut indexed)?;
        let mut takes_indexes = true;
        let are_all_signed = self.checkpoint_signer.size() >= self.appender.lock().first_seq();
        let segments = self.signed_segments()?;
        let waiting = segments.iter().filter(|(segment, _)| self.waits(segment, &indexed)).count() as u64;
        let seals = &self.trail.counters.seals;
        let (mut done, sealed_before) = (0, seals.read());
        for (segment, _) in segments {
            // ORDERING: see `Maintenance::stop`; seen at the latest at the top of the thread's loop.
            if stopping.load(Ordering::SeqCst) {
                break;
            }
            if !self.waits(&segment, &indexed) {
                continue;
            }
            self.pace.set_segments_waiting(waiting - done + (seals.read() - sealed_before));
            done += 1;
            // Indexed before it is compressed: then nothing is decompressed for it, and a segment that
            // another program altered stays as it is.
            let state = if takes_indexes { self.index(&segment, &mut indexed) } else { State::Refused };
            takes_indexes = state != State::Refused;
            if self.is_to_be_compressed(&segment) && state != State::Altered {
                compress::compress(&self.trail.directory, &segment.name(), &self.pace)?;
                self.trail.counters.compressed.add(1);
            }
        }
        Ok(are_all_signed)
    }

    /// Whether there is something to do for a segment.
    fn waits(&self, segment: &SealedSegment, indexed: &Indexed) -> bool {
        match indexed.state(segment) {
            Some(State::Altered) => false,
            Some(State::Indexed) => self.is_to_be_compressed(segment),
            Some(State::Refused) | None => true,
        }
    }

    fn is_to_be_compressed(&self, segment: &SealedSegment) -> bool {
        self.trail.config.compression == Compression::Zstd && !segment.compressed
    }
}

/// Returns the segments that end before the line `signed`.
///
/// A segment may have been listed and then rolled back after a failed fdatasync, to be written again. It is
/// left out: the active segment then begins no later than it did, so that it seems to have no line.
fn signed_of(sealed: Vec<SealedSegment>, after_last: u64, signed: u64) -> Vec<(SealedSegment, u64)> {
    let ends: Vec<u64> = sealed.iter().skip(1).map(|next| next.first_seq).chain([after_last]).collect();
    let is_signed = |(segment, end): &(SealedSegment, u64)| segment.first_seq < *end && *end <= signed;
    sealed.into_iter().zip(ends).take_while(is_signed).collect()
}

/// The maintenance thread.
#[derive(Debug)]
pub(crate) struct Maintenance {
    housekeeping: Arc<Housekeeping>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    pub(crate) fn start(housekeeping: Arc<Housekeeping>) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("auditx-maintenance".to_owned())
            .spawn({
                let (housekeeping, stopping) = (housekeeping.clone(), stopping.clone());
                move || run(&housekeeping, &stopping)
            })
            .map_err(|error| {
                Error::storage("cannot start the maintenance thread", "auditx-maintenance", error)
            })?;
        Ok(Self { housekeeping, stopping, thread: Some(thread) })
    }

    /// Ends the thread after the segment it works on.
    pub(crate) fn stop(&mut self) {
        // ORDERING: the bell's mutex publishes it; Relaxed would do.
        self.stopping.store(true, Ordering::SeqCst);
        self.housekeeping.trail.sealed.notify();
        let _hurry = self.housekeeping.pace.hurry();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.housekeeping.trail.app_log.report("the maintenance thread panicked");
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(housekeeping: &Housekeeping, stopping: &AtomicBool) {
    let mut has_control_records = false;
    // ORDERING: see `Maintenance::stop`.
    while !stopping.load(Ordering::SeqCst) {
        if !has_control_records {
            let outcome = housekeeping.make_control_records();
            // Only after a storage error is it worth trying again in the next round.
            has_control_records = !outcome.as_ref().is_err_and(Error::is_storage);
            outcome.unwrap_or_else(|error| housekeeping.report("control records", &error));
        }
        let are_all_signed = housekeeping.round(stopping).unwrap_or_else(|error| {
            housekeeping.report("sealed segments", &error);
            true
        });
        let ages = housekeeping.trail.config.retention != Retention::KeepEverything;
        // Segments that a killed process sealed are signed with the first checkpoint, which does not notify.
        let at_most = if are_all_signed { ages.then_some(ROUND) } else { Some(SOON) };
        housekeeping.trail.sealed.wait(at_most);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn ends(first_seqs: &[u64], after_last: u64, signed: u64) -> Vec<(u64, u64)> {
        let sealed = first_seqs
            .iter()
            .map(|first_seq| SealedSegment { first_seq: *first_seq, compressed: false, path: PathBuf::new() })
            .collect();
        signed_of(sealed, after_last, signed).iter().map(|(segment, end)| (segment.first_seq, *end)).collect()
    }

    #[test]
    fn a_listed_segment_that_was_rolled_back_is_not_signed() {
        assert_eq!(ends(&[0, 56], 90, 90), [(0, 56), (56, 90)]);
        assert_eq!(ends(&[0, 56], 90, 89), [(0, 56)]);
        assert_eq!(ends(&[0], 0, 2), [], "the active segment holds its lines again");
        assert_eq!(ends(&[0, 56], 56, 60), [(0, 56)]);
    }
}
