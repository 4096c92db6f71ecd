//! What happens to sealed segments: an index, compression and retirement on a thread of their own, erasure on request.

mod compress;
mod erase;
mod index;
mod pace;
mod retire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::app_log::AppLog;
use crate::bell::Bell;
use crate::checkpoint_signer::CheckpointSigner;
use crate::config::{Compression, Retention};
use crate::control;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::follow::Progress;
use crate::follow::projection::ProjectionLock;
use crate::journal::{Ring, SharedAppender};
use crate::metrics::Counters;
use crate::segment::{Registry, SealedSegment, sealed_segments};
use crate::storage::Storage;

pub(crate) use index::Indexed;
use index::State;
use retire::Readers;
pub use retire::Retired;

/// nice(2)
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;

/// How often retention looks without having heard of a seal: segments grow old, and followers pass them later.
const ROUND: Duration = Duration::from_secs(60);

/// How often it looks where sealed segments are still to be signed.
const SOON: Duration = Duration::from_secs(1);

/// What is done to sealed segments, by whoever does it: one at a time.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    pub(crate) directory: Dir,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) compression: Compression,
    pub(crate) retention: Retention,
    pub(crate) appender: Arc<SharedAppender>,
    /// What may still hold the text of an entry.
    pub(crate) ring: Option<Arc<Ring>>,
    pub(crate) checkpoint_signer: Arc<CheckpointSigner>,
    pub(crate) followers: Vec<Arc<Progress>>,
    pub(crate) projection: Arc<ProjectionLock>,
    pub(crate) sealed: Arc<Bell>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) app_log: Arc<AppLog>,
    /// Held while a sealed segment is being indexed, replaced or removed.
    pub(crate) busy: Mutex<Indexed>,
}

impl Housekeeping {
    /// Removes the sealed segments that `retention` does not keep and that everybody has read who keeps a cursor.
    pub(crate) fn retire(&self, retention: Retention) -> Result<Retired> {
        let mut indexed = self.occupy();
        self.appender.sign()?;
        self.retire_for(retention, Readers::Everybody, &mut indexed)
    }

    /// The sealed segments whose last line is signed, each with the number after it. Others are still being made durable, and
    /// recovery may want to cut them.
    fn signed_segments(&self) -> Result<Vec<(SealedSegment, u64)>> {
        let sealed = sealed_segments(&self.directory)?;
        let after_last = self.appender.lock().first_seq();
        Ok(signed_of(sealed, after_last, self.checkpoint_signer.size()))
    }

    /// Keeps a copy of the control record in the line with this number where readers find it.
    pub(crate) fn keep_control_record(&self, seq: u64) -> Result<()> {
        let _busy = self.occupy();
        control::keep(&self.directory, &*self.storage, seq)
    }

    fn make_control_records(&self) -> Result<()> {
        let _busy = self.occupy();
        control::make(&self.directory, &*self.storage, &self.checkpoint_signer.key().to_string())
    }

    fn report(&self, what: &str, error: &Error) {
        self.counters.keeping_failures.add(1);
        self.app_log.trouble(&format!("{what}: {error}"));
    }

    fn occupy(&self) -> MutexGuard<'_, Indexed> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it met all there are: others are signed first.
    fn round(&self, stopping: &AtomicBool) -> Result<bool> {
        let mut indexed = self.occupy();
        self.retire_for(self.retention, Readers::Ours, &mut indexed)?;
        let mut takes_indexes = true;
        let are_all_signed = self.checkpoint_signer.size() >= self.appender.lock().first_seq();
        for (segment, _) in self.signed_segments()? {
            if stopping.load(Ordering::SeqCst) {
                break;
            }
            // Before it is compressed: then nothing need be decompressed for it, and a segment that another program altered
            // stays as it is.
            let state = if takes_indexes { self.index(&segment, &mut indexed) } else { State::Refused };
            takes_indexes = state != State::Refused;
            let is_altered = state == State::Altered;
            if self.compression == Compression::Zstd && !segment.compressed && !is_altered {
                compress::compress(&self.directory, &segment.name())?;
                self.counters.compressed.add(1);
            }
        }
        Ok(are_all_signed)
    }
}

/// Those that end before the line `signed`. What was listed and then taken back, to be written anew after an fdatasync that failed, is
/// none of them: the active segment then begins no later than it did, so that it seems to have no line.
fn signed_of(sealed: Vec<SealedSegment>, after_last: u64, signed: u64) -> Vec<(SealedSegment, u64)> {
    let ends: Vec<u64> = sealed.iter().skip(1).map(|next| next.first_seq).chain([after_last]).collect();
    let is_signed = |(segment, end): &(SealedSegment, u64)| segment.first_seq < *end && *end <= signed;
    sealed.into_iter().zip(ends).take_while(is_signed).collect()
}

/// The thread that does it by itself.
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
                Error::storage("cannot start the maintenance's thread", "auditx-maintenance", error)
            })?;
        Ok(Self { housekeeping, stopping, thread: Some(thread) })
    }

    /// Ends the thread after the segment at hand.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.housekeeping.sealed.ring();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.housekeeping.app_log.trouble("the maintenance's thread panicked");
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(housekeeping: &Housekeeping, stopping: &AtomicBool) {
    // Nobody waits for it: the application and the trail come first. On Linux this is the thread's own priority; where it is
    // refused everything goes on as before.
    #[cfg(target_os = "linux")]
    rustix::process::setpriority_process(None, LOWEST_PRIORITY).unwrap_or(());
    let mut has_control_records = false;
    while !stopping.load(Ordering::SeqCst) {
        if !has_control_records {
            let outcome = housekeeping.make_control_records();
            // Only a disk that refuses them now may take them in the next round.
            has_control_records = !outcome.as_ref().is_err_and(Error::is_storage);
            outcome.unwrap_or_else(|error| housekeeping.report("control records", &error));
        }
        let are_all_signed = housekeeping.round(stopping).unwrap_or_else(|error| {
            housekeeping.report("sealed segments", &error);
            true
        });
        let ages = housekeeping.retention != Retention::KeepEverything;
        // Those that a killed process sealed are signed with the first checkpoint, which rings no bell.
        let at_most = if are_all_signed { ages.then_some(ROUND) } else { Some(SOON) };
        housekeeping.sealed.wait(at_most);
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
    fn a_segment_that_was_listed_and_taken_back_is_not_signed() {
        assert_eq!(ends(&[0, 56], 90, 90), [(0, 56), (56, 90)]);
        assert_eq!(ends(&[0, 56], 90, 89), [(0, 56)]);
        assert_eq!(ends(&[0], 0, 2), [], "the active segment holds its lines anew");
        assert_eq!(ends(&[0, 56], 56, 60), [(0, 56)]);
    }
}
