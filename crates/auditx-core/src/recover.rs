//! Opening a trail: find where it ends, hold it against what was signed, repair its tail. May itself be killed at any point
//! and be run again.
//!
//! Comes in: a locked directory. Goes out: what an appender goes on from. It never opens a trail that disagrees with its
//! checkpoint: such a one is evidence.

mod rebuild;
mod replay;
mod stray;
mod survey;
mod tail;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use crate::appender::{Means, Start};
use crate::c2sp::SignatureFault;
use crate::checkpoint::SignedCheckpoint;
use crate::checkpoint_signer::{CHECKPOINT, CheckpointSigner, read_latest};
use crate::control;
use crate::control_record::{ControlRecord, PreviousTrail};
use crate::dir::{Access, Dir};
use crate::error::{Error, Result};
use crate::identity::TrailIdentity;
use crate::key::{KeySource, Signer, StagedKey, VerifierKey};
use crate::segment::{ACTIVE, SealedSegment, first_seq_of, index, sealed_segments};
use crate::tiles::{self, GrowingTree, Tiles};
use crate::tree::CompactRange;

pub(crate) use replay::{Id, Replay, body_of, id_of, is_entry, missing_from};
use tail::Tail;

/// `genesis` and `open`: all that a trail can hold whose first process was killed before its first checkpoint.
const LINES_BEFORE_FIRST_CHECKPOINT: u64 = 2;

const CACHE_WAS_WRONG: &str = "the cache of tree nodes did not agree with the checkpoint; the lines do, and what can be of it is made anew from them";

/// What opening found, and what the trail is to say about it.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) start: Start,
    pub(crate) tree: GrowingTree,
    pub(crate) checkpoint_signer: Arc<CheckpointSigner>,
    pub(crate) records: Vec<ControlRecord>,
    /// What is to be said about it in app.log.
    pub(crate) remark: Option<String>,
    /// Which trail this is.
    pub(crate) trail_id: [u8; 16],
}

/// What the trail is to be, where it does not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct Founding {
    pub(crate) origin: String,
    pub(crate) previous: Option<PreviousTrail>,
}

/// Finds where the trail ends and repairs its tail. The lock must be held.
///
/// # Errors
/// `is_corrupt` where it is not what was signed, `is_signing` where another key signed it.
pub(crate) fn recover(means: &Means, keys: &KeySource, founding: &Founding) -> Result<Recovered> {
    let directory = &means.directory;
    let sealed = sealed_segments(directory)?;
    let latest = read_latest(directory)?;
    // Where nothing else says that there is a trail, a file that does not begin as one is somebody else's.
    if sealed.is_empty() && latest.is_none() && first_seq_of(directory, ACTIVE)?.is_none() {
        found(means, keys, founding)
    } else {
        resume(means, keys, &sealed, latest)
    }
}

/// A trail that has no line yet.
fn found(means: &Means, keys: &KeySource, founding: &Founding) -> Result<Recovered> {
    let directory = &means.directory;
    keys.prepare(directory)?;
    let identity = TrailIdentity::new(&founding.origin);
    let signer = keys.signer(directory)?;
    let key = VerifierKey::new(&identity.log_name(), &signer.public_key())?;
    identity.write(directory, &*means.storage)?;
    tiles::remove(directory)?;
    index::remove_all(directory)?;
    control::remove(directory)?;
    let trail_id = identity.id();
    let mut records = vec![ControlRecord::Genesis {
        trail_id: identity.trail_id,
        origin: identity.origin,
        key: key.to_string(),
        previous: founding.previous.clone(),
    }];
    let mut tail = Tail::read(directory, &[], None, 0)?;
    records.extend(tail.repair(directory, means)?.0);
    let checkpoint_signer =
        CheckpointSigner::new(directory, means.storage.clone(), means.counters.clone(), (signer, key), None)?;
    Ok(Recovered {
        start: start(means, 0, 0)?,
        tree: GrowingTree::open(directory, CompactRange::new(0))?,
        checkpoint_signer: Arc::new(checkpoint_signer),
        records,
        remark: None,
        trail_id,
    })
}

