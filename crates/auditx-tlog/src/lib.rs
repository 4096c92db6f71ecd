//! The transparency log of an audit trail: a Merkle tree over its lines (RFC 6962), signed checkpoints, keys,
//! and proofs that anyone can check with a public key (C2SP tlog-checkpoint, signed-note, tlog-proof).
//!
//! ```
//! use auditx_tlog::{CompactRange, InclusionProof, Signer, SigningKey};
//! use auditx_tlog::{SignedCheckpoint, VerifierKey, leaf_hash};
//!
//! let (log, line) = ("erp.example.com/auditx/1", br#"{"seq":0,"description":"Invoice posted"}"#);
//! let mut tree = CompactRange::new(0);
//! tree.push(leaf_hash(line));
//! let key = SigningKey::generate();
//! let root = tree.root().expect("a tree that begins with the first line has a root");
//! let checkpoint = SignedCheckpoint::sign(log, 1, &root, &[&key])?;
//!
//! let proof = InclusionProof::make(line, 0, checkpoint, &mut |_| Ok::<_, auditx_tlog::Error>(Vec::new()))?;
//! let text = proof.to_string();           // anywhere else, with nothing but the text and the public key:
//! let verifier = VerifierKey::new(log, &key.public_key())?;
//! InclusionProof::parse(text.as_bytes())?.check(&[verifier])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate computes. It opens no file and no connection.

mod error;
mod tree;
mod leaf;
mod vkey;
mod key;
mod note;
mod cosignature;
mod checkpoint;
mod proof;
mod policy;
mod submission;

pub use checkpoint::{SignedCheckpoint, log_name};
pub use cosignature::WitnessKey;
pub use error::{Error, Result, SignerError};
pub use key::{Signer, SigningKey, VerifierKey};
pub use leaf::{LONGEST_SEQ, Leaf, MAX_LINE, SEQ_PREFIX, erased_hash, erased_line, leaf_of, parse_seq};
pub use note::SignatureFault;
pub use policy::{Missing, Policy, Witness};
pub use proof::{ConsistencyProof, InclusionProof, ProofFault};
pub use submission::Submission;
pub use tree::{
    CompactRange, Hash, NodeIndex, ReadNodes, hash_from_hex, is_consistent, is_included, leaf_hash,
    leaf_hashes, node_hash, node_hashes, prove_consistency, prove_inclusion, root_of, to_hex,
};
pub use vkey::is_key_name;
