//! The keys of a trail over time: which key was in force at a size, and which keys a pinned key leads to.
//!
//! The history is the trail's own account: the key of `genesis` and the recorded key changes. A key change
//! counts as completed only if both keys signed the checkpoint at its boundary.

use auditx_tlog::{Hash, SignatureFault, SignedCheckpoint, VerifierKey};

/// A key change that the trail records.
#[derive(Debug, Clone)]
pub(super) struct Rotation {
    /// The line of the record.
    pub(super) seq: u64,
    pub(super) old: VerifierKey,
    pub(super) new: VerifierKey,
    /// Whether both keys signed the boundary. If not, the old key may still be in use.
    pub(super) is_completed: bool,
}

impl Rotation {
    /// The tree size whose checkpoint both keys sign.
    pub(super) fn boundary(&self) -> u64 {
        self.seq + 1
    }

    /// Whether this is the boundary checkpoint, with this root, signed with both keys.
    pub(super) fn is_completed_by(&self, note: &SignedCheckpoint, root: &Hash) -> bool {
        note.size() == self.boundary()
            && note.root() == root
            && [&self.old, &self.new].into_iter().all(|key| is_signer(note, key))
    }
}

/// Whether this key signed the checkpoint.
pub(super) fn is_signer(note: &SignedCheckpoint, key: &VerifierKey) -> bool {
    note.verify(std::slice::from_ref(key)).is_ok()
}

/// The keys of a trail in order.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// The key of `genesis`; if that was retired, the old key of the first recorded change.
    first: Option<VerifierKey>,
    rotations: Vec<Rotation>,
}

impl Timeline {
    pub(super) fn new(genesis: Option<VerifierKey>, rotations: Vec<Rotation>) -> Self {
        let first = genesis.or_else(|| rotations.first().map(|rotation| rotation.old.clone()));
        Self { first, rotations }
    }

    /// Sets the first key if the trail no longer names one: this key is assumed to have signed all lines that
    /// are left.
    pub(super) fn or_first(&mut self, key: &VerifierKey) {
        self.first.get_or_insert_with(|| key.clone());
    }

    /// The keys of which one must have signed a checkpoint of this size; empty if none is known.
    pub(super) fn in_force(&self, size: u64) -> Vec<VerifierKey> {
        let mut keys = Vec::new();
        for rotation in self.rotations.iter().rev().filter(|rotation| rotation.boundary() <= size) {
            // Several uncompleted changes may name the same key.
            if !keys.contains(&rotation.new) {
                keys.push(rotation.new.clone());
            }
            if rotation.is_completed && rotation.boundary() < size {
                return keys;
            }
        }
        keys.extend(self.first.iter().filter(|first| !keys.contains(first)).cloned().collect::<Vec<_>>());
        keys
    }

    /// All keys that the first `size` lines name as signing keys.
    pub(super) fn up_to(&self, size: u64) -> impl Iterator<Item = &VerifierKey> {
        let rotations = self.rotations.iter().filter(move |rotation| rotation.boundary() <= size);
        self.first.iter().chain(rotations.map(|rotation| &rotation.new))
    }

    /// The pinned keys and their successors, each of which was introduced with the signature of its
    /// predecessor.
    pub(super) fn led_to(&self, pinned: &[VerifierKey]) -> Vec<VerifierKey> {
        let mut accepted = pinned.to_vec();
        for Rotation { old, new, is_completed, .. } in &self.rotations {
            if *is_completed && accepted.contains(old) && !accepted.contains(new) {
                accepted.push(new.clone());
            }
        }
        accepted
    }
}

/// Returns those of the keys that signed the checkpoint.
///
/// # Errors
/// The reason why the checkpoint cannot be trusted.
pub(super) fn signers(
    note: &SignedCheckpoint,
    keys: &[VerifierKey],
) -> Result<Vec<VerifierKey>, SignatureFault> {
    note.verify(keys).map(|keys| keys.into_iter().cloned().collect())
}
