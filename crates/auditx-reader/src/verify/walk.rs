//! Reads a whole trail once, and again only if its control records ask for roots that were not requested.

use std::collections::BTreeSet;
use std::path::Path;

use auditx_store::Tiles;
use auditx_tlog::CompactRange;

use super::VerifyOptions;
use super::checkpoints::Checkpoints;
use super::files::SegmentFile;
use super::fold::{Fold, Walked};
use super::leaf_cache::LeafCache;
use super::projection::Projection;
use super::scan::KnownKeys;
use super::timeline::Rotation;
use super::workers::{self, Report, Shared};
use crate::error::Result;

/// The first pass finds what was retired, the second the checkpoints that were recorded long after they were
/// signed.
const MOST_PASSES: usize = 3;

/// The size of the files on disk, in bytes.
pub(super) fn bytes(files: &[SegmentFile]) -> u64 {
    files.iter().map(|file| file.path().symlink_metadata().map_or(0, |metadata| metadata.len())).sum()
}

/// Reads all lines; `None` if a segment was moved away meanwhile. `compared` are the sizes of the trees whose
/// roots are compared with those of checkpoints from outside.
///
/// # Errors
/// `is_storage` if a file cannot be read or no thread can be started.
pub(super) fn walk(
    directory: &Path,
    (options, compared): (&VerifyOptions, &[u64]),
    checkpoints: &Checkpoints,
    files: &[SegmentFile],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Walked>> {
    let leaf_cache = LeafCache::open(directory);
    let signed =
        checkpoints.latest.as_ref().ok().and_then(Option::as_ref).map_or(0, |checkpoint| checkpoint.size());
    let keys = KnownKeys::new(&options.keys);
    let (chunk, stamped) = (options.chunk, options.stamped.as_slice());
    let shared = Shared { files, keys: &keys, leaf_cache: leaf_cache.as_ref(), signed, chunk, stamped };
    let kept = checkpoints.history.iter().map(|note| note.size());
    let mut wanted: BTreeSet<u64> = kept.chain(compared.iter().copied()).chain([signed]).collect();
    let oldest = files.first().and_then(SegmentFile::named);
    // The tile cache, which has the tree of the retired lines, saves a pass: their record comes last.
    let mut begin =
        oldest.filter(|first| *first > 0).and_then(|first| Tiles::open(directory).frontier(first));
    let total = bytes(files);
    let mut pass = 1;
    loop {
        let projection = Projection::open(directory);
        let mut walked =
            once(shared, options.threads, &wanted, (begin.take(), Some(projection)), &mut |done| {
                progress(done.min(total), total)
            })?;
        if walked.is_vanished {
            return Ok(None);
        }
        walked.check_pending_claims();
        if pass == MOST_PASSES || walked.stop.is_some() {
            return Ok(Some(walked));
        }
        let retired = walked.retirement.as_ref().map(|(_, tree)| tree).filter(|_| walked.first > Some(0));
        let is_other = retired.is_some() && walked.begin.as_ref() != retired;
        let asked_for = walked.claims.iter().filter(|claim| claim.is_true.is_none()).map(|claim| claim.size);
        let before = wanted.len();
        wanted.extend(asked_for.filter(|_| !is_other));
        // Both keys sign the boundary of a key change.
        wanted.extend(walked.rotations.iter().map(Rotation::boundary));
        if !is_other && wanted.len() == before {
            return Ok(Some(walked));
        }
        begin = retired.or(walked.begin.as_ref()).cloned();
        pass += 1;
    }
}

/// Reads all lines once, with the roots at these sizes. `progress` is called with the bytes done.
///
/// # Errors
/// `is_storage` if a file cannot be read or no thread can be started.
pub(super) fn once(
    shared: Shared<'_>,
    threads: usize,
    wanted: &BTreeSet<u64>,
    (begin, projection): (Option<CompactRange>, Option<Projection>),
    progress: &mut dyn FnMut(u64),
) -> Result<Walked> {
    let mut fold = Fold::new(shared, wanted.iter().copied(), begin, projection);
    let mut done = 0;
    workers::read(shared, threads, |report| {
        if let Report::Lines(piece) = &report {
            done += piece.bytes;
            progress(done);
        }
        fold.take(report)
    })?;
    let mut walked = fold.finish();
    walked.error.take().map_or(Ok(walked), Err)
}
