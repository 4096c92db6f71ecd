//! Keys: the one that signs a trail's checkpoints, where it comes from, and the public one that checks them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use serde::Deserialize;

use crate::c2sp::{self, NoteKey};
use crate::error::{Error, HookError, Result};
use crate::id;
use crate::storage::{Disk, Storage, create_private_directory, read_own, replace_private};

/// Where a trail keeps the key it made itself, below its own directory.
const KEY_HOME: &str = "keys";
const KEY_FILE: &str = "signing.pem";

/// The next one, while it takes over.
const STAGED_FILE: &str = "next.pem";

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

/// Where the signing key comes from.
///
/// Spelled `trail`, `file:PATH`, `env:NAME` or `credential:NAME` in configuration files and `AUDITX_SIGNING_KEY`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum KeySource {
    /// The trail's own directory, `.auditx/keys`; made there at the first open. Whoever can write the trail can then sign
    /// it too: keep checkpoints elsewhere, or the key.
    #[default]
    Trail,
    /// A file, as [`SigningKey`] is kept.
    File(PathBuf),
    /// The text of such a file in an environment variable.
    Environment(String),
    /// A systemd credential of this name (`LoadCredential=`, `LoadCredentialEncrypted=`).
    Credential(String),
    /// Something of the application's own.
    Signer(Arc<dyn Signer>),
}

impl FromStr for KeySource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "trail" => Ok(Self::Trail),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("credential", name)) if !name.is_empty() => Ok(Self::Credential(name.to_owned())),
            _ => Err(Error::invalid(format!(
                "{text:?} is not `trail`, `file:PATH`, `env:NAME` or `credential:NAME`"
            ))),
        }
    }
}

impl TryFrom<String> for KeySource {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl KeySource {
    /// The signer, for the trail whose own directory this is.
    ///
    /// # Errors
    /// `is_invalid` where there is no key or it cannot be read as one, `is_storage` where its file cannot be read.
    pub(crate) fn signer(&self, own_directory: &Path) -> Result<Arc<dyn Signer>> {
        let key: SigningKey = match self {
            Self::Signer(signer) => return Ok(signer.clone()),
            Self::Trail => read_key(&home(own_directory))?,
            Self::File(path) => read_key(path)?,
            Self::Credential(name) => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    Error::invalid(format!(
                        "no credential {name:?} can be had: systemd sets CREDENTIALS_DIRECTORY for services with LoadCredential="
                    ))
                })?;
                // systemd owns the directory and forbids writing it: the service's user need not own the file.
                let path = Path::new(&directory).join(name);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Error::storage("cannot read the signing key", &path, error))?;
                SigningKey::from_pem(&text).map_err(|error| error.at(&path))?
            }
            Self::Environment(name) => {
                let text = std::env::var(name).map_err(|error| {
                    Error::invalid(format!("no signing key in the variable {name}")).because(error)
                })?;
                SigningKey::from_pem(&text).map_err(|error| {
                    Error::invalid(format!("the variable {name} holds no signing key")).because(error)
                })?
            }
        };
        Ok(Arc::new(key))
    }

    /// Makes a key where a new trail needs one and keeps it itself.
    pub(crate) fn prepare(&self, own_directory: &Path) -> Result<()> {
        if matches!(self, Self::Trail) && !home(own_directory).exists() {
            save_key(&home(own_directory), &SigningKey::generate())?;
        }
        Ok(())
    }
}

fn home(own_directory: &Path) -> PathBuf {
    own_directory.join(KEY_HOME).join(KEY_FILE)
}

fn read_key(path: &Path) -> Result<SigningKey> {
    let bytes = read_own(path).map_err(|error| Error::storage("cannot read the signing key", path, error))?;
    SigningKey::from_pem(&String::from_utf8_lossy(&bytes)).map_err(|error| error.at(path))
}

/// A trail's next key, kept beside the one it is to replace until both have signed the boundary.
#[derive(Debug)]
pub(crate) struct StagedKey {
    key: SigningKey,
    home: PathBuf,
}

/// Keeps a key for the trail to go on with: safe on disk before anything is signed with it.
pub(crate) fn stage_in_home(own_directory: &Path, key: &SigningKey) -> Result<StagedKey> {
    let home = home(own_directory);
    save_key(&staged(&home), key)?;
    Ok(StagedKey { key: key.clone(), home })
}

