//! Trails, witnesses that are real servers, and verification with a policy.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod cast;

use std::path::Path;
use std::time::Duration;

use auditx_core::{AuditLogger, Config};
use auditx_reader::{Answer, Lines, Reason, VerifyOptions, cosigned_checkpoints, prove, verify};
use auditx_tests::deadline::{TIMEOUT, wait_until};
use auditx_tlog::{InclusionProof, Policy, VerifierKey};
use auditx_witness::{Progress, Submitter, Witnesses};
use serde_json::Value;
use tempfile::TempDir;

use cast::{Cast, copy, requested};

/// A new trail and the key that signs it.
fn trail() -> (TempDir, VerifierKey) {
    let directory = TempDir::new().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let key = logger.verifier_key().unwrap();
    logger.close(TIMEOUT).unwrap();
    (directory, key)
}

fn record(logger: &AuditLogger, count: usize) {
    for number in 0..count {
        logger.log(format!("Invoice {number} posted")).record().unwrap();
    }
    logger.flush(TIMEOUT).unwrap();
}

/// Records, closes the trail, and returns what the witnesses said in the end.
fn recorded(directory: &Path, policy: &Policy, count: usize) -> Progress {
    let logger = AuditLogger::open(Config::new(directory)).unwrap();
    let submitter = Witnesses::of(policy).unwrap().spawn(&logger).unwrap();
    record(&logger, count);
    logger.close(TIMEOUT).unwrap();
    submitter.close()
}

/// Waits until each of these witnesses has refused, for a reason with these words.
fn wait_for_refusals(submitter: &Submitter, count: usize, words: &str) {
    let are_refused = |progress: &Progress| {
        progress.failures.values().filter(|failure| failure.contains(words)).count() == count
    };
    assert!(submitter.wait_until(TIMEOUT, are_refused), "{:?}", submitter.progress());
}

/// The critical entries of a trail about witnesses.
fn alarms(directory: &Path) -> Vec<Value> {
    let lines = Lines::all(directory).unwrap().map(|line| line.unwrap().bytes().to_vec());
    let entries = lines.map(|line| serde_json::from_slice::<Value>(&line).unwrap());
    entries.filter(|entry| entry["entity_type"] == "witness").collect()
}

fn verified(directory: &Path, options: VerifyOptions) -> (Answer, Vec<Reason>) {
    let verification = verify(directory, &options, &mut |_, _| ()).unwrap();
    assert!(verification.fault.is_none(), "{:?}", verification.fault);
    (verification.answer, verification.reasons)
}

#[test]
fn a_trail_that_a_quorum_cosigned_is_intact_and_fresh() {
    let (directory, key) = trail();
    let mut cast = Cast::new(&key, 3);
    let policy = cast.policy("group all-of-them 2 w0 w1 w2\nquorum all-of-them\n");
    // Without a cosignature, it is said what is missing.
    let options = VerifyOptions::new().policy(policy.clone());
    let verification = verify(directory.path(), &options, &mut |_, _| ()).unwrap();
    assert_eq!(verification.reasons, [Reason::FreshnessUnknown, Reason::NotWitnessed]);
    assert_eq!(verification.unwitnessed.unwrap(), "no checkpoint of the trail was cosigned");

    // One witness is down.
    cast.stop(1);
    let progress = recorded(directory.path(), &policy, 100);
    assert_eq!(progress.failures.len(), 1, "{progress:?}");
    let fresh = options.clone().fresh(Duration::from_secs(600));
    assert_eq!(verified(directory.path(), fresh.clone()), (Answer::Intact, Vec::new()));

    // A quorum that nobody can reach, and the reason.
    let all = cast.policy("group all-of-them all w0 w1 w2\nquorum all-of-them\n");
    let strict = verify(directory.path(), &VerifyOptions::new().policy(all), &mut |_, _| ()).unwrap();
    let missing = strict.unwitnessed.unwrap();
    assert!(missing.contains("group all-of-them needs 3 of 3, has 2; missing: w1"), "{missing}");
    // Without an age, a directory that was put back as a whole would look the same.
    let ageless = verified(directory.path(), options.clone());
    assert_eq!(ageless, (Answer::Unconfirmed, vec![Reason::FreshnessUnknown]));
    let stale = options.fresh(Duration::ZERO);
    let not_fresh = (Answer::Unconfirmed, vec![Reason::NotFresh]);
    wait_until("the next second", || verified(directory.path(), stale.clone()) == not_fresh);
}

#[test]
fn a_cosigned_file_that_the_log_did_not_sign_proves_nothing() {
    let (directory, key) = trail();
    let cast = Cast::new(&key, 1);
    let policy = cast.policy("quorum w0\n");
    let cosigned = recorded(directory.path(), &policy, 10).cosigned.unwrap();
    // The line of the log is removed; the cosignature stays valid.
    let lines = cosigned.as_str().split_inclusive('\n');
    let without: String =
        lines.filter(|line| !line.starts_with(&format!("\u{2014} {}", key.name()))).collect();
    let path = directory.path().join(format!(".auditx/cosigned/{}", cosigned.size()));
    std::fs::write(path, without).unwrap();
    let options = VerifyOptions::new().policy(policy).fresh(Duration::from_secs(600));
    let (answer, reasons) = verified(directory.path(), options.clone());
    assert_eq!((answer, reasons[0]), (Answer::Unconfirmed, Reason::NotWitnessed));
    // A copy that was kept elsewhere has its line.
    assert_eq!(verified(directory.path(), options.known(cosigned)), (Answer::Intact, Vec::new()));
}

