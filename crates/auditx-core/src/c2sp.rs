//! Signed notes, tree heads and tree proofs as C2SP and RFC 6962 have them: the one place that knows `signed_note` and
//! `tlog_tiles`.
//!
//! Comes in: texts and hashes. Goes out: our own types. Where those crates are lenient, this is strict: what is accepted is
//! exactly what would be written, and signatures are checked by our own verifier.

use std::cell::RefCell;

use signed_note::{Note, NoteError, Signature, VerificationError, Verifier, Verifiers};
use tlog_tiles::{Error as TreeError, Hash as TreeHash, HashReader};

use crate::error::{Error, Result};
use crate::tree::Hash;

/// No note of ours comes near this.
const MAX_NOTE: usize = 64 * 1024;

/// `tlog_tiles` numbers all nodes of a tree, about twice as many as leaves, and panics where 64 bits do not hold that.
const MOST_LINES: u64 = 1 << 62;

/// The algorithm byte of Ed25519 in keys.
pub(crate) const ED25519: u8 = 1;

/// A key as notes know it.
pub(crate) trait NoteKey {
    fn name(&self) -> &str;
    fn id(&self) -> u32;
    fn is_signature(&self, message: &[u8], signature: &[u8; 64]) -> bool;
}

/// A tree head and the signatures under it, none of which has been checked.
#[derive(Debug)]
pub(crate) struct ParsedNote {
    note: Note,
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// Why a note is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureFault {
    /// None of the keys signed it.
    WrongKey,
    /// A signature that claims to be of one of the keys is not.
    BadSignature,
    /// Two of the keys have the same name and id.
    AmbiguousKey,
}

impl std::fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WrongKey => "none of the given keys signed it",
            Self::BadSignature => "its signature is not that of its key",
            Self::AmbiguousKey => "two of the given keys have the same name and id",
        })
    }
}

impl std::error::Error for SignatureFault {}

impl ParsedNote {
    /// Reads a note whose text is a tree head without extension lines.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let malformed = |what: &str| Error::corrupt(format!("this is no signed checkpoint: {what}"));
        if bytes.len() > MAX_NOTE {
            return Err(malformed("it is too long"));
        }
        let note = Note::from_bytes(bytes).map_err(|_| malformed("it is no signed note"))?;
        let head = tlog_tiles::Checkpoint::from_bytes(note.text())
            .map_err(|_| malformed("its text is no tree head of origin, size and root"))?;
        if !head.extension().is_empty() {
            return Err(malformed("lines follow its root"));
        }
        if head.size() > MOST_LINES {
            return Err(malformed("it speaks of more lines than a trail can have"));
        }
        if head.to_bytes() != note.text() || note.to_bytes() != bytes {
            return Err(malformed("it is not spelled as it would be written"));
        }
        Ok(Self { origin: head.origin().to_owned(), size: head.size(), root: head.hash().0, note })
    }

    /// The keys that signed it.
    pub(crate) fn verify<'k, K: NoteKey>(&self, keys: &'k [K]) -> Result<Vec<&'k K>, SignatureFault> {
        let verifiers: Vec<Strict<'_, K>> = keys.iter().map(Strict).collect();
        let (signed, _) = self.note.verify(&Known(&verifiers)).map_err(|error| match error {
            NoteError::InvalidSignature { .. } => SignatureFault::BadSignature,
            NoteError::VerificationError(VerificationError::AmbiguousKey { .. }) => {
                SignatureFault::AmbiguousKey
            }
            _ => SignatureFault::WrongKey,
        })?;
        let is_signer = |key: &&K| {
            signed.iter().any(|signature| signature.name() == key.name() && signature.id() == key.id())
        };
        Ok(keys.iter().filter(is_signer).collect())
    }
}

struct Known<'k, K>(&'k [Strict<'k, K>]);

impl<K: NoteKey> Verifiers for Known<'_, K> {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        let mut found = self.0.iter().filter(|Strict(key)| key.name() == name && key.id() == id);
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(VerificationError::UnknownKey { name: name.to_owned(), id }),
            (Some(_), Some(_)) => Err(VerificationError::AmbiguousKey { name: name.to_owned(), id }),
        }
    }
}

/// Our verifier in the place of theirs, which takes more signatures than it should.
struct Strict<'k, K>(&'k K);

impl<K: NoteKey> Verifier for Strict<'_, K> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn key_id(&self) -> u32 {
        self.0.id()
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.try_into().is_ok_and(|signature| self.0.is_signature(message, signature))
    }
}

/// The text that is signed.
pub(crate) fn tree_head(origin: &str, size: u64, root: &Hash) -> Result<Vec<u8>> {
    tlog_tiles::Checkpoint::new(origin, size, TreeHash(*root), "")
        .map(|head| head.to_bytes())
        .map_err(|_| Error::invalid("a checkpoint needs the name of its log"))
}

