//! Encrypts positions. A position names trails and lines, which a viewer for whom some entries do not exist
//! must not learn. The key is that of the process.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Lengths in bytes. The text is padded to a multiple of [`PADDED`], so that its length reveals little.
const NONCE: usize = 16;
const TAG: usize = 16;
const PADDED: usize = 64;

/// Encrypts text, then authenticates it: HMAC-SHA-256 in counter mode, and an HMAC of the result. Without
/// optional features, no dependency of this crate encrypts.
pub(crate) struct Seal([u8; 64]);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// Creates a random key. Fails if the system has no random numbers.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 64];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    /// Encrypts text. Fails if the system has no random numbers.
    pub(crate) fn close(&self, text: &str) -> Result<String, getrandom::Error> {
        let mut bytes = vec![0; NONCE];
        getrandom::fill(&mut bytes)?;
        let mut padded = text.as_bytes().to_vec();
        padded.resize(text.len().div_ceil(PADDED) * PADDED, b' ');
        self.apply_stream(&bytes, &mut padded);
        bytes.extend_from_slice(&padded);
        let tag = self.mac(b"tag", &[&bytes]);
        bytes.extend_from_slice(&tag[..TAG]);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Decrypts text; `None` if it was not encrypted with this key.
    pub(crate) fn open(&self, sealed: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (rest, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        // Compared in constant time.
        let mac = self.keyed(b"tag", &[rest]);
        mac.verify_truncated_left(tag).ok()?;
        let (nonce, padded) = rest.split_at_checked(NONCE)?;
        let mut text = padded.to_vec();
        self.apply_stream(nonce, &mut text);
        Some(String::from_utf8(text).ok()?.trim_end().to_owned())
    }

    fn apply_stream(&self, nonce: &[u8], text: &mut [u8]) {
        for (number, block) in (0_u64..).zip(text.chunks_mut(32)) {
            let stream = self.mac(b"stream", &[nonce, &number.to_be_bytes()]);
            block.iter_mut().zip(stream).for_each(|(byte, other)| *byte ^= other);
        }
    }

    fn mac(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        self.keyed(purpose, parts).finalize().into_bytes().into()
    }

    fn keyed(&self, purpose: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
        // Needs no separators: each part but the last has a fixed length for its purpose.
        let mut mac = <Hmac<Sha256> as Mac>::new(&self.0.into());
        mac.update(purpose);
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_closed_is_opened_with_the_same_key_only() {
        let (seal, other) = (Seal::new().unwrap(), Seal::new().unwrap());
        for text in ["", "seq:7", &"a%2Fworker-1@seq:70000,".repeat(40)] {
            let sealed = seal.close(text).unwrap();
            assert!(!sealed.contains("seq"), "{sealed}");
            assert_ne!(sealed, seal.close(text).unwrap());
            assert_eq!(seal.open(&sealed).as_deref(), Some(text));
            assert_eq!(other.open(&sealed), None);
        }
        assert_eq!(seal.close("seq:7").unwrap().len(), seal.close("seq:7000000").unwrap().len());
    }

    #[test]
    fn what_was_altered_is_not_opened() {
        let seal = Seal::new().unwrap();
        let sealed = seal.close("seq:7").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open(&String::from_utf8(altered).unwrap()), None, "at {at}");
        }
        for foreign in ["", "seq:7", "AAAA"] {
            assert_eq!(seal.open(foreign), None);
        }
    }
}
