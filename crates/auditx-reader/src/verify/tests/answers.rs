//! Intact trails, what makes the answer unconfirmed, and what cannot be checked at all.

use std::fs;

use auditx_core::{AuditLogger, Compression, Config};
use auditx_store::{ACTIVE, checkpoint_path};

use super::fixture::*;
use super::*;

fn reasons(trail: &Trail, options: impl Fn() -> VerifyOptions) -> Vec<Reason> {
    let verification = trail.verify_with(options);
    assert_eq!((verification.answer, verification.fault), (Answer::Unconfirmed, None));
    verification.reasons
}

#[test]
fn a_trail_with_a_pinned_key_and_known_checkpoint_is_intact() {
    for trail in [Trail::of(20), Trail::of_segments(Compression::None), Trail::of_segments(Compression::Zstd)]
    {
        let verification = trail.verify();
        assert_eq!(verification.answer, Answer::Intact, "{verification:?}");
        assert_eq!((&verification.reasons, &verification.remarks), (&vec![], &vec![]));
        let known = parsed(&trail.known);
        assert_eq!((verification.signed, verification.lines), (Some(known.size()), known.size()));
        assert_eq!(verification.known, [known.size()]);
        assert_eq!(verification.root.as_deref(), Some(&*to_hex(known.root())));
        assert_eq!(verification.origin.as_deref(), Some(trail.key.name()));
        assert_eq!(verification.keys, [Signatory { key: trail.key.to_string(), is_pinned: true }]);
        let segments = trail.segments();
        assert_eq!(verification.segments, segments.len() as u64);
        let on_disk = segments.iter().map(|name| fs::metadata(trail.file(name)).unwrap().len());
        assert_eq!(verification.bytes, on_disk.sum::<u64>());
        assert_eq!((verification.first_seq, verification.unsigned_lines, verification.torn_bytes), (0, 0, 0));
    }
}

#[test]
fn an_older_known_checkpoint_is_enough() {
    let trail = Trail::of(5);
    let logger = trail.reopen();
    (0..2_000).for_each(|number| record(&logger, number, 10));
    logger.close(TIMEOUT).unwrap();
    let verification = trail.verify();
    assert_eq!(verification.answer, Answer::Intact, "{verification:?}");
    assert!(verification.signed > Some(2_000) && verification.known == [parsed(&trail.known).size()]);
}

#[test]
fn without_a_key_or_known_checkpoint_no_trail_is_intact() {
    let trail = Trail::of(5);
    let known = || parsed(&trail.known);
    let new = VerifyOptions::new;
    assert_eq!(reasons(&trail, || new().key(trail.key.clone())), [Reason::FreshnessUnknown]);
    assert_eq!(reasons(&trail, || new().known(known())), [Reason::KeyNotPinned]);
    assert_eq!(reasons(&trail, new), [Reason::KeyNotPinned, Reason::FreshnessUnknown]);
    let verification = trail.verify_with(new);
    assert_eq!(verification.keys, [Signatory { key: trail.key.to_string(), is_pinned: false }]);
}

#[test]
fn unsigned_or_torn_lines_make_the_answer_unconfirmed() {
    let trail = Trail::of(5);
    let older = trail.checkpoint();
    let logger = trail.reopen();
    record(&logger, 5, 10);
    logger.close(TIMEOUT).unwrap();
    trail.set_checkpoint(&older);
    trail.remove_history();
    assert_eq!(reasons(&trail, || trail.options()), [Reason::TailUnsigned]);
    assert!(trail.verify().unsigned_lines >= 3);

    let trail = Trail::of(5);
    for torn in [b"{\"seq\":8,\"half".to_vec(), b"{\"seq\":8,".to_vec(), vec![0; 200_000], b"{".to_vec()] {
        let whole = trail.active();
        trail.set_active([&*whole, &*torn].concat());
        assert_eq!(reasons(&trail, || trail.options()), [Reason::TornTail]);
        assert_eq!(trail.verify().torn_bytes, torn.len() as u64);
        trail.set_active(whole);
    }
}

