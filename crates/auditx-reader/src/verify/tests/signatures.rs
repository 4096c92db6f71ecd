//! Checkpoints without signatures, with wrong ones, of other keys and other logs.

use std::fs;

use auditx_store::{ACTIVE, checkpoint_path};
use auditx_tlog::{Signer, SigningKey, VerifierKey};

use super::fixture::*;
use super::*;

use FaultKind::{BadSignature, ForeignLog, MalformedCheckpoint, NotAFile, Unsigned, WrongKey};

#[test]
fn a_trail_without_a_checkpoint_is_unsigned() {
    let trail = Trail::of(5);
    fs::remove_file(checkpoint_path(trail.path())).unwrap();
    assert_eq!(trail.found(), (Unsigned, None));
    fs::remove_dir_all(trail.own("")).unwrap();
    assert_eq!(trail.found(), (Unsigned, None));
    let verification = trail.verify_with(VerifyOptions::new);
    assert_eq!(verification.fault.unwrap().kind, Unsigned);
}

#[test]
fn a_checkpoint_without_its_signature_is_unsigned() {
    let trail = Trail::of(5);
    let note = trail.checkpoint();
    let head = note.split("\n\n").next().unwrap();
    for stripped in [format!("{head}\n"), format!("{head}\n\n"), head.to_owned()] {
        trail.set_checkpoint(&stripped);
        assert_eq!(trail.found(), (Unsigned, None), "{stripped:?}");
    }
}

#[test]
fn a_malformed_checkpoint_is_a_fault() {
    let trail = Trail::of(5);
    let note = trail.checkpoint();
    let size = parsed(&note).size();
    let spelled =
        |size: &str| note.replacen(&format!("\n{}\n", parsed(&note).size()), &format!("\n{size}\n"), 1);
    let malformed = [
        String::new(),
        "x".to_owned(),
        format!("{note}\n"),
        note.replace('\n', "\r\n"),
        spelled(&format!("0{size}")),
        spelled(&format!("+{size}")),
        spelled("18446744073709551616"),
        note.replacen("\n\n", "\nextension\n\n", 1),
        note.replacen("=\n\n", "\n\n", 1),
        format!("\u{1}{note}"),
        "x".repeat(100_000),
    ];
    for malformed in malformed {
        trail.set_checkpoint(&malformed);
        assert_eq!(trail.found(), (MalformedCheckpoint, None), "{malformed:.80?}");
    }
    let path = checkpoint_path(trail.path());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(trail.found(), (NotAFile, None));
}

#[test]
fn a_checkpoint_with_only_unknown_signatures_is_a_fault() {
    let trail = Trail::of(5);
    let note = parsed(&trail.checkpoint());
    let other = SigningKey::generate();
    trail.set_checkpoint(&signed(&trail.key, note.size(), note.root(), &[&other]));
    assert_eq!(trail.found(), (WrongKey, None));
    assert_eq!(trail.verify_with(VerifyOptions::new).fault.unwrap().kind, WrongKey);
    // Next to the known signature it does no harm.
    trail.set_checkpoint(&signed(&trail.key, note.size(), note.root(), &[&other, &trail.signing]));
    assert_eq!(trail.verify().answer, Answer::Intact);
}

#[test]
fn an_invalid_signature_of_a_pinned_key_is_a_fault() {
    let trail = Trail::of(5);
    let note = parsed(&trail.checkpoint());
    let other = SigningKey::generate();
    let other_key = VerifierKey::new(trail.key.name(), &Signer::public_key(&other)).unwrap();
    let both = signed(&trail.key, note.size(), note.root(), &[&trail.signing, &other]);
    let wrong = signed(&trail.key, note.size() + 1, note.root(), &[&other]);
    let (good, bad) = (both.lines().last().unwrap(), wrong.lines().last().unwrap());
    trail.set_checkpoint(&both.replace(good, bad));
    let options = || trail.options().key(other_key.clone());
    assert_eq!(trail.verify_with(options).fault.unwrap().kind, BadSignature);
    assert_eq!(trail.verify().answer, Answer::Intact, "a signature of an unpinned key is ignored");
}

