//! What a writer recorded and signed while the trail was being read: the end of the trail, read once more.
//!
//! A line may be erased after the checkpoint was read and before its segment was. Whatever excuses its stub was signed
//! before the stub was there, and is found at the end of the trail by now.

use std::collections::BTreeSet;

use auditx_core::{Hash, SignedCheckpoint};

use super::Case;
use super::files;
use super::notes::Notes;
use super::scan::KnownKeys;
use super::trust::Trust;
use super::walk;
use super::workers::Shared;
use crate::error::Result;

/// The lines erased by records that are signed by now, and their hashes. None where nothing was signed meanwhile, or not so
/// that it could be followed from here.
///
/// # Errors
/// `is_storage` where the trail cannot be read.
pub(super) fn erasures(
    case: &Case<'_>,
    checkpoint: &SignedCheckpoint,
    trust: &Trust,
) -> Result<Vec<(u64, Hash)>> {
    let nothing = Ok(Vec::new());
    let notes = Notes::read(case.directory)?;
    let (Some(tree), Ok(Some(newer))) = (&case.walked.before_last, &notes.checkpoint) else { return nothing };
    if newer.size() <= checkpoint.size() || !trust.may_sign(newer) {
        return nothing;
    }
    let files = files::list(case.directory)?;
    let is_next = |file: &files::SegmentFile| file.named.or_else(|| file.first_seq()) == Some(tree.end());
    let Some(begin) = files.iter().position(is_next) else { return nothing };
    let keys = KnownKeys::new(&case.options.keys);
    let (files, stretch) = (&files[begin..], case.options.stretch);
    let shared = Shared { files, keys: &keys, row: None, signed: 0, stretch };
    let wanted = BTreeSet::from([newer.size()]);
    let walked = walk::once(shared, case.options.threads, &wanted, (Some(tree.clone()), None), &mut |_| {})?;
    if walked.stop.is_some() || walked.roots.get(&newer.size()) != Some(newer.root()) {
        return nothing;
    }
    let signed = walked.erasures.into_iter().filter(|(at, seq, _)| at > seq && *at < newer.size());
    Ok(signed.map(|(_, seq, hash)| (seq, hash)).collect())
}
