//! Recovery: opening a trail finds its end, compares it with the latest checkpoint, and repairs its tail. The
//! process may be killed at any point of it; recovery then runs again.
//!
//! The caller holds the lock. The result is what an appender continues from. A trail that disagrees with its
//! checkpoint is not opened, because it is evidence.

mod rebuild;
mod replay;
mod stray;
mod survey;
mod tail;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use auditx_format::control_record::{ControlRecord, PreviousTrail};
use auditx_format::{Error, Result};
use auditx_tlog::{CompactRange, SignatureFault, SignedCheckpoint, Signer, VerifierKey};

use crate::appender::Start;
use crate::checkpoint_signer::{CHECKPOINT, CheckpointSigner, read_latest};
use crate::control;
use crate::dir::{Access, Dir};
use crate::identity::TrailIdentity;
use crate::key_source::{KeySource, StagedKey};
use crate::segment::{ACTIVE, SealedSegment, first_seq_of, index, sealed_segments};
use crate::tiles::{self, GrowingTree, Tiles};
use crate::trail::Trail;

pub(crate) use replay::{Replay, is_entry, missing_from, unreleased};
use tail::Tail;

/// The number of lines, `genesis` and `open`, that a trail can have if its first process was killed before
/// its first checkpoint.
pub const LINES_BEFORE_FIRST_CHECKPOINT: u64 = 2;

pub(crate) const GONE: &str =
    "the files of the trail were moved, removed or replaced by another program; move them back";

const CACHE_WAS_WRONG: &str = "the tile cache did not match the checkpoint, but the lines do; \
                               the cache was rebuilt from them as far as possible";

/// The result of recovery.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) start: Start,
    pub(crate) tree: GrowingTree,
    pub(crate) checkpoint_signer: Arc<CheckpointSigner>,
    pub(crate) records: Vec<ControlRecord>,
    /// A message for app.log.
    pub(crate) remark: Option<String>,
    /// The id of the trail.
    pub(crate) trail_id: [u8; 16],
}

/// The properties of a trail that does not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct NewTrail {
    pub(crate) origin: String,
    pub(crate) previous: Option<PreviousTrail>,
}

/// Finds the end of the trail and repairs its tail. The lock must be held. If there is no trail, creates
/// `new_trail`, or fails if that is `None`.
///
/// # Errors
/// `is_corrupt` if the trail is not what was signed; `is_signing` if another key signed it.
pub(crate) fn recover(trail: &Trail, new_trail: Option<&NewTrail>) -> Result<Recovered> {
    let directory = &trail.directory;
    let sealed = sealed_segments(directory)?;
    let latest = read_latest(directory)?;
    // Without any other sign of a trail, a file that does not begin like a segment is not one.
    if !sealed.is_empty() || latest.is_some() || first_seq_of(directory, ACTIVE)?.is_some() {
        return resume(trail, &sealed, latest);
    }
    match new_trail {
        Some(new_trail) => create(trail, new_trail),
        None => Err(Error::corrupt(GONE).at(directory.path())),
    }
}

/// Creates a trail that has no lines yet.
fn create(trail: &Trail, new_trail: &NewTrail) -> Result<Recovered> {
    let directory = &trail.directory;
    let keys = &trail.config.signing_key;
    keys.prepare(directory)?;
    let identity = TrailIdentity::new(&new_trail.origin);
    let signer = keys.signer(directory)?;
    let key = VerifierKey::new(&identity.log_name(), &signer.public_key())?;
    identity.write(directory, &*trail.storage)?;
    tiles::remove(directory)?;
    index::remove_all(directory)?;
    control::remove(directory)?;
    let trail_id = identity.id();
    let mut records = vec![ControlRecord::Genesis {
        trail_id: identity.trail_id,
        origin: identity.origin,
        key: key.to_string(),
        previous: new_trail.previous.clone(),
    }];
    let mut tail = Tail::read(directory, &[], None, 0)?;
    records.extend(tail.repair(trail)?.0);
    let checkpoint_signer =
        CheckpointSigner::new(directory, trail.storage.clone(), trail.counters.clone(), (signer, key), None)?;
    Ok(Recovered {
        start: start(trail, 0, 0)?,
        tree: GrowingTree::open(directory, CompactRange::new(0))?,
        checkpoint_signer: Arc::new(checkpoint_signer),
        records,
        remark: None,
        trail_id,
    })
}

