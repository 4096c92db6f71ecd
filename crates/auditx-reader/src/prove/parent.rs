//! Proves a line by a checkpoint that a parent trail recorded.

use std::path::Path;

use auditx_store::Tiles;
use auditx_tlog::InclusionProof;

use super::{Prover, prove, recorded_signer, signed_line};
use crate::error::{Error, Result};
use crate::verify::ParentEntry;

/// Proves a line under the first checkpoint that covers it and that the parent trail recorded, and proves
/// that the parent trail contains the entry with that checkpoint. Returns both proofs.
///
/// Costs the same as [`prove`] for both trails, and reading the parent trail up to that entry.
///
/// # Errors
/// `is_missing` if the parent trail has no such entry, or has not signed it yet; otherwise as [`prove`].
pub fn prove_with_parent(
    directory: &Path,
    seq: u64,
    parent: &Path,
) -> Result<(InclusionProof, InclusionProof)> {
    let latest = Prover::open(directory)?;
    latest.ensure_signed(seq)?;
    let line = signed_line(directory, seq)?;
    let mut naming = None;
    for record in ParentEntry::all(parent, latest.checkpoint.origin())? {
        let record = record?;
        if record.checkpoint.size() > seq && recorded_signer(directory, &record.checkpoint).is_ok() {
            naming = Some(record);
            break;
        }
    }
    let Some(record) = naming else {
        let message = format!("the parent trail records no checkpoint that covers line {seq}");
        return Err(Error::missing(message, parent));
    };
    let prover = Prover { checkpoint: record.checkpoint, tiles: Tiles::open(directory), ..latest };
    let proof = prover.prove_at(seq, line.bytes(), || (line.path(), line.offset()))?;
    Ok((proof, prove(parent, record.seq)?))
}
