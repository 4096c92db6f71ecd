//! Cosigned checkpoints in the trail, kept elsewhere, and damaged.

use std::fs;

use auditx_store::cosigned_history;
use auditx_tlog::{Policy, SignedCheckpoint, Signer as _, SigningKey, VerifierKey, WitnessKey};

use super::fixture::*;
use super::*;

/// Two witnesses, both of which a policy requires.
struct Witnesses {
    signers: [SigningKey; 2],
    keys: [WitnessKey; 2],
}

impl Witnesses {
    fn new() -> Self {
        let signers = [SigningKey::generate(), SigningKey::generate()];
        let key = |number: usize| {
            WitnessKey::new(&format!("witness.example.com/w{number}"), &signers[number].public_key()).unwrap()
        };
        Self { keys: [key(0), key(1)], signers }
    }

    fn policy(&self, log: &VerifierKey) -> Policy {
        let [w0, w1] = &self.keys;
        let text =
            format!("log {log}\nwitness w0 {w0}\nwitness w1 {w1}\ngroup both all w0 w1\nquorum both\n");
        Policy::parse(text.as_bytes()).unwrap()
    }

    /// Adds the cosignature of one witness.
    fn cosign(&self, checkpoint: &SignedCheckpoint, number: usize, time: u64) -> SignedCheckpoint {
        let key = &self.keys[number];
        let line = checkpoint.cosign(key.name(), &self.signers[number], time).unwrap();
        checkpoint.with_cosignature(&line, key).unwrap()
    }

    fn cosigned(&self, checkpoint: &SignedCheckpoint) -> SignedCheckpoint {
        self.cosign(&self.cosign(checkpoint, 0, NOW), 1, NOW)
    }
}

/// In seconds since 1970: a time that has passed.
const NOW: u64 = 1_700_000_000;

fn latest(trail: &Trail) -> SignedCheckpoint {
    parsed(&trail.known)
}

fn keep(trail: &Trail, name: u64, text: &str) {
    let directory = cosigned_history(trail.path());
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name.to_string()), text).unwrap();
}

fn verified(trail: &Trail, witnesses: &Witnesses, known: &[SignedCheckpoint]) -> Verification {
    let policy = witnesses.policy(&trail.key);
    let options = || VerifyOptions::new().policy(policy.clone());
    trail.verify_with(|| known.iter().cloned().fold(options(), VerifyOptions::known))
}

#[test]
fn the_cosignatures_of_a_checkpoint_that_was_kept_elsewhere_count() {
    let (trail, witnesses) = (Trail::of(5), Witnesses::new());
    let plain = latest(&trail);
    let unseen = verified(&trail, &witnesses, std::slice::from_ref(&plain));
    assert_eq!(unseen.reasons, [Reason::NotWitnessed]);
    assert_eq!(unseen.unwitnessed.unwrap(), "no checkpoint of the trail was cosigned");
    let seen = verified(&trail, &witnesses, &[witnesses.cosigned(&plain)]);
    assert_eq!((seen.answer, seen.witnessed.unwrap().at), (Answer::Intact, NOW));
}

#[test]
fn cosignatures_in_the_trail_and_elsewhere_are_added_up() {
    let (trail, witnesses) = (Trail::of(5), Witnesses::new());
    let checkpoint = latest(&trail);
    let [first, second] = [0, 1].map(|number| witnesses.cosign(&checkpoint, number, NOW));
    keep(&trail, first.size(), first.as_str());
    let half = verified(&trail, &witnesses, &[]).unwitnessed.unwrap();
    assert!(half.ends_with("group both needs 2 of 2, has 1; missing: w1"), "{half}");
    assert_eq!(verified(&trail, &witnesses, &[second]).answer, Answer::Intact);
    // Of two copies, the newer cosignatures count.
    let newer = witnesses.cosign(&witnesses.cosign(&checkpoint, 0, NOW + 9), 1, NOW + 9);
    keep(&trail, newer.size(), newer.as_str());
    let seen = verified(&trail, &witnesses, &[witnesses.cosigned(&checkpoint)]);
    assert_eq!(seen.witnessed.unwrap().at, NOW + 9);
}

#[test]
fn a_cosigned_checkpoint_of_another_history_that_was_kept_elsewhere_is_a_fork() {
    let (trail, witnesses) = (Trail::of(5), Witnesses::new());
    let forged = signed(&trail.key, latest(&trail).size(), &[7; 32], &[&trail.signing]);
    let fault = verified(&trail, &witnesses, &[witnesses.cosigned(&parsed(&forged))]).fault.unwrap();
    assert_eq!(fault.kind, FaultKind::Forked);
}

/// A trail with a cosigned checkpoint of its first session, and that of a second one.
fn twice_cosigned(witnesses: &Witnesses) -> (Trail, [SignedCheckpoint; 2]) {
    let mut trail = Trail::of(5);
    let first = latest(&trail);
    let logger = trail.reopen();
    record(&logger, 5, 40);
    logger.close(TIMEOUT).unwrap();
    trail.known = logger.checkpoint().unwrap().to_string();
    let both = [first, latest(&trail)].map(|checkpoint| witnesses.cosigned(&checkpoint));
    both.iter().for_each(|cosigned| keep(&trail, cosigned.size(), cosigned.as_str()));
    (trail, both)
}

#[test]
fn a_damaged_cosigned_checkpoint_is_a_remark_and_the_next_one_counts() {
    let witnesses = Witnesses::new();
    let (trail, [first, last]) = twice_cosigned(&witnesses);
    keep(&trail, last.size(), &last.as_str()[..90]);
    let verification = verified(&trail, &witnesses, &[]);
    assert_eq!(verification.witnessed.unwrap().size, first.size());
    let [remark] = &*verification.remarks else { panic!("{:?}", verification.remarks) };
    assert_eq!((remark.kind, remark.count), (RemarkKind::UnusableHistory, 1));
    let message = format!(".auditx/cosigned/{} cannot be read as a checkpoint", last.size());
    assert_eq!(remark.examples[0].message, message);
    // One under another name, and a directory.
    keep(&trail, first.size(), last.as_str());
    fs::remove_file(cosigned_history(trail.path()).join(last.size().to_string())).unwrap();
    fs::create_dir(cosigned_history(trail.path()).join(last.size().to_string())).unwrap();
    let verification = verified(&trail, &witnesses, &[]);
    assert_eq!((verification.unwitnessed, verification.remarks[0].count), (Some(message), 2));
}

#[test]
fn cosigned_checkpoints_smaller_than_what_counts_are_not_read() {
    let witnesses = Witnesses::new();
    let (trail, [first, last]) = twice_cosigned(&witnesses);
    keep(&trail, first.size(), "nonsense");
    let verification = verified(&trail, &witnesses, &[]);
    assert_eq!((verification.witnessed.unwrap().size, verification.remarks.len()), (last.size(), 0));
}
