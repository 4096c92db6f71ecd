//! Check of inclusion and consistency proofs.

use std::slice;

use auditx_tlog::{ConsistencyProof, InclusionProof, ProofFault};

use crate::log::{CheckpointSigner, consistency_text, inclusion_text, path_of};

const ORIGIN: &str = "erp.example.com/auditx/9f0c";

/// Checks that a parsed proof prints as the same bytes. Also signs its checkpoints with a known key, so that
/// its sizes and hashes are examined, and checks that the proof is accepted or refused only for these.
///
/// # Panics
/// If one of this is violated.
pub fn proof(bytes: &[u8]) {
    if let Ok(proof) = InclusionProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
        inclusion(&proof);
    }
    if let Ok(proof) = ConsistencyProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
        consistency(&proof);
    }
}

fn inclusion(proof: &InclusionProof) {
    let checkpoint_signer = CheckpointSigner::published(ORIGIN);
    let note = checkpoint_signer.note(proof.checkpoint().size(), proof.checkpoint().root());
    let text = inclusion_text(proof.line(), proof.index(), &path_of(proof), &note);
    let resigned = InclusionProof::parse(text.as_bytes()).expect("a proof with another signature parses");
    match resigned.check(slice::from_ref(checkpoint_signer.verifier())) {
        Ok(()) => assert!(proof.index() < proof.checkpoint().size()),
        Err(fault) => assert!(matches!(fault, ProofFault::WrongIndex | ProofFault::WrongPath), "{fault}"),
    }
}

fn consistency(proof: &ConsistencyProof) {
    let checkpoint_signer = CheckpointSigner::published(ORIGIN);
    let [older, newer] =
        [proof.older(), proof.newer()].map(|head| checkpoint_signer.note(head.size(), head.root()));
    let text = consistency_text(&path_of(proof), &older, &newer);
    let resigned = ConsistencyProof::parse(text.as_bytes()).expect("a proof with other signatures parses");
    match resigned.check(slice::from_ref(checkpoint_signer.verifier())) {
        Ok(()) => assert!(proof.older().size() <= proof.newer().size()),
        Err(fault) => assert_eq!(fault, ProofFault::WrongPath),
    }
}
