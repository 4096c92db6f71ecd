//! A checkpoint: how many lines a trail had and the root of its tree then, signed (C2SP tlog-checkpoint in a signed note).

use std::fmt;
use std::sync::Arc;

use crate::c2sp::{self, NoteKey, ParsedNote, SignatureFault};
use crate::error::{Error, Result};
use crate::key::{Signer, VerifierKey};
use crate::tree::Hash;

/// A tree head and the signatures under it, as it stands in `.auditx/checkpoint`, in `checkpoint` records and in proofs.
///
/// Parsing takes exactly what would be written: no extension lines, no other spelling of numbers or base64. It checks no
/// signature: that is [`SignedCheckpoint::verify`]. Clones share one note.
#[derive(Clone)]
pub struct SignedCheckpoint {
    note: Arc<ParsedNote>,
    text: Arc<str>,
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
    /// Reads a note.
    ///
    /// # Errors
    /// `is_corrupt`, saying what is wrong with it.
    pub fn parse(note: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(note).map_err(|error| {
            Error::corrupt("this is no signed checkpoint: it is not UTF-8").because(error)
        })?;
        Ok(Self { note: Arc::new(ParsedNote::parse(note)?), text: text.into() })
    }

    /// Signs a tree head with each signer, all under the log's name. Every signature is checked before it is believed. A logger
    /// does this by itself; here it is for whoever makes or tests other logs of this form.
    ///
    /// # Errors
    /// `is_invalid` where the name is none, `is_signing` where a signer cannot sign or signs nonsense.
    pub fn sign(origin: &str, size: u64, root: &Hash, signers: &[&dyn Signer]) -> Result<Self> {
        let head = c2sp::tree_head(origin, size, root)?;
        let keys: Vec<VerifierKey> = signers
            .iter()
            .map(|signer| VerifierKey::new(origin, &signer.public_key()))
            .collect::<Result<_>>()?;
        let mut signatures = Vec::with_capacity(signers.len());
        for (signer, key) in signers.iter().zip(&keys) {
            let refused =
                |why| Error::signing(format!("the checkpoint of {size} lines cannot be signed")).because(why);
            let signature = signer.sign(&head).map_err(refused)?;
            if !key.is_signature(&head, &signature) {
                return Err(refused("what the signer made is no signature of its public key".into()));
            }
            signatures.push((key, signature));
        }
        Self::parse(&c2sp::signed(&head, &signatures)?)
    }

    /// The name of the log: `<origin>/auditx/<trail id>`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.note.origin
    }

    /// How many lines it speaks of: all with a lower sequence number.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.note.size
    }

    /// The root of the tree over those lines.
    #[must_use]
    pub fn root(&self) -> &Hash {
        &self.note.root
    }

    /// The note as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Those of the keys that signed it: at least one. The name of a key must be the checkpoint's origin, else it is a key
    /// of another log. Signatures of keys that are not given are passed over.
    ///
    /// # Errors
    /// Why it is not to be believed. One invalid signature of a given key is enough, whatever stands beside it.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, SignatureFault> {
        let mut signed = self.note.verify(keys)?;
        signed.retain(|key| key.name() == self.origin());
        if signed.is_empty() { Err(SignatureFault::WrongKey) } else { Ok(signed) }
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name of a trail's log, and of the keys that sign for it.
pub(crate) fn log_name(origin: &str, trail_id: &str) -> String {
    format!("{origin}/auditx/{trail_id}")
}

#[cfg(test)]
mod tests;
