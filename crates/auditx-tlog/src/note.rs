//! Signed notes with a tree head as their text: C2SP signed-note and tlog-checkpoint.
//!
//! Parsing accepts one spelling for each note: the bytes that [`signed`] writes.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::error::{Error, Result};
use crate::key::VerifierKey;
use crate::tree::Hash;
use crate::vkey::is_key_name;

/// The largest accepted note. Real ones are far smaller.
const MAX_NOTE: usize = 64 * 1024;

/// The most signatures of a note: each costs a verification.
const MAX_SIGNATURES: usize = 64;

/// The largest accepted tree size. A tree has about twice as many nodes as leaves, and 64 bits must count
/// them.
const MAX_LINES: u64 = 1 << 62;

/// What a signature line begins with: an em dash and a space.
const SIGNATURE_PREFIX: &str = "— ";

/// A tree head and its signatures, which have not been verified.
#[derive(Debug)]
pub(crate) struct ParsedNote {
    pub(crate) text: String,
    /// The length of the part of the text that is signed.
    head_len: usize,
    pub(crate) signatures: Vec<NoteSignature>,
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// A signature line. The form of its bytes depends on the algorithm of its key.
#[derive(Debug)]
pub(crate) struct NoteSignature {
    name: String,
    id: u32,
    pub(crate) bytes: Vec<u8>,
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

fn malformed(what: &str) -> Error {
    Error::corrupt(format!("not a signed checkpoint: {what}"))
}

impl ParsedNote {
    /// Parses a note whose text is a tree head without extension lines.
    pub(crate) fn parse(note: &[u8]) -> Result<Self> {
        let parsed = Self::parse_extended(note)?;
        if parsed.head().lines().count() > 3 {
            return Err(malformed("its text has more lines than a tree head with origin, size and root"));
        }
        Ok(parsed)
    }

    /// Parses a note whose text is a tree head and any extension lines.
    pub(crate) fn parse_extended(note: &[u8]) -> Result<Self> {
        if note.len() > MAX_NOTE {
            return Err(malformed("it is too long"));
        }
        let note = std::str::from_utf8(note).map_err(|error| malformed("it is not UTF-8").because(error))?;
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(malformed("it contains a control character"));
        }
        let (head, signatures) =
            note.split_once("\n\n").ok_or_else(|| malformed("it is not a signed note"))?;
        let mut lines = head.splitn(4, '\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(malformed("its text is not a tree head with origin, size and root"));
        };
        let signatures = signatures
            .split_terminator('\n')
            .map(NoteSignature::parse)
            .collect::<Option<Vec<NoteSignature>>>()
            .filter(|signatures| !signatures.is_empty())
            .ok_or_else(|| malformed("it is not a signed note"))?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(malformed("it has more than 64 signatures"));
        }
        let parsed_root = BASE64_STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let (Ok(size), Some(root)) = (size.parse::<u64>(), parsed_root) else {
            return Err(malformed("its text is not a tree head with origin, size and root"));
        };
        if size > MAX_LINES {
            return Err(malformed("its size exceeds that of any trail"));
        }
        let mut head = tree_head(origin, size, &root).map_err(|_| malformed("it has no origin"))?;
        // None of the extension lines is empty: the first empty line ends the text.
        if let Some(extension) = lines.next() {
            head += &format!("{extension}\n");
        }
        let text = signed(&head, &signatures);
        if text != note {
            return Err(malformed("it is not in canonical form"));
        }
        Ok(Self { text, head_len: head.len(), signatures, origin: origin.to_owned(), size, root })
    }

    /// Returns the part of the text that is signed, with any extension lines.
    pub(crate) fn head(&self) -> &str {
        &self.text[..self.head_len]
    }

    /// Returns the keys that signed it. Signatures of other keys are ignored.
    pub(crate) fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, SignatureFault> {
        let head = self.head().as_bytes();
        let mut signers: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let mut named = keys.iter().filter(|key| signature.is_of(key.name(), key.id()));
            let Some(key) = named.next() else { continue };
            if named.next().is_some() {
                return Err(SignatureFault::AmbiguousKey);
            }
            let bytes = signature.bytes.as_slice().try_into();
            if !bytes.is_ok_and(|bytes| key.is_signature(head, bytes)) {
                return Err(SignatureFault::BadSignature);
            }
            if !signers.iter().any(|signer| signature.is_of(signer.name(), signer.id())) {
                signers.push(key);
            }
        }
        if signers.is_empty() { Err(SignatureFault::WrongKey) } else { Ok(signers) }
    }
}

impl NoteSignature {
    pub(crate) fn new(name: &str, id: u32, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), id, bytes }
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        let decoded = BASE64_STANDARD.decode(encoded).ok()?;
        let (id, bytes) = decoded.split_first_chunk::<4>()?;
        let is_valid = is_key_name(name) && !bytes.is_empty();
        is_valid.then(|| Self { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
    }

    pub(crate) fn line(&self) -> String {
        let encoded = BASE64_STANDARD.encode([&self.id.to_be_bytes()[..], &self.bytes].concat());
        format!("{SIGNATURE_PREFIX}{} {encoded}\n", self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn is_of(&self, name: &str, id: u32) -> bool {
        self.id == id && self.name == name
    }
}

/// Returns the text that is signed, without extension lines.
pub(crate) fn tree_head(origin: &str, size: u64, root: &Hash) -> Result<String> {
    if origin.is_empty() || origin.contains('\n') {
        return Err(Error::invalid("a checkpoint needs the name of its log, on one line"));
    }
    Ok(format!("{origin}\n{size}\n{}\n", BASE64_STANDARD.encode(root)))
}

/// Returns the note with this head and these signatures.
pub(crate) fn signed(head: &str, signatures: &[NoteSignature]) -> String {
    let lines: String = signatures.iter().map(NoteSignature::line).collect();
    format!("{head}\n{lines}")
}
