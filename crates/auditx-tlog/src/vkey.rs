//! The text form of public keys: `<name>+<id>+<base64 of an algorithm byte and the key>` (C2SP signed-note).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::tree::Hash;

/// Returns whether a key may have this name: not empty, no white space, no plus, no control character.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c == '+' || c.is_whitespace() || c.is_control())
}

/// Returns an error if no key may have this name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if is_key_name(name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "invalid key name {name:?}: it must not be empty or contain white space or `+`"
    )))
}

/// Returns the first four bytes of SHA-256(name ‖ `\n` ‖ algorithm ‖ public key).
pub(crate) fn id(name: &str, algorithm: u8, public: &[u8]) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(name);
    hasher.update([b'\n', algorithm]);
    hasher.update(public);
    let hash: Hash = hasher.finalize().into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// Returns the text form.
pub(crate) fn text(name: &str, algorithm: u8, public: &[u8]) -> String {
    let bytes = [&[algorithm], public].concat();
    format!("{name}+{:08x}+{}", id(name, algorithm, public), BASE64_STANDARD.encode(bytes))
}

/// Returns name, algorithm and public key; `None` if the text is not exactly what [`text`] returns for them,
/// or if no key may have the name.
pub(crate) fn parse(form: &str) -> Option<(&str, u8, Vec<u8>)> {
    let mut parts = form.splitn(3, '+');
    let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return None };
    let bytes = BASE64_STANDARD.decode(key).ok()?;
    let (algorithm, public) = bytes.split_first()?;
    let is_exact = is_key_name(name) && text(name, *algorithm, public) == form;
    is_exact.then(|| (name, *algorithm, public.to_vec()))
}
