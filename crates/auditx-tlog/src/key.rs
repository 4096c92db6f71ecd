//! The key that signs a trail's checkpoints, and the public key that verifies them.

mod pkcs8;

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

use crate::error::{Error, Result, SignerError};
use crate::vkey;

/// The algorithm byte of a log's Ed25519 key.
const ED25519: u8 = 0x01;

/// Signs checkpoints (Ed25519, RFC 8032). Implement it for a key that stays in a KMS or an HSM.
///
/// A background thread of the logger calls it about once a second while entries arrive, and at each seal;
/// recording continues meanwhile. After an error it is called again a second later: lines are kept and stay
/// unsigned until it succeeds.
pub trait Signer: fmt::Debug + Send + Sync {
    /// Returns the public key.
    fn public_key(&self) -> [u8; 32];

    /// Signs exactly these bytes.
    ///
    /// # Errors
    /// The reason why the key cannot sign.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError>;
}

/// An Ed25519 key in memory. Its file format is PKCS #8 in PEM, as written by `openssl genpkey -algorithm
/// ed25519`.
///
/// ```
/// use auditx_tlog::{Signer, SigningKey};
///
/// let key = SigningKey::generate();
/// let same = SigningKey::from_pem(&key.to_pem())?;
/// assert_eq!(same.public_key(), key.public_key());
/// # Ok::<(), auditx_tlog::Error>(())
/// ```
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Generates a key with random bytes of the operating system.
    #[must_use]
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        // Linux, macOS and Windows cannot refuse this once booted.
        getrandom::fill(&mut seed).expect("the operating system gives random bytes");
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Parses PKCS #8, in PEM or as the base64 of its DER on one line.
    ///
    /// # Errors
    /// `is_invalid` if it is neither.
    pub fn from_pem(text: &str) -> Result<Self> {
        let text = text.trim();
        let outcome = if text.starts_with('-') { pkcs8::from_pem(text) } else { pkcs8::from_base64(text) };
        outcome.map(Self).ok_or_else(|| {
            Error::invalid("not an Ed25519 private key in PKCS #8: make one with `auditx keygen`")
        })
    }

    /// Returns the key as PKCS #8 in PEM. It is secret: with it, anyone can sign for the trail.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pkcs8::to_pem(&self.0)
    }
}

impl Signer for SigningKey {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        Ok(self.0.try_sign(message)?.to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public_key", &BASE64_STANDARD.encode(self.public_key())).finish()
    }
}

/// A public key and the name it signs under, which is the log name of its trail. Auditors pin it.
///
/// The text form is that of C2SP, `<name>+<id>+<base64 of the algorithm and the key>`. Parsing accepts no
/// other form and no key of small order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    public: VerifyingKey,
}

impl VerifierKey {
    /// Creates the key that verifies signatures of this public key under this name.
    ///
    /// # Errors
    /// `is_invalid` if the name is invalid, or the key is not an Ed25519 key or has small order.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self> {
        vkey::check_name(name)?;
        let public = ed25519(public_key)?;
        Ok(Self { name: name.to_owned(), id: vkey::id(name, ED25519, public_key), public })
    }

    /// Returns the name it signs under: the origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number that distinguishes keys with the same name. It is not a secure digest.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the bytes of the public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.public.to_bytes()
    }

    /// Verifies strictly: one valid encoding of S and no point of small order, so that two verifiers never
    /// disagree (Chalkias, Garillot, Nikolaenko, *Taming the Many EdDSAs*, 2020).
    pub(crate) fn is_signature(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.public.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&vkey::text(&self.name, ED25519, self.public.as_bytes()))
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::invalid(format!(
                "invalid verifier key {text:?}: expected one like \
                 `erp.example.com/auditx/9f0c…+0a1b2c3d+AQ…=`, as printed by `auditx key show`"
            ))
        };
        match vkey::parse(text) {
            Some((name, ED25519, public)) => {
                Self::new(name, public.as_slice().try_into().map_err(|_| malformed())?)
            }
            _ => Err(malformed()),
        }
    }
}

/// Returns an Ed25519 key that is not of small order.
pub(crate) fn ed25519(public_key: &[u8; 32]) -> Result<VerifyingKey> {
    let key = VerifyingKey::from_bytes(public_key).ok().filter(|key| !key.is_weak());
    key.ok_or_else(|| Error::invalid("not an Ed25519 public key"))
}

#[cfg(test)]
mod tests;
