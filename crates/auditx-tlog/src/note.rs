//! Signed notes with a tree head as their text: C2SP signed-note and tlog-checkpoint.
//!
//! Parsing accepts exactly the bytes that [`signed`] writes: one spelling for each note, no extension lines.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::tree::Hash;

/// The largest accepted note. Real ones are far smaller.
const MAX_NOTE: usize = 64 * 1024;

/// The largest accepted tree size. A tree has about twice as many nodes as leaves, and 64 bits must count
/// them.
const MAX_LINES: u64 = 1 << 62;

/// What a signature line begins with: an em dash and a space.
const SIGNATURE_PREFIX: &str = "— ";

/// The algorithm byte for Ed25519 in keys.
pub(crate) const ED25519: u8 = 1;

/// A key that verifies the signatures of notes.
pub(crate) trait NoteKey {
    fn name(&self) -> &str;
    fn id(&self) -> u32;
    fn is_signature(&self, message: &[u8], signature: &[u8; 64]) -> bool;
}

/// A tree head and its signatures, which have not been verified.
#[derive(Debug)]
pub(crate) struct ParsedNote {
    text: String,
    signatures: Vec<NoteSignature>,
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// A signature line. `bytes` have 64 bytes if the algorithm is Ed25519, and any number otherwise.
#[derive(Debug)]
struct NoteSignature {
    name: String,
    id: u32,
    bytes: Vec<u8>,
}

/// The reason why a checkpoint's signatures are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureFault {
    /// None of the given keys signed it.
    WrongKey,
    /// A signature that names one of the given keys is invalid.
    BadSignature,
    /// Two of the given keys have the same name and id.
    AmbiguousKey,
}

impl std::fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WrongKey => "none of the given keys signed it",
            Self::BadSignature => "its signature is invalid",
            Self::AmbiguousKey => "two of the given keys have the same name and id",
        })
    }
}

impl std::error::Error for SignatureFault {}

impl ParsedNote {
    /// Parses a note whose text is a tree head without extension lines.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let malformed = |what: &str| Error::corrupt(format!("not a signed checkpoint: {what}"));
        if bytes.len() > MAX_NOTE {
            return Err(malformed("it is too long"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(malformed("it contains a control character"));
        }
        let (head, signatures) =
            note.split_once("\n\n").ok_or_else(|| malformed("it is not a signed note"))?;
        let lines: Vec<&str> = head.split('\n').collect();
        let [origin, size, root] = lines[..] else {
            return Err(malformed("its text is not a tree head with origin, size and root"));
        };
        let signatures = signatures
            .split_terminator('\n')
            .map(NoteSignature::parse)
            .collect::<Option<Vec<_>>>()
            .filter(|signatures| !signatures.is_empty())
            .ok_or_else(|| malformed("it is not a signed note"))?;
        let parsed_root = BASE64_STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let (Ok(size), Some(root)) = (size.parse::<u64>(), parsed_root) else {
            return Err(malformed("its text is not a tree head with origin, size and root"));
        };
        if size > MAX_LINES {
            return Err(malformed("its size exceeds that of any trail"));
        }
        let text = tree_head(origin, size, &root).map_err(|_| malformed("it has no origin"))?;
        let parsed = Self { text, signatures, origin: origin.to_owned(), size, root };
        if parsed.bytes() != bytes {
            return Err(malformed("it is not in canonical form"));
        }
        Ok(parsed)
    }

    fn bytes(&self) -> Vec<u8> {
        let lines: String = self.signatures.iter().map(NoteSignature::line).collect();
        format!("{}\n{lines}", self.text).into_bytes()
    }

    /// Returns the keys that signed it. Signatures of other keys are ignored.
    pub(crate) fn verify<'k, K: NoteKey>(&self, keys: &'k [K]) -> Result<Vec<&'k K>, SignatureFault> {
        let mut signers: Vec<&'k K> = Vec::new();
        for signature in &self.signatures {
            let mut named = keys.iter().filter(|key| signature.is_of(*key));
            let Some(key) = named.next() else { continue };
            if named.next().is_some() {
                return Err(SignatureFault::AmbiguousKey);
            }
            let bytes = signature.bytes.as_slice().try_into();
            if !bytes.is_ok_and(|bytes| key.is_signature(self.text.as_bytes(), bytes)) {
                return Err(SignatureFault::BadSignature);
            }
            if !signers.iter().any(|signer| signature.is_of(*signer)) {
                signers.push(key);
            }
        }
        if signers.is_empty() { Err(SignatureFault::WrongKey) } else { Ok(signers) }
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        let decoded = BASE64_STANDARD.decode(encoded).ok()?;
        let (id, bytes) = decoded.split_first_chunk::<4>()?;
        let is_valid = is_key_name(name) && !bytes.is_empty();
        is_valid.then(|| Self { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
    }

    fn line(&self) -> String {
        let encoded = BASE64_STANDARD.encode([&self.id.to_be_bytes()[..], &self.bytes].concat());
        format!("{SIGNATURE_PREFIX}{} {encoded}\n", self.name)
    }

    fn is_of(&self, key: &impl NoteKey) -> bool {
        key.id() == self.id && key.name() == self.name
    }
}

/// Returns the text that is signed.
pub(crate) fn tree_head(origin: &str, size: u64, root: &Hash) -> Result<String> {
    if origin.is_empty() || origin.contains('\n') {
        return Err(Error::invalid("a checkpoint needs the name of its log, on one line"));
    }
    Ok(format!("{origin}\n{size}\n{}\n", BASE64_STANDARD.encode(root)))
}

/// Returns the note with this text and these signatures. The names of keys are valid ([`is_key_name`]).
pub(crate) fn signed<K: NoteKey>(text: &str, signatures: &[(&K, [u8; 64])]) -> Vec<u8> {
    let lines = signatures.iter().map(|(key, signature)| {
        NoteSignature { name: key.name().to_owned(), id: key.id(), bytes: signature.to_vec() }.line()
    });
    format!("{text}\n{}", lines.collect::<String>()).into_bytes()
}

/// Returns whether a key may have this name: not empty, no white space, no plus, no control character.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c == '+' || c.is_whitespace() || c.is_control())
}

/// Returns the first four bytes of SHA-256(name ‖ `\n` ‖ algorithm ‖ public key).
pub(crate) fn key_id(name: &str, public: &[u8; 32]) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(name);
    hasher.update([b'\n', ED25519]);
    hasher.update(public);
    let hash: Hash = hasher.finalize().into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}