impl StagedKey {
    /// The one that was left by a process that died while it replaced a key.
    pub(crate) fn left_over(own_directory: &Path) -> Option<Self> {
        let home = home(own_directory);
        read_key(&staged(&home)).ok().map(|key| Self { key, home })
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Puts it in the place of the old one, which is gone then.
    pub(crate) fn settle(self) -> Result<()> {
        let failed = |error| Error::storage("cannot put the new signing key in its place", &self.home, error);
        std::fs::rename(staged(&self.home), &self.home).map_err(failed)?;
        Disk.sync_directory(self.home.parent().unwrap_or(Path::new("."))).map_err(failed)
    }
}

fn staged(home: &Path) -> PathBuf {
    home.with_file_name(STAGED_FILE)
}

fn save_key(path: &Path, key: &SigningKey) -> Result<()> {
    let failed = |error| Error::storage("cannot save the signing key", path, error);
    let directory = path.parent().unwrap_or(Path::new("."));
    create_private_directory(directory).map_err(failed)?;
    replace_private(path, key.to_pem().as_bytes()).map_err(failed)
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
mod tests {
    use super::*;

    #[test]
    fn a_verifier_key_has_one_spelling_and_no_small_order() {
        let public = SigningKey::generate().public_key();
        let key = VerifierKey::new("erp.example.com/auditx/1", &public).unwrap();
        let text = key.to_string();
        assert_eq!(text.parse::<VerifierKey>().unwrap(), key);
        let mut wrong_id = text.clone();
        let digit = wrong_id.find('+').unwrap() + 1;
        let other = if wrong_id.as_bytes()[digit] == b'0' { "1" } else { "0" };
        wrong_id.replace_range(digit..=digit, other);
        for wrong in [
            wrong_id,
            text.replace("erp.", "erp2."),
            format!("{text} "),
            text[..text.len() - 1].to_owned(),
            text.replacen('+', " ", 1),
            String::new(),
        ] {
            assert!(wrong.parse::<VerifierKey>().unwrap_err().is_invalid(), "{wrong}");
        }
        for small in [[0; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }] {
            assert!(VerifierKey::new("n", &small).unwrap_err().is_invalid());
        }
        for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
            assert!(VerifierKey::new(name, &public).unwrap_err().is_invalid(), "{name:?}");
        }
    }

    #[test]
    fn the_published_key_and_signature_of_the_note_format_check() {
        let key: VerifierKey =
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
        assert_eq!((key.name(), key.id()), ("PeterNeumann", 0xc74f_20a3));
        let text = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let signature = BASE64_STANDARD
            .decode("x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=")
            .unwrap();
        let signature: [u8; 64] = signature[4..].try_into().unwrap();
        assert!(key.is_signature(text, &signature));
        // The same signature with S + L: equal for lenient verifiers.
        let order = [
            0xed_u8, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
            0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut malleable = signature;
        let mut carry = 0;
        for (byte, order) in malleable[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        assert!(!key.is_signature(text, &malleable));
    }

    #[test]
    fn a_key_is_kept_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let source = KeySource::Trail;
        assert!(source.signer(directory.path()).unwrap_err().is_storage());
        source.prepare(directory.path()).unwrap();
        let public = source.signer(directory.path()).unwrap().public_key();
        source.prepare(directory.path()).unwrap();
        assert_eq!(source.signer(directory.path()).unwrap().public_key(), public, "made once");
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(directory.path().join("keys")), 0o700);
        assert_eq!(mode(home(directory.path())), 0o600);
    }

    #[test]
    fn key_sources_are_spelled_in_words() {
        assert!(matches!("trail".parse().unwrap(), KeySource::Trail));
        assert!(
            matches!("file:/etc/k.pem".parse().unwrap(), KeySource::File(path) if path == Path::new("/etc/k.pem"))
        );
        assert!(matches!("env:KEY".parse().unwrap(), KeySource::Environment(name) if name == "KEY"));
        assert!(matches!("credential:key".parse().unwrap(), KeySource::Credential(name) if name == "key"));
        for wrong in ["", "file:", "/etc/k.pem", "trail:x", "kms:1"] {
            assert!(wrong.parse::<KeySource>().unwrap_err().is_invalid(), "{wrong}");
        }
    }

    #[test]
    fn what_openssl_makes_is_read_and_anything_else_is_refused() {
        // RFC 8410, section 10.3: this seed and its public key.
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let key = SigningKey::from_pem(pem).unwrap();
        assert_eq!(BASE64_STANDARD.encode(key.public_key()), "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
        let der = pem.lines().nth(1).unwrap();
        assert_eq!(SigningKey::from_pem(der).unwrap().public_key(), key.public_key());
        for wrong in ["", "nonsense", &pem[..60], "AAAA"] {
            assert!(SigningKey::from_pem(wrong).unwrap_err().is_invalid(), "{wrong}");
        }
        assert!(!format!("{key:?}").contains("1O5y2"), "no secret in a debug output");
    }
}
