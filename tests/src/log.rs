//! A log in memory: lines, all nodes of their Merkle tree, and a signing key.
//!
//! The library signs only trails that it has written; this log signs anything that a test needs.

use std::fmt::Display;

use auditx_core::{Result, Signer as _, SigningKey, VerifierKey};
use auditx_tlog::{
    ConsistencyProof, Hash, InclusionProof, NodeIndex, SignedCheckpoint, leaf_hash, node_hash,
};
use base64::prelude::{BASE64_STANDARD, Engine as _};

/// The hashes of all leaves and complete subtrees, by level.
#[derive(Debug)]
pub struct Nodes(Vec<Vec<Hash>>);

impl Nodes {
    /// Computes the nodes over these leaves.
    #[must_use]
    pub fn over(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
            levels.push(above);
        }
        Self(levels)
    }

    /// Returns the hashes of these nodes.
    ///
    /// # Errors
    /// Never; the signature is the one that proofs require.
    ///
    /// # Panics
    /// If a subtree is not complete.
    pub fn read(&self, wanted: &[NodeIndex]) -> Result<Vec<Hash>> {
        let hash_of = |(level, number): &NodeIndex| {
            let number = usize::try_from(*number).expect("the tree is in memory");
            *self.0[usize::from(*level)].get(number).expect("proofs consist of complete subtrees")
        };
        Ok(wanted.iter().map(hash_of).collect())
    }
}

/// A signing key and the origin that it signs for.
#[derive(Debug)]
pub struct CheckpointSigner {
    key: SigningKey,
    verifier: VerifierKey,
}

impl CheckpointSigner {
    /// Returns `None` if the origin is not a valid key name.
    #[must_use]
    pub fn named(key: SigningKey, origin: &str) -> Option<Self> {
        let verifier = VerifierKey::new(origin, &key.public_key()).ok()?;
        Some(Self { key, verifier })
    }

    /// Uses the published key of RFC 8410, section 10.3, so that results are reproducible.
    ///
    /// # Panics
    /// If the origin is not a valid key name.
    #[must_use]
    pub fn published(origin: &str) -> Self {
        let key = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
        let key = SigningKey::from_pem(key).expect("the published key is valid");
        Self::named(key, origin).expect("the origin is a valid key name")
    }

    /// Returns the key that verifies the signatures.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a message.
    ///
    /// # Panics
    /// Never: signing with a key in memory does not fail.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).expect("signing with a key in memory does not fail")
    }

    /// Returns a signed note of a tree head. The size may be any text, so that it can be invalid.
    #[must_use]
    pub fn note(&self, size: impl Display, root: &Hash) -> String {
        let origin = self.verifier.name();
        let head = format!("{origin}\n{size}\n{}\n", BASE64_STANDARD.encode(root));
        let signature = [&self.verifier.id().to_be_bytes()[..], &self.sign(head.as_bytes())].concat();
        format!("{head}\n— {origin} {}\n", BASE64_STANDARD.encode(signature))
    }

    /// Returns a signed checkpoint.
    ///
    /// # Panics
    /// If the library does not parse the note.
    #[must_use]
    pub fn checkpoint(&self, size: u64, root: &Hash) -> SignedCheckpoint {
        SignedCheckpoint::parse(self.note(size, root).as_bytes()).expect("the note parses")
    }
}

/// Returns the hashes in a proof's text.
///
/// # Panics
/// If the text has no checkpoint, or one of the lines is not a hash.
#[must_use]
pub fn path_of(proof: &impl Display) -> Vec<Hash> {
    let text = proof.to_string();
    let (head, _) = text.split_once("\n\n").expect("a proof has a checkpoint");
    let header = if head.contains("\nindex ") { 3 } else { 1 };
    let hash_of = |line| -> Hash {
        let bytes = BASE64_STANDARD.decode(line).expect("a hash is in base64");
        bytes.try_into().expect("a hash has 32 bytes")
    };
    head.lines().skip(header).map(hash_of).collect()
}

/// Returns the text of an inclusion proof with arbitrary parts, which may contradict each other.
#[must_use]
pub fn inclusion_text(line: &[u8], index: u64, path: &[Hash], note: &str) -> String {
    let line = BASE64_STANDARD.encode(line);
    format!("c2sp.org/tlog-proof@v1\nextra {line}\nindex {index}\n{}\n{note}", path_text(path))
}

/// Returns the text of a consistency proof with arbitrary parts.
#[must_use]
pub fn consistency_text(path: &[Hash], older: &str, newer: &str) -> String {
    format!("auditx/consistency-proof@v1\n{}\n{older}\n{newer}", path_text(path))
}

fn path_text(path: &[Hash]) -> String {
    path.iter().map(|hash| BASE64_STANDARD.encode(hash) + "\n").collect()
}

/// A log in memory.
#[derive(Debug)]
pub struct Log {
    /// The lines, without newlines.
    pub lines: Vec<Vec<u8>>,
    /// The signer of its tree heads.
    pub checkpoint_signer: CheckpointSigner,
    nodes: Nodes,
}

impl Log {
    /// Creates a log of these lines with a new key.
    ///
    /// # Panics
    /// Never: its origin is a valid key name.
    #[must_use]
    pub fn of(lines: Vec<Vec<u8>>) -> Self {
        let nodes = Nodes::over(lines.iter().map(|line| leaf_hash(line)).collect());
        let checkpoint_signer =
            CheckpointSigner::named(SigningKey::generate(), "erp.example.com/auditx/9f0c")
                .expect("the origin is a valid key name");
        Self { lines, checkpoint_signer, nodes }
    }

    /// Returns the inclusion proof of a line. The root comes from another implementation, so that both must
    /// agree.
    ///
    /// # Panics
    /// If the library does not create the proof.
    #[must_use]
    pub fn inclusion(&self, index: u64, size: u64, root: &Hash) -> InclusionProof {
        let line = &self.lines[usize::try_from(index).expect("the log is in memory")];
        let checkpoint = self.checkpoint_signer.checkpoint(size, root);
        InclusionProof::make(line, index, checkpoint, &mut |wanted| self.nodes.read(wanted))
            .unwrap_or_else(|error| panic!("line {index} of {size}: {error}"))
    }

    /// Returns the consistency proof between two sizes with their roots.
    ///
    /// # Panics
    /// If the library does not create the proof.
    #[must_use]
    pub fn consistency(&self, older: (u64, &Hash), newer: (u64, &Hash)) -> ConsistencyProof {
        let [checkpoint, later] =
            [older, newer].map(|(size, root)| self.checkpoint_signer.checkpoint(size, root));
        ConsistencyProof::make(checkpoint, later, &mut |wanted| self.nodes.read(wanted))
            .unwrap_or_else(|error| panic!("from {} to {}: {error}", older.0, newer.0))
    }
}