#[test]
fn a_proof_carries_the_cosignatures() {
    let (directory, key) = trail();
    let cast = Cast::new(&key, 2);
    let policy = cast.policy("group both all w0 w1\nquorum both\n");
    let cosigned = recorded(directory.path(), &policy, 20).cosigned.unwrap();
    let proof = prove(directory.path(), 7).unwrap().to_string();
    let proof = InclusionProof::parse(proof.as_bytes()).unwrap();
    proof.check(policy.logs()).unwrap();
    assert_eq!(proof.checkpoint().as_str(), cosigned.as_str());
    assert!(policy.witnessed_at(proof.checkpoint(), u64::MAX).unwrap().is_some());
}

#[test]
fn a_witness_that_lies_does_not_count() {
    let (directory, key) = trail();
    let mut cast = Cast::new(&key, 3);
    let policy = cast.policy("group most 2 w0 w1 w2\nquorum most\n");
    let all = cast.policy("group most all w0 w1 w2\nquorum most\n");
    // It cosigns with another key, and answers everything.
    cast.lie(2);
    let progress = recorded(directory.path(), &policy, 10);
    let [(witness, why)] = &progress.failures.into_iter().collect::<Vec<_>>()[..] else { panic!() };
    assert!(witness.ends_with("w2") && why.contains("no valid cosignature"), "{witness}: {why}");
    let fresh = |policy| VerifyOptions::new().policy(policy).fresh(Duration::from_secs(600));
    assert_eq!(verified(directory.path(), fresh(policy)).0, Answer::Intact);
    let (answer, reasons) = verified(directory.path(), fresh(all));
    assert_eq!((answer, reasons[0]), (Answer::Unconfirmed, Reason::NotWitnessed));
}

#[test]
fn a_witness_that_was_restored_from_a_backup_is_proved_from_there() {
    let (directory, key) = trail();
    let mut cast = Cast::new(&key, 1);
    let policy = cast.policy("quorum w0\n");
    recorded(directory.path(), &policy, 10);
    let backup = cast.backup(0);
    recorded(directory.path(), &policy, 10);
    cast.restore(0, &backup);
    let progress = recorded(directory.path(), &policy, 10);
    assert!(progress.failures.is_empty(), "{progress:?}");
    let fresh = VerifyOptions::new().policy(policy).fresh(Duration::from_secs(600));
    assert_eq!(verified(directory.path(), fresh).0, Answer::Intact);
}

#[test]
fn a_trail_that_was_rolled_back_is_refused_by_all_and_says_so() {
    let (directory, key) = trail();
    let cast = Cast::new(&key, 3);
    let policy = cast.policy("group most 2 w0 w1 w2\nquorum most\n");
    recorded(directory.path(), &policy, 10);
    let other = TempDir::new().unwrap();
    copy(directory.path(), other.path());
    recorded(directory.path(), &policy, 100);
    // The copy goes on: first it is shorter than what the witnesses know, then longer.
    let logger = AuditLogger::open(Config::new(other.path())).unwrap();
    let submitter = Witnesses::of(&policy).unwrap().spawn(&logger).unwrap();
    record(&logger, 3);
    wait_for_refusals(&submitter, 3, "the trail was rolled back, or another copy of it was continued");
    drop(submitter);
    let submitter = Witnesses::of(&policy).unwrap().spawn(&logger).unwrap();
    record(&logger, 300);
    wait_for_refusals(&submitter, 3, "are not the first lines of the trail");
    logger.close(TIMEOUT).unwrap();
    drop(submitter);
    let alarms = alarms(other.path());
    // One of each kind for each witness; the second session may see the first kind again.
    assert!((6..=9).contains(&alarms.len()), "{alarms:?}");
    assert_eq!(alarms[0]["level"], "CRITICAL");
    // What was cosigned before is old; nothing newer is.
    let options = VerifyOptions::new().policy(policy).fresh(Duration::ZERO);
    let not_fresh = (Answer::Unconfirmed, vec![Reason::NotFresh, Reason::TailNotWitnessed]);
    wait_until("the next second", || verified(other.path(), options.clone()) == not_fresh);
    let newest = cosigned_checkpoints(other.path()).unwrap().remove(0);
    assert!(newest.size() < 30, "{}", newest.size());
}

#[test]
fn recording_does_not_wait_for_a_witness_that_does_not_answer() {
    let (directory, key) = trail();
    let mut cast = Cast::new(&key, 1);
    // It accepts connections and never answers.
    let connections = cast.silence(0);
    let policy = cast.policy("quorum w0\n");
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let submitter = Witnesses::of(&policy).unwrap().spawn(&logger).unwrap();
    record(&logger, 10);
    let connection = requested(&connections);
    record(&logger, 1_000);
    assert_eq!(submitter.progress().cosignatures, 0);
    drop(connection);
    logger.close(TIMEOUT).unwrap();
    drop(submitter);
}

#[test]
fn a_quiet_trail_is_cosigned_again() {
    let (directory, key) = trail();
    let cast = Cast::new(&key, 1);
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let policy = cast.policy("quorum w0\n");
    let witnesses = Witnesses::of(&policy).unwrap().refresh(Duration::from_millis(10));
    let submitter = witnesses.interval(Duration::from_millis(1)).spawn(&logger).unwrap();
    record(&logger, 1);
    assert!(submitter.wait_until(TIMEOUT, |progress| progress.cosignatures > 5));
    // The newest one, and that at the end of the first session.
    assert!(cosigned_checkpoints(directory.path()).unwrap().len() <= 2);
    logger.close(TIMEOUT).unwrap();
}