/// Opens a trail that has lines, or should have.
fn resume(trail: &Trail, sealed: &[SealedSegment], latest: Option<SignedCheckpoint>) -> Result<Recovered> {
    let directory = &trail.directory;
    let identity = TrailIdentity::read(directory)?;
    let (signer, key) = signer(directory, &trail.config.signing_key, &identity.log_name(), latest.as_ref())?;
    let latest = latest.map(|latest| survey::newest(directory, latest, &key)).transpose()?;
    let signed = latest.as_ref().map_or(0, SignedCheckpoint::size);
    let tiles = Tiles::open(directory);
    let mut tail = Tail::read(directory, sealed, Some(&tiles), signed)?;
    let mut records = Vec::new();
    if tail.next_seq < signed
        && let Some(restoration) = stray::adopt(trail, tail.next_seq)?
    {
        records.push(ControlRecord::Restored(restoration));
        tail = Tail::read(directory, sealed, Some(&tiles), signed)?;
    }
    survey::check_segments(directory, sealed, tail.active_first, signed, &tiles)?;
    let next_seq = tail.next_seq;
    let first = sealed.iter().map(|segment| segment.first_seq).chain(tail.active_first).min().unwrap_or(0);
    if latest.is_none() && (first > 0 || next_seq > LINES_BEFORE_FIRST_CHECKPOINT) {
        return Err(Error::corrupt(format!(
            "the trail has {next_seq} lines but no checkpoint, although every trail is signed from its \
             beginning; restore the file, or start a new trail with `auditx recover --accept-loss`"
        ))
        .at(&directory.join(CHECKPOINT)));
    }
    if next_seq < signed {
        return Err(disagreement(
            format!(
                "the trail ends before line {next_seq}, but its checkpoint covers {signed} lines{}",
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
    let (record, first_seq) = tail.repair(trail)?;
    records.extend(record);
    let mut tree = GrowingTree::open(directory, frontier)?;
    // Nodes that the cache then lacks are rebuilt when they are needed.
    if tree.extend(&tail.unsigned).is_err() {
        trail.counters.tile_failures.add(1);
    }
    let checkpoint_signer = CheckpointSigner::new(
        directory,
        trail.storage.clone(),
        trail.counters.clone(),
        (signer, key),
        latest,
    )?;
    Ok(Recovered {
        start: start(trail, first_seq, next_seq)?,
        tree,
        checkpoint_signer: Arc::new(checkpoint_signer),
        records,
        remark,
        trail_id: identity.id(),
    })
}

/// Returns the configured signer, which must have signed the latest checkpoint.
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
        && let Some(staged) = StagedKey::find(directory)?
    {
        // A process died after both keys had signed the boundary, and before the new key was installed.
        let key = VerifierKey::new(log_name, &staged.key().public_key())?;
        if check_latest(latest, &key).is_ok() {
            let signer = Arc::new(staged.key().clone());
            staged.install()?;
            return Ok((signer, key));
        }
    }
    outcome.map_err(|error| error.at(&directory.join(CHECKPOINT)))?;
    Ok((signer, key))
}

/// Checks that `key` signed the latest checkpoint, and that it belongs to this trail.
pub(crate) fn check_latest(latest: &SignedCheckpoint, key: &VerifierKey) -> Result<()> {
    if latest.origin() != key.name() {
        return Err(disagreement(
            format!("the checkpoint belongs to log {:?}, but the trail is {:?}", latest.origin(), key.name()),
            0,
        ));
    }
    match latest.verify(std::slice::from_ref(key)) {
        Ok(_) => Ok(()),
        Err(SignatureFault::WrongKey) => Err(Error::signing(format!(
            "the trail was signed with another key than the configured one, {key}; \
             to replace a key, use `auditx key rotate`"
        ))),
        Err(fault) => Err(Error::corrupt(format!("the checkpoint is not valid: {fault}"))),
    }
}

/// Returns the error for a trail that is not what was signed.
fn disagreement(what: String, seq: u64) -> Error {
    Error::corrupt(format!(
        "{what}; `auditx verify` shows details, and `auditx recover --accept-loss` \
         moves the trail aside and starts a new one"
    ))
    .with_seq(seq)
}

fn start(trail: &Trail, first_seq: u64, next_seq: u64) -> Result<Start> {
    let Trail { directory, storage, .. } = trail;
    let failed = |what: &str, error| Error::storage(what, directory.join(ACTIVE), error);
    let file = match storage.open_append(directory, ACTIVE, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => storage.open_append(directory, ACTIVE, true),
        other => other,
    }
    .map_err(|error| failed("cannot open the active segment", error))?;
    // A killed process may have left lines in the page cache that are not durable yet.
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
