//! Notes that somebody kept elsewhere: rollbacks and forks, and notes that are of no use.

use std::fs;

use auditx_core::{SigningKey, checkpoint_history, checkpoint_path};

use super::fixture::*;
use super::*;

use FaultKind::{Forked, Truncated};

/// A trail, and the same one as it was earlier, in a directory of its own.
fn grown() -> (Trail, Trail) {
    let earlier = Trail::of(5);
    let later = earlier.copy();
    go_on(&later, 4, "later");
    (earlier, later)
}

fn go_on(trail: &Trail, entries: usize, what: &str) {
    let logger = trail.reopen();
    for number in 0..entries {
        logger.log(format!("{what} {number}")).record().unwrap();
    }
    logger.close(PATIENCE).unwrap();
}

fn known(trail: &Trail) -> SignedCheckpoint {
    parsed(&trail.note())
}

fn with(trail: &Trail, notes: &[&Trail]) -> Verification {
    let options = || {
        let options = VerifyOptions::new().key(trail.key.clone());
        notes.iter().fold(options, |options, note| options.known(known(note)))
    };
    trail.verify_with(options)
}

fn fault(trail: &Trail, notes: &[&Trail]) -> Found {
    let verification = with(trail, notes);
    assert_eq!(verification.answer, Answer::Broken, "{verification:?}");
    let fault = verification.fault.unwrap();
    (fault.kind, fault.seq)
}

#[test]
fn a_trail_rolled_back_whole_is_seen_only_with_a_note_kept_elsewhere() {
    let (earlier, later) = grown();
    let alone = with(&earlier, &[]);
    assert_eq!((alone.answer, alone.reasons), (Answer::Unconfirmed, vec![Reason::FreshnessUnknown]));
    assert_eq!(fault(&earlier, &[&later]), (Truncated, Some(known(&earlier).size())));
    assert_eq!(fault(&earlier, &[&earlier, &later]), (Truncated, Some(known(&earlier).size())));
    assert_eq!(with(&later, &[&earlier, &later]).answer, Answer::Intact);
}

#[test]
fn a_trail_rolled_back_beside_a_newer_kept_checkpoint_is_truncated() {
    let (earlier, later) = grown();
    let name = known(&later).size().to_string();
    fs::copy(checkpoint_history(later.path()).join(&name), checkpoint_history(earlier.path()).join(&name))
        .unwrap();
    assert_eq!(fault(&earlier, &[&earlier]), (Truncated, Some(known(&earlier).size())));
}

#[test]
fn an_older_checkpoint_beside_all_the_lines_is_stale() {
    let (earlier, later) = grown();
    let newest = later.copy();
    fs::copy(checkpoint_path(earlier.path()), checkpoint_path(later.path())).unwrap();
    let verification = with(&later, &[&newest]);
    assert_eq!(
        (verification.answer, &*verification.reasons),
        (Answer::Unconfirmed, &[Reason::TailUnsigned][..])
    );
    assert_eq!(verification.remarks[0].kind, RemarkKind::StaleCheckpoint);
    assert_eq!(verification.known, [known(&newest).size()]);
}

#[test]
fn a_trail_taken_back_and_continued_with_the_real_key_is_a_fork() {
    let (earlier, later) = grown();
    let forged = earlier.copy();
    go_on(&forged, 9, "forged");
    assert!(known(&forged).size() > known(&later).size());
    assert_eq!(with(&forged, &[]).answer, Answer::Unconfirmed);
    assert_eq!(with(&forged, &[&earlier]).answer, Answer::Intact, "nobody knows of the other history");
    assert_eq!(fault(&forged, &[&later]), (Forked, None));
    assert_eq!(fault(&forged, &[&earlier, &later]), (Forked, None));
}

#[test]
fn two_roots_at_one_size_are_a_fork() {
    let (earlier, later) = grown();
    let forged = earlier.copy();
    go_on(&forged, 4, "forged");
    assert_eq!(known(&forged).size(), known(&later).size());
    assert_eq!(fault(&forged, &[&later]), (Forked, None));
    // The other one may also have been forgotten in the trail itself.
    let name = known(&later).size().to_string();
    let kept = checkpoint_history(later.path()).join(&name);
    fs::copy(&kept, checkpoint_history(forged.path()).join(&name)).unwrap();
    assert_eq!(fault(&forged, &[&forged]), (Forked, None));
}

#[test]
fn a_larger_head_that_is_not_of_these_lines_is_found() {
    let trail = Trail::of(5);
    let note = known(&trail);
    trail.forget_history();
    trail.set_note(&signed(&trail.key, note.size() + 3, note.root(), &[&trail.signing]));
    assert_eq!(fault(&trail, &[]), (Truncated, Some(note.size())));
    go_on(&Trail::of(1), 1, "unrelated");
    let longer = Trail::of(5);
    go_on(&longer, 3, "later");
    let size = known(&longer).size();
    longer.set_note(&signed(&longer.key, size, note.root(), &[&longer.signing]));
    longer.forget_history();
    longer.forget_tiles();
    let known = [&longer];
    assert_eq!(fault(&longer, &known).0, FaultKind::Altered);
}

#[test]
fn a_known_note_that_is_of_no_use_is_the_auditors_matter() {
    let trail = Trail::of(5);
    let note = known(&trail);
    let stranger = SigningKey::generate();
    let check = |known: &str| {
        let options = VerifyOptions::new().key(trail.key.clone()).known(parsed(known));
        verify(trail.path(), &options, &mut |_, _| {}).unwrap_err()
    };
    let error = check(&signed(&trail.key, note.size(), note.root(), &[&stranger]));
    assert!(error.is_invalid() && error.to_string().contains("none of the given keys signed it"), "{error}");
    let error = check(&trail.note().replacen(&format!("\n{}\n", note.size()), "\n2\n", 1));
    assert!(error.is_invalid() && error.to_string().contains("not that of its key"), "{error}");
    let error = check(&Trail::of(1).note());
    assert!(error.is_invalid() && error.to_string().contains("of the log"), "{error}");
}

#[test]
fn a_known_note_of_no_lines_says_nothing() {
    let trail = Trail::of(5);
    let empty = signed(&trail.key, 0, &auditx_core::CompactRange::new(0).root().unwrap(), &[&trail.signing]);
    let options = || VerifyOptions::new().key(trail.key.clone()).known(parsed(&empty));
    assert_eq!(trail.verify_with(options).reasons, [Reason::FreshnessUnknown]);
    let wrong = signed(&trail.key, 0, &[1; 32], &[&trail.signing]);
    let options = || VerifyOptions::new().key(trail.key.clone()).known(parsed(&wrong));
    assert_eq!(trail.verify_with(options).fault.unwrap().kind, Forked);
}

#[test]
fn kept_checkpoints_that_cannot_be_used_are_remarked_on() {
    let trail = Trail::of(5);
    let history = checkpoint_history(trail.path());
    fs::write(history.join("3"), "nonsense").unwrap();
    fs::write(history.join("x"), "nonsense").unwrap();
    fs::write(history.join("9.tmp"), "half").unwrap();
    let stranger = SigningKey::generate();
    fs::write(history.join("4"), signed(&trail.key, 4, &[7; 32], &[&stranger])).unwrap();
    let verification = trail.verify();
    assert_eq!(verification.answer, Answer::Intact);
    let [remark] = &*verification.remarks else { panic!("{verification:?}") };
    assert_eq!((remark.kind, remark.count), (RemarkKind::UnusableHistory, 3));
}
