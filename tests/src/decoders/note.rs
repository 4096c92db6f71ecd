//! Check of signed checkpoints and verifier keys.

use auditx_core::VerifierKey;
use auditx_tlog::SignedCheckpoint;
use base64::prelude::{BASE64_STANDARD, Engine as _};

/// Checks that a parsed checkpoint or key prints as the same bytes, and that a foreign key does not verify
/// it.
///
/// # Panics
/// If one of this is violated.
pub fn note(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = text.parse::<VerifierKey>()
    {
        assert_eq!(key.to_string(), text);
        assert_eq!(VerifierKey::new(key.name(), &key.public_key()).ok().as_ref(), Some(&key));
    }
    let parsed = SignedCheckpoint::parse(bytes).is_ok();
    let Ok(checkpoint) = SignedCheckpoint::parse_extended(bytes) else { return assert!(!parsed) };
    assert_eq!(checkpoint.to_string().as_bytes(), bytes);
    let (origin, size) = (checkpoint.origin(), checkpoint.size());
    let head = format!("{origin}\n{size}\n{}\n", BASE64_STANDARD.encode(checkpoint.root()));
    assert!(checkpoint.as_str().starts_with(&head), "{checkpoint}");
    let has_extension = !checkpoint.as_str()[head.len()..].starts_with("\n— ");
    assert_eq!(has_extension, !parsed, "{checkpoint}");

    // A foreign key under the same name. Its id matches the checkpoint's with probability 2^-32.
    let foreign = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
        0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ];
    if let Ok(key) = VerifierKey::new(origin, &foreign) {
        assert!(checkpoint.verify(&[key]).is_err(), "{checkpoint}");
    }
}
