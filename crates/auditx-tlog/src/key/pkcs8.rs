//! PKCS #8 for Ed25519 keys (RFC 8410): version 1, as OpenSSL writes it, and version 2, with the public key
//! (RFC 5958).
//!
//! Both have one encoding in DER, in which only the bytes of the keys vary.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::SigningKey;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Columns of base64 in PEM (RFC 7468).
const COLUMNS: usize = 64;

/// SEQUENCE of the version 0, the algorithm 1.3.101.112, and the seed as an OCTET STRING in an OCTET STRING.
const VERSION_1: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// The same with the version 1; the public key follows the seed.
const VERSION_2: [u8; 16] = *b"\x30\x51\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// `[1] IMPLICIT BIT STRING` of 32 bytes.
const PUBLIC_KEY: [u8; 3] = *b"\x81\x21\x00";

/// Decodes PEM. `None` if it is not exactly one private key for Ed25519.
pub(super) fn from_pem(text: &str) -> Option<SigningKey> {
    let body = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
    from_base64(&body.lines().map(str::trim_end).collect::<String>())
}

/// Decodes the base64 of the DER, on one line. `None` if a public key in it does not belong to the seed.
pub(super) fn from_base64(text: &str) -> Option<SigningKey> {
    let der = BASE64_STANDARD.decode(text).ok()?;
    let (head, rest) = der.split_first_chunk::<16>()?;
    let (seed, rest) = rest.split_first_chunk::<32>()?;
    let key = SigningKey::from_bytes(seed);
    let is_valid = match *head {
        VERSION_1 => rest.is_empty(),
        VERSION_2 => rest == [&PUBLIC_KEY[..], key.verifying_key().as_bytes()].concat(),
        _ => false,
    };
    is_valid.then_some(key)
}

/// Encodes a key as version 2, with its public key.
pub(super) fn to_pem(key: &SigningKey) -> String {
    let der = [&VERSION_2[..], key.as_bytes(), &PUBLIC_KEY, key.verifying_key().as_bytes()].concat();
    let encoded = BASE64_STANDARD.encode(der);
    let mut pem = format!("{BEGIN}\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, others) = rest.split_at(rest.len().min(COLUMNS));
        pem.push_str(line);
        pem.push('\n');
        rest = others;
    }
    pem + END + "\n"
}
