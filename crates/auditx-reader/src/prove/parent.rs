//! Proves a line by a checkpoint that a parent trail recorded.

use std::path::Path;

use auditx_store::Tiles;
use auditx_tlog::InclusionProof;

use super::{Prover, prove, recorded_signer, signed_line};
use crate::error::{Error, Result};
use crate::verify::ParentEntry;

/// Proves that the trail contains the line with this number, under the first checkpoint that its parent trail
/// recorded and that names the line; and that the parent trail contains that record. Returns both proofs.
///
/// Costs the same as [`prove`] for both trails, and reading the parent trail up to the record.
///
/// # Errors
/// `is_missing` if the parent trail has no such record yet, or it is not signed yet; otherwise as [`prove`].
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
        let message = format!("no checkpoint that names line {seq} is recorded in the parent trail");
        return Err(Error::missing(message, parent));
    };
    let prover = Prover { checkpoint: record.checkpoint, tiles: Tiles::open(directory), ..latest };
    let proof = prover.prove_at(seq, line.bytes(), || (line.path(), line.offset()))?;
    Ok((proof, prove(parent, record.seq)?))
}
