//! Keys: the one that signs a trail's checkpoints, and the public one that checks them.

mod source;

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

use crate::c2sp::{self, NoteKey};
use crate::error::{Error, HookError, Result};
use crate::id;

pub use source::KeySource;
pub(crate) use source::{KEY, KEY_HOME};
pub(crate) use source::{StagedKey, stage_in_home};

/// Signs checkpoints (Ed25519, RFC 8032). Implement it for a key that never leaves a KMS or an HSM.
///
/// It is called on the writer's thread, about once a second while entries arrive and at each seal; recording goes on
/// meanwhile. An error is tried again a second later: lines are kept, and stay unsigned until then.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public key, 32 bytes.
    fn public_key(&self) -> [u8; 32];

    /// The signature of exactly these bytes.
    ///
    /// # Errors
    /// Whatever keeps the key from signing.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], HookError>;
}

/// An Ed25519 key in memory. In files it is PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` makes it.
///
/// ```
/// use auditx_core::{Signer, SigningKey};
///
/// let key = SigningKey::generate();
/// let same = SigningKey::from_pem(&key.to_pem())?;
/// assert_eq!(same.public_key(), key.public_key());
/// # Ok::<(), auditx_core::Error>(())
/// ```
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new one from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        id::fill(&mut seed);
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Reads PKCS #8, in PEM or as the base64 of its DER on one line.
    ///
    /// # Errors
    /// `is_invalid` where it is neither.
    pub fn from_pem(text: &str) -> Result<Self> {
        let text = text.trim();
        let outcome = if text.starts_with("-----BEGIN") {
            ed25519_dalek::SigningKey::from_pkcs8_pem(text).ok()
        } else {
            BASE64_STANDARD
                .decode(text)
                .ok()
                .and_then(|der| ed25519_dalek::SigningKey::from_pkcs8_der(&der).ok())
        };
        outcome.map(Self).ok_or_else(|| {
            Error::invalid("not an Ed25519 private key in PKCS #8: make one with `auditx keygen`")
        })
    }

    /// PKCS #8 in PEM. Whoever has it can sign in the trail's name.
    ///
    /// # Panics
    /// Never: an Ed25519 key always has this form.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0.to_pkcs8_pem(LineEnding::LF).expect("an Ed25519 key has a PKCS #8 form").to_string()
    }
}

impl Signer for SigningKey {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], HookError> {
        Ok(self.0.try_sign(message)?.to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public_key", &BASE64_STANDARD.encode(self.public_key())).finish()
    }
}

/// A public key and the name it signs under, which is its trail's: what an auditor pins.
///
/// Spelled as C2SP has it, `<name>+<id>+<base64 of the algorithm and the key>`; parsing takes no other spelling and no
/// key of small order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    public: VerifyingKey,
}

impl VerifierKey {
    /// The key that checks what `signer` signs under this name.
    ///
    /// # Errors
    /// `is_invalid` where the name is none, or the key is no Ed25519 key or one of small order.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self> {
        if !c2sp::is_key_name(name) {
            return Err(Error::invalid(format!(
                "{name:?} cannot name a key: it must not be empty, nor hold white space or `+`"
            )));
        }
        let public = VerifyingKey::from_bytes(public_key)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or_else(|| Error::invalid("not the public key of an Ed25519 key"))?;
        Ok(Self { name: name.to_owned(), id: c2sp::key_id(name, public_key), public })
    }

    /// The name it signs under: the origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells keys of one name apart; not a secure digest.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The bytes of the key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.public.to_bytes()
    }
}

impl NoteKey for VerifierKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> u32 {
        self.id
    }

    /// Strict: one valid spelling of S and no point of small order, so that two verifiers never disagree (Chalkias,
    /// Garillot, Nikolaenko, *Taming the Many EdDSAs*, 2020).
    fn is_signature(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.public.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[c2sp::ED25519], self.public.as_bytes().as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, BASE64_STANDARD.encode(bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::invalid(format!(
                "{text:?} is no verifier key like `erp.example.com/auditx/9f0c…+0a1b2c3d+AQ…=`; `auditx key show` prints one"
            ))
        };
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| malformed())?;
        let [c2sp::ED25519, public @ ..] = bytes.as_slice() else { return Err(malformed()) };
        let parsed = Self::new(name, public.try_into().map_err(|_| malformed())?)?;
        // The id must be the key's, and the spelling the one there is.
        if parsed.to_string() == text { Ok(parsed) } else { Err(malformed()) }
    }
}

#[cfg(test)]
mod tests;
