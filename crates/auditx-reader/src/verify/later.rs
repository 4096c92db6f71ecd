//! Finds erasures that were recorded and signed while the trail was being read.
//!
//! A line may be erased after the checkpoint was read and before its segment was. The record of that erasure
//! was signed before the stub was written, so it is now at the end of the trail, which is read once more.

use std::collections::BTreeSet;

use auditx_tlog::{Hash, SignedCheckpoint};

use super::Case;
use super::checkpoints::Checkpoints;
use super::files;
use super::scan::KnownKeys;
use super::trust::Trust;
use super::walk;
use super::workers::Shared;
use crate::error::Result;

/// Returns the lines erased by records that are signed by now, with their hashes. Empty if no newer
/// checkpoint was signed, or if the trail cannot be followed to it from the last segment.
///
/// # Errors
/// `is_storage` if the trail cannot be read.
pub(super) fn erasures(
    case: &Case<'_>,
    checkpoint: &SignedCheckpoint,
    trust: &Trust,
) -> Result<Vec<(u64, Hash)>> {
    let nothing = Ok(Vec::new());
    let checkpoints = Checkpoints::read(case.directory)?;
    let (Some(tree), Ok(Some(newer))) = (&case.walked.before_last, &checkpoints.latest) else {
        return nothing;
    };
    if newer.size() <= checkpoint.size() || !trust.may_sign(newer) {
        return nothing;
    }
    let files = files::list(case.directory)?;
    let is_next = |file: &files::SegmentFile| file.named().or_else(|| file.first_seq()) == Some(tree.end());
    let Some(begin) = files.iter().position(is_next) else { return nothing };
    let keys = KnownKeys::new(&case.options.keys);
    let (files, chunk) = (&files[begin..], case.options.chunk);
    let shared = Shared { files, keys: &keys, leaf_cache: None, signed: 0, chunk, stamped: &[] };
    let wanted = BTreeSet::from([newer.size()]);
    let walked = walk::once(shared, case.options.threads, &wanted, (Some(tree.clone()), None), &mut |_| {})?;
    if walked.stop.is_some() || walked.roots.get(&newer.size()) != Some(newer.root()) {
        return nothing;
    }
    let signed = walked.erasures.into_iter().filter(|(at, seq, _)| at > seq && *at < newer.size());
    Ok(signed.map(|(_, seq, hash)| (seq, hash)).collect())
}
