//! Checks that a parent trail recorded the checkpoint of a proof.

use auditx_reader::ParentEntry;
use auditx_tlog::{InclusionProof, Policy, SignedCheckpoint};
use serde::Serialize;

/// The entry of the parent trail.
#[derive(Debug, Serialize)]
pub(super) struct Recorded {
    /// The name of the parent trail.
    pub(super) log: String,
    pub(super) seq: u64,
    /// When it was recorded, according to the parent trail.
    pub(super) at: String,
}

/// Returns the entry that records this checkpoint, from a proof of the parent trail, or why it fails.
pub(super) fn recorded(
    proof: &InclusionProof,
    policy: &Policy,
    checkpoint: &SignedCheckpoint,
) -> Result<Recorded, String> {
    proof.check(policy.logs()).map_err(|fault| format!("the proof of the parent trail: {fault}"))?;
    let (log, seq) = (proof.checkpoint().origin().to_owned(), proof.index());
    let of = |checkpoint: &SignedCheckpoint| (checkpoint.size(), *checkpoint.root());
    match ParentEntry::read(proof.line(), checkpoint.origin()) {
        Some(record) if of(&record.checkpoint) == of(checkpoint) => {
            Ok(Recorded { log, seq, at: record.at.to_string() })
        }
        _ => Err(format!("line {seq} of the parent trail {log} does not record the checkpoint of the proof")),
    }
}
