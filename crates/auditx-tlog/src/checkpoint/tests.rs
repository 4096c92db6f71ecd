//! Checkpoints that must be accepted, and those that must be rejected.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::*;
use crate::key::SigningKey;

const ORIGIN: &str = "erp.example.com/auditx/9f0c";

struct Signed {
    key: SigningKey,
    verifier: VerifierKey,
    checkpoint: SignedCheckpoint,
}

fn signed() -> Signed {
    let key = SigningKey::generate();
    let verifier = VerifierKey::new(ORIGIN, &key.public_key()).unwrap();
    let checkpoint = SignedCheckpoint::sign(ORIGIN, 7, &[9; 32], &[&key]).unwrap();
    Signed { key, verifier, checkpoint }
}

/// Returns the text with one of its lines replaced.
fn with_line(note: &str, number: usize, line: &str) -> String {
    note.split('\n')
        .enumerate()
        .map(|(at, old)| if at == number { line } else { old })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_checkpoint_reads_back_and_verifies() {
    let Signed { verifier, checkpoint, .. } = signed();
    let read = SignedCheckpoint::parse(checkpoint.as_str().as_bytes()).unwrap();
    assert_eq!((read.origin(), read.size(), *read.root()), (ORIGIN, 7, [9; 32]));
    assert_eq!(read.to_string(), checkpoint.as_str());
    assert_eq!(read.verify(std::slice::from_ref(&verifier)).unwrap(), [&verifier]);
}

#[test]
fn non_canonical_forms_are_refused() {
    let Signed { checkpoint, .. } = signed();
    let note = checkpoint.as_str();
    let root = BASE64_STANDARD.encode([9; 32]);
    for size in ["007", "+7", "0x7", "18446744073709551616", "-7", "", "7 "] {
        assert!(
            SignedCheckpoint::parse(with_line(note, 1, size).as_bytes()).unwrap_err().is_corrupt(),
            "size {size:?}"
        );
    }
    // Non-zero unused bits in the last digit before the padding.
    let loose = root.replace("CQk=", "CQl=");
    assert_ne!(loose, root);
    for root in
        [BASE64_STANDARD.encode([9; 31]), BASE64_STANDARD.encode([9; 33]), loose, root.replace('=', "")]
    {
        assert!(
            SignedCheckpoint::parse(with_line(note, 2, &root).as_bytes()).unwrap_err().is_corrupt(),
            "root {root}"
        );
    }
    for (wrong, what) in [
        (with_line(note, 2, &format!("{root}\nextension")), "an extension line"),
        (format!("{note}\n"), "a trailing line"),
        (format!("{note}x"), "trailing bytes"),
        (note.trim_end().to_owned(), "no last newline"),
        (with_line(note, 0, ""), "no origin"),
        (with_line(note, 0, "erp\u{1}"), "a control character"),
        (note.replace('\n', "\r\n"), "CRLF"),
        (note.split("\n\n").next().unwrap().to_owned() + "\n\n", "its signature stripped"),
        (String::new(), "nothing"),
    ] {
        assert!(SignedCheckpoint::parse(wrong.as_bytes()).unwrap_err().is_corrupt(), "{what}");
    }
    let long = [note.as_bytes(), &vec![b'x'; 70_000]].concat();
    assert!(SignedCheckpoint::parse(&long).unwrap_err().is_corrupt());
    assert!(SignedCheckpoint::parse(b"\xff\n").unwrap_err().is_corrupt());
}

#[test]
fn any_flipped_bit_is_detected() {
    let Signed { verifier, checkpoint, .. } = signed();
    let keys = [verifier];
    let note = checkpoint.as_str().as_bytes();
    for at in 0..note.len() * 8 {
        let mut flipped = note.to_vec();
        flipped[at / 8] ^= 1 << (at % 8);
        let is_accepted = SignedCheckpoint::parse(&flipped).is_ok_and(|read| read.verify(&keys).is_ok());
        assert!(!is_accepted, "bit {at}");
    }
}

#[test]
fn only_given_keys_count_and_one_bad_signature_suffices() {
    let Signed { key, verifier, checkpoint } = signed();
    let (other, other_verifier) = {
        let key = SigningKey::generate();
        let verifier = VerifierKey::new(ORIGIN, &key.public_key()).unwrap();
        (key, verifier)
    };
    assert_eq!(checkpoint.verify(&[]).unwrap_err(), SignatureFault::WrongKey);
    assert_eq!(
        checkpoint.verify(std::slice::from_ref(&other_verifier)).unwrap_err(),
        SignatureFault::WrongKey
    );
    // The same key under another name belongs to another log.
    let elsewhere = VerifierKey::new("crm.example.com/auditx/77", &key.public_key()).unwrap();
    assert_eq!(checkpoint.verify(&[elsewhere]).unwrap_err(), SignatureFault::WrongKey);

    let both = SignedCheckpoint::sign(ORIGIN, 7, &[9; 32], &[&key, &other]).unwrap();
    assert_eq!(
        both.verify(std::slice::from_ref(&verifier)).unwrap(),
        [&verifier],
        "the signature of an unknown key is ignored"
    );
    let keys = [verifier.clone(), other_verifier];
    assert_eq!(both.verify(&keys).unwrap().len(), 2);
    // A valid signature beside an invalid one of a given key.
    let foreign = SignedCheckpoint::sign(ORIGIN, 8, &[9; 32], &[&other]).unwrap();
    let stolen = foreign.as_str().lines().last().unwrap();
    let mixed = format!("{}{stolen}\n", checkpoint.as_str());
    assert_eq!(
        SignedCheckpoint::parse(mixed.as_bytes()).unwrap().verify(&keys).unwrap_err(),
        SignatureFault::BadSignature
    );
    assert_eq!(checkpoint.verify(&[verifier.clone(), verifier]).unwrap_err(), SignatureFault::AmbiguousKey);
}

#[test]
fn a_key_of_another_log_is_not_accepted() {
    // A given key signed the note, but its name is that of another log.
    let key = SigningKey::generate();
    let elsewhere = VerifierKey::new("crm.example.com/auditx/77", &key.public_key()).unwrap();
    let head = note::tree_head(ORIGIN, 7, &[9; 32]).unwrap();
    let signature = key.sign(head.as_bytes()).unwrap();
    let note =
        note::signed(&head, &[NoteSignature::new(elsewhere.name(), elsewhere.id(), signature.to_vec())]);
    assert_eq!(
        SignedCheckpoint::parse(note.as_bytes()).unwrap().verify(&[elsewhere]).unwrap_err(),
        SignatureFault::WrongKey
    );
}

#[derive(Debug)]
struct Faulty(SigningKey, bool);

impl Signer for Faulty {
    fn public_key(&self) -> [u8; 32] {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], crate::error::SignerError> {
        if self.1 { Err("the HSM is on fire".into()) } else { self.0.sign(&message[1..]) }
    }
}

#[test]
fn a_failing_or_wrong_signer_is_an_error() {
    for fails in [true, false] {
        let error = SignedCheckpoint::sign(ORIGIN, 7, &[9; 32], &[&Faulty(SigningKey::generate(), fails)])
            .unwrap_err();
        assert!(error.is_signing(), "{error}");
    }
}

/// A checkpoint of a public log (Rekor, 2024) with an extension line. It is signed with ECDSA.
const REKOR: &str = "rekor.sigstore.dev - 2605736670972794746\n64319120\nW7/06fgDSjOxApliccDgG4fKqDxExG6JO0e4FGf9gIw=\n\
    Timestamp: 1706845443714164712\n\n\
    — rekor.sigstore.dev wNI9ajBFAiEAnduIhP1Jjz8E0ZAP8e1x0aKqzJCtmWZyV1mRJB/PlOoCIBoeHdjeONYmxlD2Za7sU0NeK/60skNnwoelsa3m2M8z\n";

/// Signs this text, with its last newline, as a checkpoint of the log.
fn noted(text: &str, key: &SigningKey, verifier: &VerifierKey) -> String {
    let signature = key.sign(text.as_bytes()).unwrap().to_vec();
    note::signed(text, &[NoteSignature::new(verifier.name(), verifier.id(), signature)])
}

#[test]
fn extension_lines_are_read_only_where_they_are_expected() {
    let read = SignedCheckpoint::parse_extended(REKOR.as_bytes()).unwrap();
    assert_eq!((read.origin(), read.size()), ("rekor.sigstore.dev - 2605736670972794746", 64_319_120));
    assert_eq!(read.as_str(), REKOR);
    assert!(SignedCheckpoint::parse(REKOR.as_bytes()).unwrap_err().is_corrupt());
    let Signed { checkpoint, .. } = signed();
    let plain = SignedCheckpoint::parse_extended(checkpoint.as_str().as_bytes()).unwrap();
    assert_eq!(plain.as_str(), checkpoint.as_str());
    let two_lines = REKOR.replace("Timestamp", "Other: x\nTimestamp");
    assert_eq!(SignedCheckpoint::parse_extended(two_lines.as_bytes()).unwrap().as_str(), two_lines);
    for (wrong, what) in [
        (REKOR.replace("Timestamp", "\nTimestamp"), "an empty one before"),
        (REKOR.replace("\n\n", "\n\n\n"), "an empty one after"),
        (REKOR.replace("Timestamp", "Time\tstamp"), "a control character"),
        (REKOR.replace("Timestamp", "Time\rstamp"), "a carriage return"),
    ] {
        assert!(SignedCheckpoint::parse_extended(wrong.as_bytes()).unwrap_err().is_corrupt(), "{what}");
    }
}

#[test]
fn extension_lines_are_signed_and_cosigned() {
    let Signed { key, verifier, checkpoint } = signed();
    let text = format!("{}first extension\n— second\n", checkpoint.note.head());
    let note = noted(&text, &key, &verifier);
    let extended = SignedCheckpoint::parse_extended(note.as_bytes()).unwrap();
    let keys = [verifier];
    assert_eq!(extended.verify(&keys).unwrap().len(), 1);
    let other = note.replace("first", "other");
    let other = SignedCheckpoint::parse_extended(other.as_bytes()).unwrap();
    assert_eq!(other.verify(&keys).unwrap_err(), SignatureFault::BadSignature);

    let witness = SigningKey::generate();
    let key = WitnessKey::new("witness.example.com/w1", &witness.public_key()).unwrap();
    let line = extended.cosign(key.name(), &witness, 1_679_315_147).unwrap();
    let bytes = NoteSignature::parse(line.trim_end()).unwrap().bytes;
    let message = format!("cosignature/v1\ntime 1679315147\n{text}");
    let as_log = VerifierKey::new("w", &witness.public_key()).unwrap();
    assert!(as_log.is_signature(message.as_bytes(), bytes[8..].try_into().unwrap()));
    let cosigned = extended.with_cosignature(&line, &key).unwrap();
    assert_eq!((cosigned.cosigned_at(&key), cosigned.cosignature_count()), (Some(1_679_315_147), 1));
    assert!(checkpoint.with_cosignature(&line, &key).unwrap_err().is_corrupt(), "without the extension");
    assert!(other.with_cosignature(&line, &key).unwrap_err().is_corrupt(), "another extension");
    assert!(checkpoint.merged(&cosigned).unwrap_err().is_invalid());
}
