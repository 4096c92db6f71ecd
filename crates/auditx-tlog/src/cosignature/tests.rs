//! Keys and cosignatures of other programs, and those that must be refused.

use super::*;
use crate::checkpoint::SignedCheckpoint;
use crate::key::SigningKey;

/// The example of C2SP tlog-cosignature, without the signature of the log.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

#[test]
fn a_witness_key_has_one_text_form() {
    let public = SigningKey::generate().public_key();
    let key = WitnessKey::new("witness.example.com/w1", &public).unwrap();
    let text = key.to_string();
    assert!(text.contains("+B"), "the algorithm 4 in base64: {text}");
    assert_eq!(text.parse::<WitnessKey>().unwrap(), key);
    for wrong in
        [text.replace("w1", "w2"), format!("{text} "), text[..text.len() - 4].to_owned(), String::new()]
    {
        assert!(wrong.parse::<WitnessKey>().unwrap_err().is_invalid(), "{wrong}");
    }
    assert!(WitnessKey::new("a b", &public).unwrap_err().is_invalid());
    assert!(WitnessKey::new("w", &[0; 32]).unwrap_err().is_invalid());
    let log = crate::key::VerifierKey::new("log", &public).unwrap().to_string();
    let error = log.parse::<WitnessKey>().unwrap_err().to_string();
    assert!(error.contains("the key of a log"), "{error}");
}

#[test]
fn the_time_is_signed_and_the_published_form_is_read() {
    let checkpoint = SignedCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
    let signer = SigningKey::generate();
    let line = checkpoint.cosign("witness.example.com/w1", &signer, 1_679_315_147).unwrap();
    let key = WitnessKey::new("witness.example.com/w1", &signer.public_key()).unwrap();
    let cosigned = checkpoint.with_cosignature(&line, &key).unwrap();
    assert_eq!(cosigned.cosigned_at(&key), Some(1_679_315_147));
    // The published cosignature is kept beside it: another key with the same name.
    assert!(cosigned.as_str().contains("jWbPPwAAAABkGFDL"), "{cosigned}");
    let bytes = NoteSignature::parse(line.trim_end()).unwrap().bytes;
    let note = ParsedNote::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(key.time_of(&note, &bytes), Some(1_679_315_147));
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        assert_eq!(key.time_of(&note, &wrong), None, "byte {at}");
    }
    assert_eq!(key.time_of(&note, &bytes[..71]), None);
    assert_eq!(key.time_of(&note, &[&bytes[..], &[0]].concat()), None);
}

#[test]
fn a_checkpoint_without_cosignatures_is_what_the_log_signed() {
    let (log, witness) = (SigningKey::generate(), SigningKey::generate());
    let signed = SignedCheckpoint::sign("log", 7, &[9; 32], &[&log]).unwrap();
    let line = signed.cosign("w", &witness, 99).unwrap();
    let key = WitnessKey::new("w", &witness.public_key()).unwrap();
    let cosigned = signed.with_cosignature(&line, &key).unwrap();
    assert_ne!(cosigned.as_str(), signed.as_str());
    assert_eq!(cosigned.without_cosignatures().unwrap().as_str(), signed.as_str());
    // The log signs under its own name.
    let example = SignedCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
    assert!(example.without_cosignatures().unwrap_err().is_corrupt());
}

#[cfg(feature = "ml-dsa")]
#[test]
fn cosignatures_of_ml_dsa_44_are_verified_with_the_name_of_the_witness() {
    use ml_dsa::{Keypair, Signer as _};
    let signer = ml_dsa::SigningKey::<ml_dsa::MlDsa44>::from_seed(&[7; 32].into());
    let public = signer.verifying_key().encode();
    let key: WitnessKey = vkey::text("witness.example.com/w2", ML_DSA_44, &public).parse().unwrap();
    assert_eq!(key.to_string().parse::<WitnessKey>().unwrap(), key);
    let log = SigningKey::generate();
    let note = |size| {
        let checkpoint = SignedCheckpoint::sign("log", size, &[9; 32], &[&log]).unwrap();
        ParsedNote::parse(checkpoint.as_str().as_bytes()).unwrap()
    };
    let (larger, note) = (note(8), note(7));
    let message = ml_dsa_message(&note, key.name(), 99).unwrap();
    assert_eq!(message.len(), 12 + 1 + 22 + 8 + 1 + 3 + 8 + 8 + 32);
    let signature = signer.sign(&message).encode();
    let bytes = [&99_u64.to_be_bytes()[..], &signature].concat();
    assert_eq!(bytes.len(), 8 + 2420);
    assert_eq!(key.time_of(&note, &bytes), Some(99));
    let elsewhere: WitnessKey = vkey::text("witness.example.com/w3", ML_DSA_44, &public).parse().unwrap();
    assert_eq!(elsewhere.time_of(&note, &bytes), None, "the name is signed");
    assert_eq!(key.time_of(&larger, &bytes), None);
}
