//! Cosignatures: a witness states that, at a certain time, this checkpoint was the largest it had seen of a
//! log, and that the log had only grown (C2SP tlog-cosignature).

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, VerifyingKey};

use crate::error::{Error, Result};
use crate::key::{Signer, ed25519};
use crate::note::{NoteSignature, ParsedNote};
use crate::vkey;

/// The algorithm byte of a cosignature with Ed25519.
const ED25519: u8 = 0x04;

/// The algorithm byte of a cosignature with ML-DSA-44 (FIPS 204).
const ML_DSA_44: u8 = 0x06;

/// The public key of a witness, and the name it cosigns under.
///
/// The text form is that of C2SP, `<name>+<id>+<base64 of the algorithm and the key>`, with the algorithm 4
/// for Ed25519 or, with the feature `ml-dsa`, 6 for ML-DSA-44.
#[derive(Debug, Clone, PartialEq)]
pub struct WitnessKey {
    name: String,
    id: u32,
    public: Public,
}

#[derive(Debug, Clone, PartialEq)]
enum Public {
    Ed25519(VerifyingKey),
    #[cfg(feature = "ml-dsa")]
    MlDsa44(Box<ml_dsa::VerifyingKey<ml_dsa::MlDsa44>>),
}

impl WitnessKey {
    /// Creates the Ed25519 key of a witness.
    ///
    /// # Errors
    /// `is_invalid` if the name is invalid, or the key is not an Ed25519 key or has small order.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self> {
        vkey::check_name(name)?;
        let public = Public::Ed25519(ed25519(public_key)?);
        Ok(Self { name: name.to_owned(), id: vkey::id(name, ED25519, public_key), public })
    }

    /// Returns its name: a URL without scheme, by convention.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Returns whether both wrap the same public key, whatever their names.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// Verifies a cosignature and returns its time, in seconds since 1970.
    pub(crate) fn time_of(&self, note: &ParsedNote, bytes: &[u8]) -> Option<u64> {
        let (time, signature) = bytes.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        // At time 0, no statement is made that the tree is the largest one seen.
        if time == 0 || i64::try_from(time).is_err() {
            return None;
        }
        let is_valid = match &self.public {
            Public::Ed25519(key) => {
                let signature = Signature::from_bytes(signature.try_into().ok()?);
                key.verify_strict(ed25519_message(note, time).as_bytes(), &signature).is_ok()
            }
            #[cfg(feature = "ml-dsa")]
            Public::MlDsa44(key) => {
                let message = ml_dsa_message(note, &self.name, time)?;
                ml_dsa::Signature::try_from(signature)
                    .is_ok_and(|signature| key.verify_with_context(&message, &[], &signature))
            }
        };
        is_valid.then_some(time)
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match &self.public {
            Public::Ed25519(key) => vkey::text(&self.name, ED25519, key.as_bytes()),
            #[cfg(feature = "ml-dsa")]
            Public::MlDsa44(key) => vkey::text(&self.name, ML_DSA_44, &key.encode()),
        })
    }
}

impl FromStr for WitnessKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::invalid(format!(
                "invalid witness key {text:?}: expected one like \
                 `witness.example.com/w1+0a1b2c3d+BA…=`, as printed by `auditx witness`"
            ))
        };
        match vkey::parse(text) {
            Some((name, ED25519, public)) => {
                Self::new(name, public.as_slice().try_into().map_err(|_| malformed())?)
            }
            #[cfg(feature = "ml-dsa")]
            Some((name, ML_DSA_44, public)) => {
                let encoded = public.as_slice().try_into().map_err(|_| malformed())?;
                let public = Public::MlDsa44(Box::new(ml_dsa::VerifyingKey::decode(encoded)));
                Ok(Self { name: name.to_owned(), id: vkey::id(name, ML_DSA_44, &encoded[..]), public })
            }
            #[cfg(not(feature = "ml-dsa"))]
            Some((_, ML_DSA_44, _)) => Err(Error::invalid(format!(
                "the witness key {text:?} is one of ML-DSA-44: enable the feature `ml-dsa` of auditx-tlog"
            ))),
            Some((_, 0x01, _)) => Err(Error::invalid(format!(
                "{text:?} is the key of a log (algorithm 1): expected that of a witness (algorithm 4 or 6)"
            ))),
            _ => Err(malformed()),
        }
    }
}

/// Cosigns at this time, in seconds since 1970.
pub(crate) fn cosign(name: &str, signer: &dyn Signer, note: &ParsedNote, time: u64) -> Result<NoteSignature> {
    let key = WitnessKey::new(name, &signer.public_key())?;
    let refused = |why| Error::signing("cannot cosign the checkpoint").because(why);
    let signature = signer.sign(ed25519_message(note, time).as_bytes()).map_err(refused)?;
    let bytes = [&time.to_be_bytes()[..], &signature].concat();
    if key.time_of(note, &bytes) != Some(time) {
        return Err(refused("the signature is not valid for the signer's public key".into()));
    }
    Ok(NoteSignature::new(&key.name, key.id, bytes))
}

fn ed25519_message(note: &ParsedNote, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{}", note.head())
}

/// Returns `None` if a name is too long to be signed.
#[cfg(feature = "ml-dsa")]
fn ml_dsa_message(note: &ParsedNote, witness: &str, time: u64) -> Option<Vec<u8>> {
    let mut message = b"subtree/v1\n\0".to_vec();
    message.push(u8::try_from(witness.len()).ok()?);
    message.extend(witness.as_bytes());
    message.extend(time.to_be_bytes());
    message.push(u8::try_from(note.origin.len()).ok()?);
    message.extend(note.origin.as_bytes());
    message.extend(0_u64.to_be_bytes());
    message.extend(note.size.to_be_bytes());
    message.extend(note.root);
    Some(message)
}

#[cfg(test)]
mod tests;