#[test]
fn a_malleated_signature_is_bad() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let trail = Trail::of(5);
    let note = trail.checkpoint();
    let blob = note.trim_end().rsplit(' ').next().unwrap();
    let mut bytes = BASE64_STANDARD.decode(blob).unwrap();
    // S + L, which lenient verifiers accept as the same signature.
    let order = [
        0xed_u8, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, order) in bytes[36..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    trail.set_checkpoint(&note.replace(blob, &BASE64_STANDARD.encode(bytes)));
    assert_eq!(trail.found(), (BadSignature, None));
}

#[test]
fn another_key_with_the_same_name_is_the_wrong_key() {
    let trail = Trail::of(5);
    let other = VerifierKey::new(trail.key.name(), &Signer::public_key(&SigningKey::generate())).unwrap();
    let options = || VerifyOptions::new().key(other.clone());
    assert_eq!(trail.verify_with(options).fault.unwrap().kind, WrongKey);
    // One of several pinned keys is enough.
    let options = || trail.options().key(other.clone());
    assert_eq!(trail.verify_with(options).answer, Answer::Intact);
}

#[test]
fn a_checkpoint_of_another_log_is_foreign() {
    let trail = Trail::of(5);
    let other = Trail::with(&trail.signing, |config| config, |logger| record(logger, 0, 10));
    trail.set_checkpoint(&other.checkpoint());
    assert_eq!(trail.found(), (ForeignLog, None));
    // Even without a pinned key that names the log.
    assert_eq!(trail.verify_with(VerifyOptions::new).fault.unwrap().kind, ForeignLog);
}

#[test]
fn another_trail_is_foreign_to_the_pinned_key() {
    let trail = Trail::of(5);
    for signing in [trail.signing.clone(), SigningKey::generate()] {
        let other = Trail::with(&signing, |config| config, |logger| record(logger, 0, 10));
        let options = || trail.options();
        assert_eq!(other.verify_with(options).fault.unwrap().kind, ForeignLog);
    }
}

#[test]
fn a_trail_forged_under_the_right_name_has_the_wrong_key() {
    let trail = Trail::of(5);
    let forger = SigningKey::generate();
    let forged_key = VerifierKey::new(trail.key.name(), &Signer::public_key(&forger)).unwrap();
    // All lines, the key in `genesis` and every checkpoint.
    trail.edit(|lines| {
        lines[0] = lines[0].replace(&trail.key.to_string(), &forged_key.to_string());
        lines[4] = lines[4].replace("entry", "forgery");
    });
    let lines = trail.lines();
    trail.set_checkpoint(&signed(&trail.key, lines.len() as u64, &root_of(&lines), &[&forger]));
    trail.remove_history();
    trail.remove_tiles();
    assert_eq!(trail.found(), (WrongKey, None));
    let alone = trail.verify_with(VerifyOptions::new);
    assert_eq!((alone.answer, alone.fault), (Answer::Unconfirmed, None), "not visible without a pinned key");
    assert!(alone.reasons.contains(&Reason::KeyNotPinned));
}

#[test]
fn a_signed_first_line_of_another_log_is_foreign() {
    let trail = Trail::of(5);
    trail.edit(|lines| lines[0] = lines[0].replace("\"trail_id\":\"", "\"trail_id\":\"00"));
    trail.sign_again();
    let verification = trail.verify_with(|| VerifyOptions::new().key(trail.key.clone()));
    let fault = verification.fault.unwrap();
    assert_eq!((fault.kind, fault.seq), (ForeignLog, Some(0)));
}

#[test]
fn a_missing_identity_is_a_remark_and_another_one_is_foreign() {
    let trail = Trail::of(5);
    let identity = fs::read_to_string(trail.own("trail.json")).unwrap();
    fs::write(trail.own("trail.json"), identity.replace("\"trail_id\": \"", "\"trail_id\": \"00")).unwrap();
    assert_eq!(trail.found(), (ForeignLog, None));
    fs::remove_file(trail.own("trail.json")).unwrap();
    let verification = trail.verify();
    assert_eq!(verification.answer, Answer::Intact);
    assert_eq!(verification.remarks[0].kind, RemarkKind::UnreadableIdentity);
    assert!(trail.file(ACTIVE).exists());
}
