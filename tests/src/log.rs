//! A log in memory, made by hand: lines, every node of their tree, and a key. The library signs only what its own writer
//! wrote; this signs whatever a test needs to have been signed.

use std::fmt::Display;

use auditx_core::{
    ConsistencyProof, Hash, InclusionProof, NodeIndex, Result, SignedCheckpoint, Signer as _, SigningKey,
    VerifierKey, leaf_hash, node_hash,
};
use base64::prelude::{BASE64_STANDARD, Engine as _};

/// Leaves and all complete subtrees above them.
#[derive(Debug)]
pub struct Nodes(Vec<Vec<Hash>>);

impl Nodes {
    /// Those over these leaves.
    #[must_use]
    pub fn over(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
            levels.push(above);
        }
        Self(levels)
    }

    /// As proofs ask for them.
    ///
    /// # Errors
    /// Never: the signature is what proofs want.
    ///
    /// # Panics
    /// Where a proof asks for a subtree that is not complete.
    pub fn read(&self, wanted: &[NodeIndex]) -> Result<Vec<Hash>> {
        let hash_of = |(level, place): &NodeIndex| {
            let place = usize::try_from(*place).expect("a tree in memory has no more nodes");
            *self.0[usize::from(*level)].get(place).expect("proofs are made of complete subtrees")
        };
        Ok(wanted.iter().map(hash_of).collect())
    }
}

/// A key and the name it signs under.
#[derive(Debug)]
pub struct CheckpointSigner {
    key: SigningKey,
    verifier: VerifierKey,
}

impl CheckpointSigner {
    /// None where the origin is no name for a key.
    #[must_use]
    pub fn named(key: SigningKey, origin: &str) -> Option<Self> {
        let verifier = VerifierKey::new(origin, &key.public_key()).ok()?;
        Some(Self { key, verifier })
    }

    /// With the published key of RFC 8410, section 10.3, for what must come out the same each time.
    ///
    /// # Panics
    /// Where the origin is no name for a key.
    #[must_use]
    pub fn published(origin: &str) -> Self {
        let key = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
        let key = SigningKey::from_pem(key).expect("the published key is one");
        Self::named(key, origin).expect("the origin names a key")
    }

    /// What checks its signatures.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signature alone.
    ///
    /// # Panics
    /// Never: a key in memory signs everything.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).expect("a key in memory signs everything")
    }

    /// A tree head in a signed note. The size is any text, so that it can be a wrong one.
    #[must_use]
    pub fn note(&self, size: impl Display, root: &Hash) -> String {
        let origin = self.verifier.name();
        let head = format!("{origin}\n{size}\n{}\n", BASE64_STANDARD.encode(root));
        let signature = [&self.verifier.id().to_be_bytes()[..], &self.sign(head.as_bytes())].concat();
        format!("{head}\n— {origin} {}\n", BASE64_STANDARD.encode(signature))
    }

    /// The same, read.
    ///
    /// # Panics
    /// Where the library does not read it.
    #[must_use]
    pub fn checkpoint(&self, size: u64, root: &Hash) -> SignedCheckpoint {
        SignedCheckpoint::parse(self.note(size, root).as_bytes()).expect("a note made by hand is one")
    }
}

/// The hashes in a proof's text.
///
/// # Panics
/// Where there is none, or something else stands in the place of one.
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

/// The text of a proof with any parts, as the library would never make it.
#[must_use]
pub fn inclusion_text(line: &[u8], index: u64, path: &[Hash], note: &str) -> String {
    let line = BASE64_STANDARD.encode(line);
    format!("c2sp.org/tlog-proof@v1\nextra {line}\nindex {index}\n{}\n{note}", path_text(path))
}

/// The same for a proof of consistency.
#[must_use]
pub fn consistency_text(path: &[Hash], older: &str, newer: &str) -> String {
    format!("auditx/consistency-proof@v1\n{}\n{older}\n{newer}", path_text(path))
}

fn path_text(path: &[Hash]) -> String {
    path.iter().map(|hash| BASE64_STANDARD.encode(hash) + "\n").collect()
}

/// A log.
#[derive(Debug)]
pub struct Log {
    /// Without their newlines.
    pub lines: Vec<Vec<u8>>,
    /// Who signs its heads.
    pub checkpoint_signer: CheckpointSigner,
    nodes: Nodes,
}

impl Log {
    /// Over these lines, with a new key.
    ///
    /// # Panics
    /// Never: its origin names a key.
    #[must_use]
    pub fn of(lines: Vec<Vec<u8>>) -> Self {
        let nodes = Nodes::over(lines.iter().map(|line| leaf_hash(line)).collect());
        let checkpoint_signer =
            CheckpointSigner::named(SigningKey::generate(), "erp.example.com/auditx/9f0c")
                .expect("the origin names a key");
        Self { lines, checkpoint_signer, nodes }
    }

    /// The proof for one of its lines; the root is taken from elsewhere, so that two ways to it must meet.
    ///
    /// # Panics
    /// Where the library does not make it.
    #[must_use]
    pub fn inclusion(&self, index: u64, size: u64, root: &Hash) -> InclusionProof {
        let line = &self.lines[usize::try_from(index).expect("a log in memory has no more lines")];
        let checkpoint = self.checkpoint_signer.checkpoint(size, root);
        InclusionProof::make(line, index, checkpoint, &mut |wanted| self.nodes.read(wanted))
            .unwrap_or_else(|error| panic!("line {index} of {size}: {error}"))
    }

    /// The proof that it only grew, between two sizes with their roots.
    ///
    /// # Panics
    /// Where the library does not make it.
    #[must_use]
    pub fn consistency(&self, older: (u64, &Hash), newer: (u64, &Hash)) -> ConsistencyProof {
        let [checkpoint, later] =
            [older, newer].map(|(size, root)| self.checkpoint_signer.checkpoint(size, root));
        ConsistencyProof::make(checkpoint, later, &mut |wanted| self.nodes.read(wanted))
            .unwrap_or_else(|error| panic!("from {} to {}: {error}", older.0, newer.0))
    }
}