#[test]
fn a_trail_killed_before_its_first_checkpoint_is_not_broken() {
    let trail = Trail::of(0);
    trail.edit(|lines| lines.truncate(2));
    fs::remove_file(checkpoint_path(trail.path())).unwrap();
    trail.remove_history();
    let options = || VerifyOptions::new().key(trail.key.clone());
    assert_eq!(reasons(&trail, options), [Reason::FreshnessUnknown, Reason::TailUnsigned]);
}

#[test]
fn a_directory_without_a_trail_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let check = |path: &Path| verify(path, &VerifyOptions::new(), &mut |_, _| {}).unwrap_err();
    let error = check(directory.path());
    assert!(error.is_missing() && error.to_string().contains("no trail"), "{error}");
    assert!(check(&directory.path().join("none")).is_missing());
    fs::write(directory.path().join("file"), b"").unwrap();
    assert!(check(&directory.path().join("file")).is_refused());
}

#[test]
fn verification_creates_and_changes_nothing() {
    let trail = Trail::of_segments(Compression::Zstd);
    let state = || {
        let mut state = Vec::new();
        for directory in [trail.path().to_path_buf(), trail.own(""), trail.own("tiles")] {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let metadata = entry.metadata().unwrap();
                state.push((entry.path(), metadata.len(), metadata.modified().unwrap()));
            }
        }
        state.sort();
        state
    };
    let before = state();
    trail.verify();
    assert_eq!(state(), before);
}

#[test]
fn progress_only_grows_and_ends_at_all_bytes() {
    for trail in [Trail::of_segments(Compression::None), Trail::of_segments(Compression::Zstd)] {
        let mut seen = vec![(0, 0)];
        let options = trail.options().chunk(4_096);
        let verification =
            verify(trail.path(), &options, &mut |done, total| seen.push((done, total))).unwrap();
        assert!(seen.is_sorted() && seen.len() > 4);
        assert_eq!(seen.last(), Some(&(verification.bytes, verification.bytes)));
    }
}

#[test]
fn a_verification_serialises_to_json() {
    let trail = Trail::of(3);
    let value = serde_json::to_value(trail.verify()).unwrap();
    assert_eq!((&value["answer"], &value["fault"]), (&"intact".into(), &serde_json::Value::Null));
    trail.edit(|lines| lines[3] = lines[3].replace("entry 1", "entry 7"));
    let value = serde_json::to_value(trail.verify()).unwrap();
    assert_eq!((&value["answer"], &value["fault"]["kind"]), (&"broken".into(), &"altered".into()));
    assert_eq!((&value["fault"]["seq"], &value["fault"]["segment"]), (&3.into(), &ACTIVE.into()));
    trail.set_checkpoint("x");
    let value = serde_json::to_value(trail.verify()).unwrap();
    assert_eq!(value["fault"]["kind"], "malformed-checkpoint");
}

#[test]
fn a_trail_begun_after_loss_verifies_as_a_new_trail() {
    let trail = Trail::of(5);
    trail.edit(|lines| lines[3] = lines[3].replace("entry 1", "entry 7"));
    let config = Config::new(trail.path()).origin(ORIGIN).signer(trail.signing.clone());
    let (logger, moved_to) = AuditLogger::replace_corrupt(config).unwrap();
    let key = logger.verifier_key().unwrap();
    logger.close(TIMEOUT).unwrap();
    let known = logger.checkpoint().unwrap();
    let options = || VerifyOptions::new().key(key.clone()).known(parsed(known.as_str()));
    assert_eq!(trail.verify_with(options).answer, Answer::Intact);
    let old = verify(&moved_to, &trail.options(), &mut |_, _| {}).unwrap();
    assert_eq!(old.fault.map(|fault| (fault.kind, fault.seq)), Some((FaultKind::Altered, Some(3))));
}
