//! Which keys may have signed what: the trail's own account of its keys, and which of them an auditor need believe.
//!
//! Comes in: genesis, changes of keys, pinned keys. Goes out: the keys that were in force at a size, and those that lead
//! back to a pinned one.

use auditx_core::{Hash, SignatureFault, SignedCheckpoint, VerifierKey};

/// A change of keys that the trail records.
#[derive(Debug, Clone)]
pub(super) struct Rotation {
    /// The number of the record's line.
    pub(super) seq: u64,
    pub(super) old: VerifierKey,
    pub(super) new: VerifierKey,
    /// Whether both keys signed the boundary: without that, the old key may have gone on.
    pub(super) is_settled: bool,
}

impl Rotation {
    /// The size of the tree whose checkpoint both keys sign.
    pub(super) fn boundary(&self) -> u64 {
        self.seq + 1
    }

    /// Whether this note is the one that both keys signed at the boundary, whose root is this.
    pub(super) fn is_settled_by(&self, note: &SignedCheckpoint, root: &Hash) -> bool {
        note.size() == self.boundary()
            && note.root() == root
            && [&self.old, &self.new].into_iter().all(|key| is_signer(note, key))
    }
}

/// Whether this key signed the note.
pub(super) fn is_signer(note: &SignedCheckpoint, key: &VerifierKey) -> bool {
    note.verify(std::slice::from_ref(key)).is_ok()
}

/// The keys of a trail in their order.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// Of genesis; where that was retired, the one that the first change of keys ended.
    first: Option<VerifierKey>,
    rotations: Vec<Rotation>,
}

impl Timeline {
    pub(super) fn new(genesis: Option<VerifierKey>, rotations: Vec<Rotation>) -> Self {
        let first = genesis.or_else(|| rotations.first().map(|rotation| rotation.old.clone()));
        Self { first, rotations }
    }

    /// Where the trail says nothing about its keys any more, this one is taken to have signed all that is left.
    pub(super) fn or_first(&mut self, key: &VerifierKey) {
        self.first.get_or_insert_with(|| key.clone());
    }

    /// The keys of which one must have signed a checkpoint of this size; none where nothing is known.
    pub(super) fn in_force(&self, size: u64) -> Vec<VerifierKey> {
        let mut keys = Vec::new();
        for rotation in self.rotations.iter().rev().filter(|rotation| rotation.boundary() <= size) {
            // Changes that did not come about may name a key again.
            if !keys.contains(&rotation.new) {
                keys.push(rotation.new.clone());
            }
            if rotation.is_settled && rotation.boundary() < size {
                return keys;
            }
        }
        keys.extend(self.first.iter().filter(|first| !keys.contains(first)).cloned().collect::<Vec<_>>());
        keys
    }

    /// All keys that were to sign by the first so many lines.
    pub(super) fn up_to(&self, size: u64) -> impl Iterator<Item = &VerifierKey> {
        let rotations = self.rotations.iter().filter(move |rotation| rotation.boundary() <= size);
        self.first.iter().chain(rotations.map(|rotation| &rotation.new))
    }

    /// The pinned keys, and those that were put in their place one after the other, each with the signature of the one
    /// before it.
    pub(super) fn led_to(&self, pinned: &[VerifierKey]) -> Vec<VerifierKey> {
        let mut accepted = pinned.to_vec();
        for Rotation { old, new, is_settled, .. } in &self.rotations {
            if *is_settled && accepted.contains(old) && !accepted.contains(new) {
                accepted.push(new.clone());
            }
        }
        accepted
    }
}

/// Those of the keys that signed the note.
///
/// # Errors
/// Why it is not to be believed.
pub(super) fn signers(
    note: &SignedCheckpoint,
    keys: &[VerifierKey],
) -> Result<Vec<VerifierKey>, SignatureFault> {
    note.verify(keys).map(|keys| keys.into_iter().cloned().collect())
}
