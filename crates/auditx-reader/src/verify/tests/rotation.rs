//! Trails whose key was replaced: a verifier who pinned the old key can follow, and cannot be misled.

use std::fs;
use std::sync::Arc;

use auditx_core::{Compression, KeySource};
use auditx_store::checkpoint_history;
use auditx_tlog::{Signer, SigningKey, VerifierKey};

use super::fixture::*;
use super::*;

use FaultKind::{FalseRecord, WrongKey};

/// A trail whose key was replaced twice, and the three keys.
fn rotated() -> (Trail, Vec<(SigningKey, VerifierKey)>) {
    let signing: Vec<SigningKey> = (0..3).map(|_| SigningKey::generate()).collect();
    let trail = Trail::with(
        &signing[0],
        |config| config.compression(Compression::None),
        |logger| {
            for next in &signing[1..] {
                (0..4).for_each(|number| record(logger, number, 10));
                logger.rotate_key(&KeySource::Signer(Arc::new(next.clone()))).unwrap();
            }
            (0..4).for_each(|number| record(logger, number, 10));
        },
    );
    let name = trail.key.name().to_owned();
    let keys = signing.into_iter().map(|signing| {
        let key = VerifierKey::new(&name, &signing.public_key()).unwrap();
        (signing, key)
    });
    let keys = keys.collect();
    (trail, keys)
}

fn pinned<'a>(trail: &'a Trail, key: &'a VerifierKey) -> impl Fn() -> VerifyOptions + 'a {
    || VerifyOptions::new().key(key.clone()).known(parsed(&trail.known))
}

#[test]
fn any_pinned_key_leads_to_the_last_key() {
    let (trail, keys) = rotated();
    for (_, key) in &keys {
        let verification = trail.verify_with(pinned(&trail, key));
        assert_eq!(verification.answer, Answer::Intact, "{verification:?}");
        assert_eq!(verification.keys, [Signatory { key: keys[2].1.to_string(), is_pinned: true }]);
    }
    let verification = trail.verify_with(VerifyOptions::new);
    assert_eq!(verification.reasons, [Reason::KeyNotPinned, Reason::FreshnessUnknown]);
    assert_eq!(verification.keys, [Signatory { key: keys[2].1.to_string(), is_pinned: false }]);
}

#[test]
fn a_known_checkpoint_of_an_earlier_key_counts() {
    let (trail, keys) = rotated();
    let lines = trail.lines();
    let old = signed(&keys[0].1, 3, &root_of(&lines[..3]), &[&keys[0].0]);
    let options = || VerifyOptions::new().key(keys[2].1.clone()).known(parsed(&old));
    assert_eq!(trail.verify_with(options).answer, Answer::Intact);
}

#[test]
fn a_key_named_only_by_unsigned_lines_does_not_count() {
    let (trail, keys) = rotated();
    let lines = trail.lines();
    let stranger = SigningKey::generate();
    let key = VerifierKey::new(trail.key.name(), &stranger.public_key()).unwrap();
    let record = lines.iter().find(|line| line.contains("\"kind\":\"key\"")).unwrap();
    let record = renumbered(record, lines.len());
    let forged = record.replace(&keys[1].1.to_string(), &key.to_string());
    trail.edit(|lines| lines.push(forged));
    let known = signed(&trail.key, 5, &root_of(&lines[..5]), &[&stranger]);
    let options = VerifyOptions::new().key(keys[2].1.clone()).known(parsed(&known));
    assert!(verify(trail.path(), &options, &mut |_, _| {}).unwrap_err().is_invalid());
}

#[test]
fn without_the_boundary_checkpoint_old_keys_do_not_lead_on() {
    let (trail, keys) = rotated();
    trail.remove_history();
    for (_, key) in &keys[..2] {
        let fault = trail.verify_with(pinned(&trail, key)).fault.unwrap();
        assert_eq!(fault.kind, WrongKey);
    }
    assert_eq!(trail.verify_with(pinned(&trail, &keys[2].1)).answer, Answer::Intact);
}

#[test]
fn a_boundary_signed_only_by_the_new_key_does_not_count() {
    let (trail, keys) = rotated();
    for entry in fs::read_dir(checkpoint_history(trail.path())).unwrap() {
        let path = entry.unwrap().path();
        let note = parsed(&fs::read_to_string(&path).unwrap());
        fs::write(path, signed(&keys[0].1, note.size(), note.root(), &[&keys[1].0, &keys[2].0])).unwrap();
    }
    assert_eq!(trail.verify_with(pinned(&trail, &keys[0].1)).fault.unwrap().kind, WrongKey);
    assert_eq!(trail.verify_with(pinned(&trail, &keys[1].1)).answer, Answer::Intact);
}