/// A trail that has lines, or should have.
fn resume(
    means: &Means,
    keys: &KeySource,
    sealed: &[SealedSegment],
    latest: Option<SignedCheckpoint>,
) -> Result<Recovered> {
    let directory = &means.directory;
    let identity = TrailIdentity::read(directory)?;
    let (signer, key) = signer(directory, keys, &identity.log_name(), latest.as_ref())?;
    let latest = latest.map(|latest| survey::newest(directory, latest, &key)).transpose()?;
    let signed = latest.as_ref().map_or(0, SignedCheckpoint::size);
    let tiles = Tiles::open(directory);
    let mut tail = Tail::read(directory, sealed, Some(&tiles), signed)?;
    let mut records = Vec::new();
    if tail.next_seq < signed
        && let Some(restoration) = stray::adopt(means, tail.next_seq)?
    {
        records.push(ControlRecord::Restored(restoration));
        tail = Tail::read(directory, sealed, Some(&tiles), signed)?;
    }
    survey::check_segments(directory, sealed, tail.active_first, signed, &tiles)?;
    let next_seq = tail.next_seq;
    let first = sealed.iter().map(|segment| segment.first_seq).chain(tail.active_first).min().unwrap_or(0);
    if latest.is_none() && (first > 0 || next_seq > LINES_BEFORE_FIRST_CHECKPOINT) {
        return Err(Error::corrupt(format!(
            "the trail has {next_seq} lines and no checkpoint, though it was signed from its beginning; \
             bring the file back, or begin anew with `auditx recover --accept-loss`"
        ))
        .at(&directory.join(CHECKPOINT)));
    }
    if next_seq < signed {
        return Err(disagreement(
            format!(
                "the trail ends before line {next_seq}, and its checkpoint names {signed} lines{}",
                stray::hint(directory, next_seq)
            ),
            next_seq,
        )
        .at(&directory.join(ACTIVE)));
    }
    let (frontier, remark) = match &latest {
        None => (CompactRange::new(0), None),
        Some(latest) => {
            let cached = tiles.frontier(signed).filter(|range| range.root().as_ref() == Some(latest.root()));
            match cached.filter(|_| tail.suspect.is_none()) {
                Some(frontier) if first == 0 || survey::is_retired(directory, first, &tiles) => {
                    (frontier, None)
                }
                cached => {
                    let frontier = rebuild::frontier(directory, latest, &tiles)?;
                    let remark = cached.is_none().then(|| CACHE_WAS_WRONG.to_owned());
                    (frontier, remark)
                }
            }
        }
    };
    let (record, first_seq) = tail.repair(directory, means)?;
    records.extend(record);
    let mut tree = GrowingTree::open(directory, frontier)?;
    // What the cache then lacks is made anew when it is missed.
    if tree.extend(&tail.unsigned).is_err() {
        means.counters.tile_failures.add(1);
    }
    let checkpoint_signer = CheckpointSigner::new(
        directory,
        means.storage.clone(),
        means.counters.clone(),
        (signer, key),
        latest,
    )?;
    Ok(Recovered {
        start: start(means, first_seq, next_seq)?,
        tree,
        checkpoint_signer: Arc::new(checkpoint_signer),
        records,
        remark,
        trail_id: identity.id(),
    })
}

/// The signer at hand, which must be the one that signed last.
fn signer(
    directory: &Dir,
    keys: &KeySource,
    log_name: &str,
    latest: Option<&SignedCheckpoint>,
) -> Result<(Arc<dyn Signer>, VerifierKey)> {
    let signer = keys.signer(directory)?;
    let key = VerifierKey::new(log_name, &signer.public_key())?;
    let Some(latest) = latest else { return Ok((signer, key)) };
    let outcome = check_latest(latest, &key);
    if outcome.as_ref().is_err_and(Error::is_signing)
        && matches!(keys, KeySource::Trail)
        && let Some(staged) = StagedKey::left_over(directory)
    {
        // A process died after both keys had signed the boundary, and before the new one was in its place.
        let key = VerifierKey::new(log_name, &staged.key().public_key())?;
        if check_latest(latest, &key).is_ok() {
            let signer = Arc::new(staged.key().clone());
            staged.settle()?;
            return Ok((signer, key));
        }
    }
    outcome.map_err(|error| error.at(&directory.join(CHECKPOINT)))?;
    Ok((signer, key))
}

/// Whether the key at hand signed the latest checkpoint of this very trail.
fn check_latest(latest: &SignedCheckpoint, key: &VerifierKey) -> Result<()> {
    if latest.origin() != key.name() {
        return Err(disagreement(
            format!("the checkpoint is of the log {:?}, and the trail is {:?}", latest.origin(), key.name()),
            0,
        ));
    }
    match latest.verify(std::slice::from_ref(key)) {
        Ok(_) => Ok(()),
        Err(SignatureFault::WrongKey) => Err(Error::signing(format!(
            "another key signed this trail than the one at hand, {key}; a key is replaced with `auditx key rotate`"
        ))),
        Err(fault) => Err(Error::corrupt(format!("the checkpoint is not to be believed: {fault}"))),
    }
}

/// The trail is not what was signed.
fn disagreement(what: String, seq: u64) -> Error {
    Error::corrupt(format!(
        "{what}; `auditx verify` says more, and `auditx recover --accept-loss` begins anew with the old trail set aside"
    ))
    .with_seq(seq)
}

fn start(means: &Means, first_seq: u64, next_seq: u64) -> Result<Start> {
    let Means { directory, storage, .. } = means;
    let failed = |what: &str, error| Error::storage(what, directory.join(ACTIVE), error);
    let file = match storage.open_append(directory, ACTIVE, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => storage.open_append(directory, ACTIVE, true),
        other => other,
    }
    .map_err(|error| failed("cannot open the active segment", error))?;
    // A killed process left lines that are the kernel's but not yet the disk's.
    file.sync_data().map_err(|error| failed("cannot sync the active segment", error))?;
    storage
        .sync_directory(directory)
        .map_err(|error| Error::storage("cannot sync the directory", directory.path(), error))?;
    let metadata = directory
        .open(ACTIVE, Access::READ)
        .and_then(|file| file.metadata())
        .map_err(|error| failed("cannot examine the active segment", error))?;
    let began = metadata.created().unwrap_or_else(|_| SystemTime::now());
    Ok(Start { file, len: metadata.len(), first_seq, next_seq, began })
}
