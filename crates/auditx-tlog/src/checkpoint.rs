//! Checkpoints: the number of lines of a trail and the root of its tree at that time, signed (C2SP
//! tlog-checkpoint in a signed note).

use std::fmt;
use std::sync::Arc;

use crate::cosignature::{self, WitnessKey};
use crate::error::{Error, Result};
use crate::key::{Signer, VerifierKey};
use crate::note::{self, NoteSignature, ParsedNote, SignatureFault};
use crate::tree::Hash;

/// A tree head and its signatures, as found in `.auditx/checkpoint`, in `checkpoint` records and in proofs.
///
/// Parsing accepts only the canonical form: no extension lines, no other notation of numbers or base64. It
/// does not verify signatures; use [`SignedCheckpoint::verify`]. Logs that auditx does not write may have
/// [extension lines](Self::parse_extended). Cloning is cheap.
#[derive(Clone)]
pub struct SignedCheckpoint {
    note: Arc<ParsedNote>,
}

impl fmt::Debug for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedCheckpoint")
            .field("origin", &self.origin())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl SignedCheckpoint {
    /// Parses a signed note.
    ///
    /// # Errors
    /// `is_corrupt`, with the reason.
    pub fn parse(note: &[u8]) -> Result<Self> {
        Ok(Self { note: Arc::new(ParsedNote::parse(note)?) })
    }

    /// Parses a signed note whose tree head may be followed by extension lines (C2SP tlog-checkpoint). They
    /// are signed and cosigned with it and otherwise have no meaning; cosignatures with ML-DSA-44 do not
    /// include them. The checkpoints of a trail have none.
    ///
    /// # Errors
    /// `is_corrupt`, with the reason.
    pub fn parse_extended(note: &[u8]) -> Result<Self> {
        Ok(Self { note: Arc::new(ParsedNote::parse_extended(note)?) })
    }

    /// Signs a tree head with each signer under the log's name, and verifies each signature. A logger does
    /// this itself; the function is for programs that write or test other logs in this format.
    ///
    /// # Errors
    /// `is_invalid` if the name is invalid; `is_signing` if a signer fails or its signature is invalid.
    pub fn sign(origin: &str, size: u64, root: &Hash, signers: &[&dyn Signer]) -> Result<Self> {
        let head = note::tree_head(origin, size, root)?;
        let keys: Vec<VerifierKey> = signers
            .iter()
            .map(|signer| VerifierKey::new(origin, &signer.public_key()))
            .collect::<Result<_>>()?;
        let mut signatures = Vec::with_capacity(signers.len());
        for (signer, key) in signers.iter().zip(&keys) {
            let refused =
                |why| Error::signing(format!("cannot sign the checkpoint of {size} lines")).because(why);
            let signature = signer.sign(head.as_bytes()).map_err(refused)?;
            if !key.is_signature(head.as_bytes(), &signature) {
                return Err(refused("the signature is not valid for the signer's public key".into()));
            }
            signatures.push(NoteSignature::new(key.name(), key.id(), signature.to_vec()));
        }
        Self::parse(note::signed(&head, &signatures).as_bytes())
    }

    /// Returns the name of the log: `<origin>/auditx/<trail id>`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.note.origin
    }

    /// Returns the number of lines it covers: all those with a lower sequence number.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.note.size
    }

    /// Returns the root of the tree over those lines.
    #[must_use]
    pub fn root(&self) -> &Hash {
        &self.note.root
    }

    /// Returns the text of the signed note.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.note.text
    }

    /// Returns those of the keys that signed it: at least one. A key whose name is not the checkpoint's
    /// origin belongs to another log and does not count. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// The reason why it is not accepted. A single invalid signature of a given key is enough, even beside
    /// valid ones.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, SignatureFault> {
        let mut signed = self.note.verify(keys)?;
        signed.retain(|key| key.name() == self.origin());
        if signed.is_empty() { Err(SignatureFault::WrongKey) } else { Ok(signed) }
    }

    /// Cosigns it for a witness of this name. Returns the signature line, with its newline. `time` is in
    /// seconds since 1970. A witness must have checked that the log only grew; this does not.
    ///
    /// # Errors
    /// `is_invalid` if the name is invalid; `is_signing` if the signer fails or its signature is invalid.
    pub fn cosign(&self, name: &str, signer: &dyn Signer, time: u64) -> Result<String> {
        Ok(cosignature::cosign(name, signer, &self.note, time)?.line())
    }

    /// Returns when the witness with this key cosigned it, in seconds since 1970: the latest time, if there
    /// is more than one valid cosignature.
    #[must_use]
    pub fn cosigned_at(&self, key: &WitnessKey) -> Option<u64> {
        let own = self.note.signatures.iter().filter(|signature| signature.is_of(key.name(), key.id()));
        own.filter_map(|signature| key.time_of(&self.note, &signature.bytes)).max()
    }

    /// Adds the latest valid cosignature of this witness among these signature lines, which is what a witness
    /// answers, in place of an earlier one. Lines of other keys are ignored.
    ///
    /// # Errors
    /// `is_corrupt` if there is no valid one, or the note becomes too long.
    pub fn with_cosignature(&self, lines: &str, key: &WitnessKey) -> Result<Self> {
        let is_own = |signature: &NoteSignature| signature.is_of(key.name(), key.id());
        let added: Vec<NoteSignature> =
            lines.split_terminator('\n').filter_map(NoteSignature::parse).filter(is_own).collect();
        let dated = |signature: &&NoteSignature| key.time_of(&self.note, &signature.bytes);
        if !added.iter().any(|signature| dated(&signature).is_some()) {
            return Err(Error::corrupt(format!(
                "no valid cosignature of {} on this checkpoint: is its key in the policy the present one?",
                key.name()
            )));
        }
        let known = self.note.signatures.iter().filter(|signature| is_own(signature));
        let latest = known.chain(&added).filter(|signature| dated(signature).is_some()).max_by_key(dated);
        let others = self.note.signatures.iter().filter(|signature| !is_own(signature));
        self.with_signatures(others.chain(latest))
    }

    /// Adds the signatures of another copy of this checkpoint, of keys that did not sign this copy.
    ///
    /// # Errors
    /// `is_invalid` if the other one is not of the same tree and log; `is_corrupt` if the note becomes too
    /// long.
    pub fn merged(&self, other: &Self) -> Result<Self> {
        if other.note.head() != self.note.head() {
            return Err(Error::invalid("the two are not copies of one checkpoint"));
        }
        let is_new = |added: &&NoteSignature| {
            !self.note.signatures.iter().any(|known| known.is_of(added.name(), added.id()))
        };
        self.with_signatures(self.note.signatures.iter().chain(other.note.signatures.iter().filter(is_new)))
    }

    /// Returns the checkpoint with the signatures of its log and no others. They are not verified.
    ///
    /// # Errors
    /// `is_corrupt` if the log itself did not sign it.
    pub fn without_cosignatures(&self) -> Result<Self> {
        let is_of_the_log = |signature: &&NoteSignature| signature.name() == self.origin();
        self.with_signatures(self.note.signatures.iter().filter(is_of_the_log))
            .map_err(|error| Error::corrupt("the checkpoint has no signature of its log").because(error))
    }

    /// Returns the checkpoint with the signatures of these keys of its log and no others.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn signed_only_by(&self, keys: &[VerifierKey]) -> Result<Self, SignatureFault> {
        let signers = self.verify(keys)?;
        let is_theirs =
            |signature: &&NoteSignature| signers.iter().any(|key| signature.is_of(key.name(), key.id()));
        let kept = self.with_signatures(self.note.signatures.iter().filter(is_theirs));
        kept.map_err(|_| SignatureFault::BadSignature)
    }

    /// Returns whether each key that signed the other one, a checkpoint of the same log, signed this one too.
    /// Signatures are not verified.
    #[must_use]
    pub fn has_signers_of(&self, other: &Self) -> bool {
        other.note.signatures.iter().all(|other| {
            self.note.signatures.iter().any(|signature| signature.is_of(other.name(), other.id()))
        })
    }

    /// Returns the number of its signatures whose names are not that of the log. They are not verified.
    #[must_use]
    pub fn cosignature_count(&self) -> usize {
        self.note.signatures.iter().filter(|signature| signature.name() != self.origin()).count()
    }

    fn with_signatures<'s>(&self, signatures: impl Iterator<Item = &'s NoteSignature>) -> Result<Self> {
        let lines: String = signatures.map(NoteSignature::line).collect();
        Self::parse_extended(format!("{}\n{lines}", self.note.head()).as_bytes())
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.note.text)
    }
}

/// Returns the name of a trail's log, which is also the name of its keys.
#[must_use]
pub fn log_name(origin: &str, trail_id: &str) -> String {
    format!("{origin}/auditx/{trail_id}")
}

#[cfg(test)]
mod tests;