/// A text and its signatures.
pub(crate) fn signed<K: NoteKey>(text: &[u8], signatures: &[(&K, [u8; 64])]) -> Result<Vec<u8>> {
    let refused = |_| Error::invalid("a note cannot be made of this text and these keys");
    let signatures: Vec<Signature> = signatures
        .iter()
        .map(|(key, signature)| Signature::new(key.name().to_owned(), key.id(), signature.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(refused)?;
    Ok(Note::new(text, &signatures).map_err(refused)?.to_bytes())
}

/// Whether a key may have this name: no white space, no plus, not empty.
pub(crate) fn is_key_name(name: &str) -> bool {
    signed_note::is_key_name_valid(name) && !name.chars().any(char::is_control)
}

/// The first four bytes of SHA-256(name ‖ `\n` ‖ algorithm ‖ public key).
pub(crate) fn key_id(name: &str, public: &[u8; 32]) -> u32 {
    signed_note::key_id(name, &[&[ED25519], public.as_slice()].concat())
}

/// A node of the tree: its level, 0 for leaves, and its place in the level.
pub type NodeIndex = (u8, u64);

/// The audit path of a leaf (RFC 6962, section 2.1.1), from the leaf's sibling to the root's child. `read` is asked once
/// for all the hashes it takes.
pub(crate) fn prove_inclusion(
    size: u64,
    index: u64,
    read: &mut dyn FnMut(&[NodeIndex]) -> Result<Vec<Hash>>,
) -> Result<Vec<Hash>> {
    if index >= size {
        return Err(Error::invalid(format!("line {index} is not among the {size} lines of the checkpoint")));
    }
    let nodes = Nodes::new(read);
    nodes.outcome(tlog_tiles::prove_record(size, index, &nodes))
}

/// Whether the path leads from this leaf at this index to the root.
pub(crate) fn is_included(path: &[Hash], size: u64, root: &Hash, index: u64, leaf: &Hash) -> bool {
    index < size
        && tlog_tiles::check_record(&hashes_of(path), size, TreeHash(*root), index, TreeHash(*leaf)).is_ok()
}

/// The proof that a tree of `old` leaves is a prefix of one of `size` (RFC 6962, section 2.1.2).
pub(crate) fn prove_consistency(
    old: u64,
    size: u64,
    read: &mut dyn FnMut(&[NodeIndex]) -> Result<Vec<Hash>>,
) -> Result<Vec<Hash>> {
    if old == 0 || old > size {
        return Err(Error::invalid(format!("a tree of {old} lines is no earlier state of one of {size}")));
    }
    let nodes = Nodes::new(read);
    nodes.outcome(tlog_tiles::prove_tree(size, old, &nodes))
}

/// Whether the path shows the older tree to be a prefix of the newer one.
pub(crate) fn is_consistent(path: &[Hash], old: (u64, &Hash), new: (u64, &Hash)) -> bool {
    let ((old_size, old_root), (size, root)) = (old, new);
    (1..=size).contains(&old_size)
        && tlog_tiles::check_tree(&hashes_of(path), size, TreeHash(*root), old_size, TreeHash(*old_root))
            .is_ok()
}

fn hashes_of(path: &[Hash]) -> Vec<TreeHash> {
    path.iter().copied().map(TreeHash).collect()
}

type Read<'r> = &'r mut dyn FnMut(&[NodeIndex]) -> Result<Vec<Hash>>;

/// Our way to read nodes, as `tlog_tiles` asks for them; keeps our error, for which it has no room.
struct Nodes<'r>(RefCell<(Read<'r>, Option<Error>)>);

impl<'r> Nodes<'r> {
    fn new(read: Read<'r>) -> Self {
        Self(RefCell::new((read, None)))
    }

    fn outcome(&self, proof: Result<Vec<TreeHash>, TreeError>) -> Result<Vec<Hash>> {
        proof.map(|hashes| hashes.into_iter().map(|hash| hash.0).collect()).map_err(|_| {
            let ours = self.0.borrow_mut().1.take();
            ours.unwrap_or_else(|| Error::corrupt("the nodes of the tree are not all there"))
        })
    }
}

impl HashReader for Nodes<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TreeHash>, TreeError> {
        let indexes: Vec<NodeIndex> =
            indexes.iter().map(|index| tlog_tiles::split_stored_hash_index(*index)).collect();
        let (read, fault) = &mut *self.0.borrow_mut();
        match read(&indexes) {
            Ok(hashes) if hashes.len() == indexes.len() => Ok(hashes_of(&hashes)),
            Ok(_) => Err(TreeError::IndexesNotInTree),
            Err(error) => {
                *fault = Some(error);
                Err(TreeError::IndexesNotInTree)
            }
        }
    }
}
