//! Trails that are well, what keeps them from being intact all the same, and what cannot be checked at all.

use std::fs;

use auditx_core::{ACTIVE, AuditLogger, Compression, Config, checkpoint_path};

use super::fixture::*;
use super::*;

fn reasons(trail: &Trail, options: impl Fn() -> VerifyOptions) -> Vec<Reason> {
    let verification = trail.verify_with(options);
    assert_eq!((verification.answer, verification.fault), (Answer::Unconfirmed, None));
    verification.reasons
}

#[test]
fn a_trail_with_a_pinned_key_and_a_known_note_is_intact() {
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
fn an_older_known_note_is_enough() {
    let trail = Trail::of(5);
    let logger = trail.reopen();
    (0..2_000).for_each(|number| record(&logger, number, 10));
    logger.close(PATIENCE).unwrap();
    let verification = trail.verify();
    assert_eq!(verification.answer, Answer::Intact, "{verification:?}");
    assert!(verification.signed > Some(2_000) && verification.known == [parsed(&trail.known).size()]);
}

#[test]
fn without_a_key_or_a_note_nothing_is_intact() {
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
fn lines_that_nobody_signed_yet_and_a_torn_one_keep_it_from_being_intact() {
    let trail = Trail::of(5);
    let older = trail.note();
    let logger = trail.reopen();
    record(&logger, 5, 10);
    logger.close(PATIENCE).unwrap();
    trail.set_note(&older);
    trail.forget_history();
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
fn a_trail_whose_first_process_was_killed_at_once_is_no_broken_one() {
    let trail = Trail::of(0);
    trail.edit(|lines| lines.truncate(2));
    fs::remove_file(checkpoint_path(trail.path())).unwrap();
    trail.forget_history();
    let options = || VerifyOptions::new().key(trail.key.clone());
    assert_eq!(reasons(&trail, options), [Reason::FreshnessUnknown, Reason::TailUnsigned]);
}

#[test]
fn what_cannot_be_checked_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let check = |path: &Path| verify(path, &VerifyOptions::new(), &mut |_, _| {}).unwrap_err();
    let error = check(directory.path());
    assert!(error.is_missing() && error.to_string().contains("no trail"), "{error}");
    assert!(check(&directory.path().join("none")).is_missing());
    fs::write(directory.path().join("file"), b"").unwrap();
    assert!(check(&directory.path().join("file")).is_refused());
}

#[test]
fn nothing_is_created_or_changed() {
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
fn progress_ends_at_all_bytes_and_never_goes_back() {
    for trail in [Trail::of_segments(Compression::None), Trail::of_segments(Compression::Zstd)] {
        let mut seen = vec![(0, 0)];
        let options = trail.options().stretch(4_096);
        let verification =
            verify(trail.path(), &options, &mut |done, total| seen.push((done, total))).unwrap();
        assert!(seen.is_sorted() && seen.len() > 4);
        assert_eq!(seen.last(), Some(&(verification.bytes, verification.bytes)));
    }
}

#[test]
fn a_verification_serialises_for_programs() {
    let trail = Trail::of(3);
    let value = serde_json::to_value(trail.verify()).unwrap();
    assert_eq!((&value["answer"], &value["fault"]), (&"intact".into(), &serde_json::Value::Null));
    trail.edit(|lines| lines[3] = lines[3].replace("entry 1", "entry 7"));
    let value = serde_json::to_value(trail.verify()).unwrap();
    assert_eq!((&value["answer"], &value["fault"]["kind"]), (&"broken".into(), &"altered".into()));
    assert_eq!((&value["fault"]["seq"], &value["fault"]["segment"]), (&3.into(), &ACTIVE.into()));
    trail.set_note("x");
    let value = serde_json::to_value(trail.verify()).unwrap();
    assert_eq!(value["fault"]["kind"], "malformed-checkpoint");
}

#[test]
fn a_trail_recovered_after_loss_verifies_as_the_new_one_it_is() {
    let trail = Trail::of(5);
    trail.edit(|lines| lines[3] = lines[3].replace("entry 1", "entry 7"));
    let config = Config::new(trail.path()).origin(ORIGIN).signer(trail.signing.clone());
    let (logger, moved_to) = AuditLogger::begin_anew(config).unwrap();
    let key = logger.verifier_key().unwrap();
    logger.close(PATIENCE).unwrap();
    let known = logger.checkpoint().unwrap();
    let options = || VerifyOptions::new().key(key.clone()).known(parsed(known.as_str()));
    assert_eq!(trail.verify_with(options).answer, Answer::Intact);
    let old = verify(&moved_to, &trail.options(), &mut |_, _| {}).unwrap();
    assert_eq!(old.fault.map(|fault| (fault.kind, fault.seq)), Some((FaultKind::Altered, Some(3))));
}
