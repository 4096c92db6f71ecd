//! Checks who signed the latest checkpoint, and whether that key may sign it.
//!
//! Without pinned keys, the keys that may sign are those that the trail itself records.

use auditx_tlog::{SignatureFault, SignedCheckpoint, VerifierKey};

use super::Case;
use super::fault::{Fault, FaultKind};
use super::fold::Walked;
use super::timeline::{Rotation, Timeline, signers};
use super::verification::Signatory;
use crate::error::{Error, Result};

/// The keys that count for a trail.
#[derive(Debug, Default)]
pub(super) struct Trust {
    pub(super) timeline: Timeline,
    /// The keys that may sign the latest checkpoint.
    accepted: Vec<VerifierKey>,
    /// How many lines the latest checkpoint names.
    signed: u64,
    pub(super) signatories: Vec<Signatory>,
    /// The fault of the signature.
    pub(super) fault: Option<Fault>,
    /// The fault that the signing key had been replaced, according to the lines.
    pub(super) outdated: Option<Fault>,
}

impl Trust {
    /// # Errors
    /// `is_invalid` if two pinned keys have the same name and id.
    pub(super) fn of(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Result<Self> {
        let pinned = &case.options.keys;
        let genesis = case.walked.genesis.as_ref().and_then(|(_, key)| key.clone());
        let timeline = Timeline::new(genesis, completed_rotations(case, checkpoint));
        let accepted = match pinned.as_slice() {
            [] => timeline.in_force(checkpoint.size()),
            pinned => timeline.led_to(pinned),
        };
        let mut trust = Self { timeline, accepted, signed: checkpoint.size(), ..Self::default() };
        match signers(checkpoint, &trust.accepted) {
            Ok(signers) => trust.accept(&signers, !pinned.is_empty()),
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
                trust.fault = Some(Fault::new(kind, format!("the checkpoint cannot be trusted: {fault}")));
            }
        }
        Ok(trust)
    }

    fn accept(&mut self, signers: &[VerifierKey], is_pinned: bool) {
        if let [first, ..] = signers {
            self.timeline.or_first(first);
        }
        let in_force = self.timeline.in_force(self.signed);
        if !signers.iter().any(|key| in_force.contains(key)) {
            let message = "the checkpoint is signed with a key that the trail had already replaced";
            self.outdated = Some(Fault::new(FaultKind::WrongKey, message));
        }
        let signatory = |key: &VerifierKey| Signatory { key: key.to_string(), is_pinned };
        self.signatories = signers.iter().map(signatory).collect();
    }

    /// Whether a key that may sign the latest checkpoint signed this later one.
    pub(super) fn may_sign(&self, later: &SignedCheckpoint) -> bool {
        later.verify(&self.accepted).is_ok()
    }

    /// All keys that sign for this trail now or did so before, according to signed lines.
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

/// The recorded key changes, each marked completed if both keys signed its boundary.
fn completed_rotations(case: &Case<'_>, checkpoint: &SignedCheckpoint) -> Vec<Rotation> {
    let Walked { roots, claims, rotations, .. } = case.walked;
    let mut rotations = rotations.clone();
    for rotation in &mut rotations {
        let boundary = rotation.boundary();
        let is_saved = roots.get(&boundary).is_some_and(|root| {
            let mut saved = case.checkpoints.history.iter().chain([checkpoint]);
            saved.any(|checkpoint| rotation.is_completed_by(checkpoint, root))
        });
        let is_recorded = || {
            let mut claims =
                claims.iter().filter(|claim| claim.size == boundary && claim.is_true == Some(true));
            claims.any(|claim| {
                [&rotation.old, &rotation.new].into_iter().all(|key| case.walked.is_signer(claim, key))
            })
        };
        rotation.is_completed = is_saved || is_recorded();
    }
    rotations
}
