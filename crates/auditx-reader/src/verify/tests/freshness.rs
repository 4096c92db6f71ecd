//! Checkpoints kept elsewhere: rollbacks and forks, and checkpoints that cannot be used.

use std::fs;

use auditx_store::{checkpoint_history, checkpoint_path};
use auditx_tlog::SigningKey;

use super::fixture::*;
use super::*;

use FaultKind::{Forked, Truncated};

/// An earlier state of a trail and the trail itself, each in a directory of its own.
fn grown() -> (Trail, Trail) {
    let earlier = Trail::of(5);
    let later = earlier.copy();
    extend(&later, 4, "later");
    (earlier, later)
}

fn extend(trail: &Trail, entries: usize, what: &str) {
    let logger = trail.reopen();
    for number in 0..entries {
        logger.log(format!("{what} {number}")).record().unwrap();
    }
    logger.close(TIMEOUT).unwrap();
}

fn known(trail: &Trail) -> SignedCheckpoint {
    parsed(&trail.checkpoint())
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
fn a_full_rollback_shows_only_with_a_known_checkpoint() {
    let (earlier, later) = grown();
    let alone = with(&earlier, &[]);
    assert_eq!((alone.answer, alone.reasons), (Answer::Unconfirmed, vec![Reason::FreshnessUnknown]));
    assert_eq!(fault(&earlier, &[&later]), (Truncated, Some(known(&earlier).size())));
    assert_eq!(fault(&earlier, &[&earlier, &later]), (Truncated, Some(known(&earlier).size())));
    assert_eq!(with(&later, &[&earlier, &later]).answer, Answer::Intact);
}

#[test]
fn a_rollback_below_a_saved_checkpoint_is_truncated() {
    let (earlier, later) = grown();
    let name = known(&later).size().to_string();
    fs::copy(checkpoint_history(later.path()).join(&name), checkpoint_history(earlier.path()).join(&name))
        .unwrap();
    assert_eq!(fault(&earlier, &[&earlier]), (Truncated, Some(known(&earlier).size())));
}

#[test]
fn an_older_checkpoint_with_all_lines_is_stale() {
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
fn a_rollback_continued_with_the_real_key_is_a_fork() {
    let (earlier, later) = grown();
    let forged = earlier.copy();
    extend(&forged, 9, "forged");
    assert!(known(&forged).size() > known(&later).size());
    assert_eq!(with(&forged, &[]).answer, Answer::Unconfirmed);
    assert_eq!(with(&forged, &[&earlier]).answer, Answer::Intact, "the other history is unknown");
    assert_eq!(fault(&forged, &[&later]), (Forked, None));
    assert_eq!(fault(&forged, &[&earlier, &later]), (Forked, None));
}

#[test]
fn two_roots_at_one_size_are_a_fork() {
    let (earlier, later) = grown();
    let forged = earlier.copy();
    extend(&forged, 4, "forged");
    assert_eq!(known(&forged).size(), known(&later).size());
    assert_eq!(fault(&forged, &[&later]), (Forked, None));
    // The other checkpoint may also be left in the trail itself.
    let name = known(&later).size().to_string();
    let kept = checkpoint_history(later.path()).join(&name);
    fs::copy(&kept, checkpoint_history(forged.path()).join(&name)).unwrap();
    assert_eq!(fault(&forged, &[&forged]), (Forked, None));
}

#[test]
fn a_larger_checkpoint_of_other_lines_is_found() {
    let trail = Trail::of(5);
    let note = known(&trail);
    trail.remove_history();
    trail.set_checkpoint(&signed(&trail.key, note.size() + 3, note.root(), &[&trail.signing]));
    assert_eq!(fault(&trail, &[]), (Truncated, Some(note.size())));
    extend(&Trail::of(1), 1, "unrelated");
    let longer = Trail::of(5);
    extend(&longer, 3, "later");
    let size = known(&longer).size();
    longer.set_checkpoint(&signed(&longer.key, size, note.root(), &[&longer.signing]));
    longer.remove_history();
    longer.remove_tiles();
    let known = [&longer];
    assert_eq!(fault(&longer, &known).0, FaultKind::Altered);
}

#[test]
fn an_unusable_known_checkpoint_is_an_error() {
    let trail = Trail::of(5);
    let note = known(&trail);
    let stranger = SigningKey::generate();
    let check = |known: &str| {
        let options = VerifyOptions::new().key(trail.key.clone()).known(parsed(known));
        verify(trail.path(), &options, &mut |_, _| {}).unwrap_err()
    };
    let error = check(&signed(&trail.key, note.size(), note.root(), &[&stranger]));
    assert!(error.is_invalid() && error.to_string().contains("none of the given keys signed it"), "{error}");
    let error = check(&trail.checkpoint().replacen(&format!("\n{}\n", note.size()), "\n2\n", 1));
    assert!(error.is_invalid() && error.to_string().contains("its signature is invalid"), "{error}");
    let error = check(&Trail::of(1).checkpoint());
    assert!(error.is_invalid() && error.to_string().contains("belongs to the log"), "{error}");
}

#[test]
fn a_known_checkpoint_of_no_lines_does_not_count() {
    let trail = Trail::of(5);
    let empty = signed(&trail.key, 0, &auditx_tlog::CompactRange::new(0).root().unwrap(), &[&trail.signing]);
    let options = || VerifyOptions::new().key(trail.key.clone()).known(parsed(&empty));
    assert_eq!(trail.verify_with(options).reasons, [Reason::FreshnessUnknown]);
    let wrong = signed(&trail.key, 0, &[1; 32], &[&trail.signing]);
    let options = || VerifyOptions::new().key(trail.key.clone()).known(parsed(&wrong));
    assert_eq!(trail.verify_with(options).fault.unwrap().kind, Forked);
}

#[test]
fn unusable_saved_checkpoints_are_a_remark() {
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