#[test]
fn a_newer_key_cannot_sign_a_history_of_the_older_one() {
    let (trail, keys) = rotated();
    // The holder of only the last key rewrites what the first key signed.
    trail.edit(|lines| lines[3] = lines[3].replace("entry", "forgery"));
    let lines = trail.lines();
    trail.set_checkpoint(&signed(&keys[0].1, lines.len() as u64, &root_of(&lines), &[&keys[2].0]));
    trail.remove_tiles();
    let refuse = || {
        for (_, key) in &keys[..2] {
            let options = || VerifyOptions::new().key(key.clone());
            assert_eq!(trail.verify_with(options).fault.unwrap().kind, WrongKey);
        }
    };
    // The true boundary checkpoints, signed with both keys, do not match these lines.
    refuse();
    for entry in fs::read_dir(checkpoint_history(trail.path())).unwrap() {
        let path = entry.unwrap().path();
        let size = parsed(&fs::read_to_string(&path).unwrap()).size();
        let root = root_of(&lines[..usize::try_from(size).unwrap()]);
        fs::write(path, signed(&keys[0].1, size, &root, &[&keys[2].0])).unwrap();
    }
    refuse();
}

#[test]
fn a_replaced_key_may_not_sign() {
    let (trail, keys) = rotated();
    let note = parsed(&trail.checkpoint());
    trail.set_checkpoint(&signed(&keys[0].1, note.size(), note.root(), &[&keys[0].0]));
    let options = || VerifyOptions::new().key(keys[0].1.clone());
    assert_eq!(trail.verify_with(options).fault.unwrap().kind, WrongKey);
    assert_eq!(trail.verify_with(VerifyOptions::new).fault.unwrap().kind, WrongKey);
}

#[test]
fn recorded_checkpoints_need_the_key_of_their_time() {
    let (mut trail, keys) = rotated();
    trail.signing = keys[2].0.clone();
    let logger = trail.reopen();
    record(&logger, 0, 10);
    logger.close(TIMEOUT).unwrap();
    trail.known = trail.checkpoint();
    for (_, key) in &keys {
        assert_eq!(trail.verify_with(pinned(&trail, key)).answer, Answer::Intact);
    }
    let lines = trail.lines();
    let at = lines.iter().rposition(|line| line.contains("\"kind\":\"checkpoint\"")).unwrap();
    let entry = auditx_format::row::Row::read_text(&lines[at]).unwrap().entry();
    let note = entry.control_record.unwrap()["note"].as_str().unwrap().to_owned();
    let (size, root) = (parsed(&note).size(), *parsed(&note).root());
    let quoted = |note: &str| serde_json::to_string(note).unwrap();
    for (number, (signing, _)) in keys.iter().enumerate() {
        let forged = trail.copy();
        let by_another = signed(&keys[0].1, size, &root, &[signing]);
        forged.edit(|lines| lines[at] = lines[at].replace(&quoted(&note), &quoted(&by_another)));
        let lines = forged.lines();
        forged.set_checkpoint(&signed(&keys[0].1, lines.len() as u64, &root_of(&lines), &[&keys[2].0]));
        forged.remove_tiles();
        fs::remove_file(checkpoint_history(forged.path()).join(lines.len().to_string())).unwrap();
        let options = || VerifyOptions::new().key(keys[2].1.clone());
        let fault = forged.verify_with(options).fault.map(|fault| (fault.kind, fault.seq));
        let expected = (number < 2).then_some((FalseRecord, Some(at as u64)));
        assert_eq!(fault, expected, "key {number}");
    }
}

#[test]
fn an_uncompleted_key_change_leaves_the_old_key() {
    #[derive(Debug)]
    struct Unwilling(SigningKey);
    impl Signer for Unwilling {
        fn public_key(&self) -> [u8; 32] {
            self.0.public_key()
        }
        fn sign(&self, _message: &[u8]) -> std::result::Result<[u8; 64], auditx_format::HookError> {
            Err("the module is out of order".into())
        }
    }
    let trail = Trail::with(
        &SigningKey::generate(),
        |config| config,
        |logger| {
            let next = KeySource::Signer(Arc::new(Unwilling(SigningKey::generate())));
            assert!(logger.rotate_key(&next).unwrap_err().is_signing());
            record(logger, 0, 10);
        },
    );
    assert!(trail.lines().iter().any(|line| line.contains("\"kind\":\"key\"")));
    assert_eq!(trail.verify().answer, Answer::Intact);
}
