//! Who signed the latest checkpoint, and whether that is somebody to believe.
//!
//! Comes in: the notes, the trail's own account of its keys, and the keys that an auditor pinned. Goes out: a [`Trust`], or
//! what is wrong with the signature.

use auditx_core::{SignatureFault, SignedCheckpoint, VerifierKey};

use super::Case;
use super::fault::{Fault, FaultKind};
use super::fold::Walked;
use super::timeline::{Rotation, Timeline, signers};
use super::verification::Signatory;
use crate::error::{Error, Result};

/// Whose word counts.
#[derive(Debug, Default)]
pub(super) struct Trust {
    pub(super) timeline: Timeline,
    /// The keys that may sign the latest checkpoint.
    accepted: Vec<VerifierKey>,
    /// How many lines that one speaks of.
    signed: u64,
    pub(super) signatories: Vec<Signatory>,
    /// What is wrong with the signature.
    pub(super) fault: Option<Fault>,
    /// That the key was no longer to sign, by what the lines say.
    pub(super) outdated: Option<Fault>,
}

impl Trust {
    /// # Errors
    /// `is_invalid` where two pinned keys cannot be told apart.
    pub(super) fn of(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Result<Self> {
        let pinned = &case.options.keys;
        let genesis = case.walked.genesis.as_ref().and_then(|(_, key)| key.clone());
        let timeline = Timeline::new(genesis, settled(case, checkpoint));
        let accepted = match pinned.as_slice() {
            [] => timeline.in_force(checkpoint.size()),
            pinned => timeline.led_to(pinned),
        };
        let mut trust = Self { timeline, accepted, signed: checkpoint.size(), ..Self::default() };
        match signers(checkpoint, &trust.accepted) {
            Ok(signers) => trust.believe(&signers, !pinned.is_empty()),
            Err(SignatureFault::WrongKey) if trust.accepted.is_empty() => {}
            Err(SignatureFault::AmbiguousKey) if !pinned.is_empty() => {
                let what = "two of the pinned keys have the same name and id: pin one of them";
                return Err(Error::invalid(what, case.directory));
            }
            Err(fault) => {
                let kind = match fault {
                    SignatureFault::BadSignature => FaultKind::BadSignature,
                    _ => FaultKind::WrongKey,
                };
                trust.fault =
                    Some(Fault::new(kind, format!("the checkpoint is not to be believed: {fault}")));
            }
        }
        Ok(trust)
    }

    fn believe(&mut self, signers: &[VerifierKey], is_pinned: bool) {
        if let [first, ..] = signers {
            self.timeline.or_first(first);
        }
        let in_force = self.timeline.in_force(self.signed);
        if !signers.iter().any(|key| in_force.contains(key)) {
            let message = "the checkpoint is signed with a key that the trail had replaced by then";
            self.outdated = Some(Fault::new(FaultKind::WrongKey, message));
        }
        let signatory = |key: &VerifierKey| Signatory { key: key.to_string(), is_pinned };
        self.signatories = signers.iter().map(signatory).collect();
    }

    /// Whether a later checkpoint is signed by one of the keys that may sign the latest.
    pub(super) fn may_sign(&self, later: &SignedCheckpoint) -> bool {
        later.verify(&self.accepted).is_ok()
    }

    /// All keys that sign for this trail or did so once, by lines that are signed themselves.
    pub(super) fn keys(&self) -> Vec<VerifierKey> {
        let mut keys = self.accepted.clone();
        for key in self.timeline.up_to(self.signed) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys
    }
}

/// The changes of keys, and which of them both keys signed.
fn settled(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Vec<Rotation> {
    let Walked { roots, claims, rotations, .. } = case.walked;
    let mut rotations = rotations.clone();
    for rotation in &mut rotations {
        let boundary = rotation.boundary();
        let is_noted = roots.get(&boundary).is_some_and(|root| {
            let mut notes = case.notes.history.iter().chain([checkpoint]);
            notes.any(|note| rotation.is_settled_by(note, root))
        });
        let is_recorded = || {
            let mut claims =
                claims.iter().filter(|claim| claim.size == boundary && claim.is_true == Some(true));
            claims.any(|claim| {
                [&rotation.old, &rotation.new].into_iter().all(|key| case.walked.is_signer(claim, key))
            })
        };
        rotation.is_settled = is_noted || is_recorded();
    }
    rotations
}
