//! Which checkpoint a proof has, if witnesses cosigned some of a trail.

use std::fs;

use auditx_core::{AuditLogger, Config, KeySource};
use auditx_store::{AUDITX_DIR, cosigned_history};
use auditx_tlog::{SigningKey, WitnessKey};
use tempfile::TempDir;

use super::*;
use crate::prove::{Prover, prove};
use crate::sample::TIMEOUT;
use crate::search::Search;
use crate::{latest_checkpoint, recorded_keys};

/// A closed trail, and the checkpoints at the ends of these many sessions, oldest first.
fn trail(sessions: usize) -> (TempDir, Vec<SignedCheckpoint>) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(cosigned_history(directory.path())).unwrap();
    let checkpoints = (0..sessions).map(|_| session(directory.path())).collect();
    (directory, checkpoints)
}

fn session(directory: &Path) -> SignedCheckpoint {
    let logger = AuditLogger::open(Config::new(directory)).unwrap();
    logger.log("Invoice posted").record().unwrap();
    logger.close(TIMEOUT).unwrap();
    latest_checkpoint(directory).unwrap()
}

/// Keeps this checkpoint with the cosignatures of as many witnesses.
fn cosign(directory: &Path, checkpoint: &SignedCheckpoint, witnesses: u8) -> SignedCheckpoint {
    let mut cosigned = checkpoint.clone();
    for number in 0..witnesses {
        let (name, signer) = (format!("witness.example.com/w{number}"), SigningKey::generate());
        let key = WitnessKey::new(&name, &auditx_tlog::Signer::public_key(&signer)).unwrap();
        let line = cosigned.cosign(&name, &signer, 1_800_000_000).unwrap();
        cosigned = cosigned.with_cosignature(&line, &key).unwrap();
    }
    keep(directory, &cosigned.size().to_string(), cosigned.as_str());
    cosigned
}

fn keep(directory: &Path, name: &str, text: &str) {
    fs::write(cosigned_history(directory).join(name), text).unwrap();
}

/// The checkpoint of the proof of this line, which its recipient accepts.
#[track_caller]
fn proved_under(directory: &Path, seq: u64) -> String {
    let proof = prove(directory, seq).unwrap();
    let keys: Vec<_> = recorded_keys(directory).unwrap().into_iter().map(|recorded| recorded.key).collect();
    proof.check(&keys).unwrap();
    proof.checkpoint().as_str().to_owned()
}

#[test]
fn of_those_that_name_the_line_the_one_with_the_most_cosignatures_is_used_then_the_largest() {
    let (directory, checkpoints) = trail(6);
    let path = directory.path();
    let cosigned: Vec<_> =
        checkpoints.iter().zip([2, 1, 3, 3, 1, 0]).map(|(of, count)| cosign(path, of, count)).collect();
    let used = |seq: u64| {
        let text = proved_under(path, seq);
        cosigned.iter().position(|cosigned| cosigned.as_str() == text).unwrap()
    };
    assert_eq!(used(0), 3);
    assert_eq!(used(checkpoints[3].size() - 1), 3);
    assert_eq!(used(checkpoints[3].size()), 4, "the line after those that it names");
    assert_eq!(used(checkpoints[4].size()), 5, "the latest");
    // Without the tile cache, the lines decide.
    fs::remove_dir_all(path.join(AUDITX_DIR).join("tiles")).unwrap();
    assert_eq!(used(0), 3);
}

#[test]
fn the_latest_checkpoint_has_the_cosignatures_of_its_copy() {
    let (directory, checkpoints) = trail(2);
    cosign(directory.path(), &checkpoints[0], 2);
    let latest = cosign(directory.path(), &checkpoints[1], 2);
    assert_eq!(Prover::open(directory.path()).unwrap().checkpoint().as_str(), latest.as_str());
    assert_eq!(proved_under(directory.path(), 0), latest.as_str());
    let beyond = Prover::open(directory.path()).unwrap().covering(u64::MAX);
    assert_eq!(beyond.checkpoint().as_str(), latest.as_str(), "no checkpoint names that line");
}

#[test]
fn a_second_signature_of_the_log_is_no_cosignature() {
    let (directory, checkpoints) = trail(1);
    let cosigned = cosign(directory.path(), &checkpoints[0], 1);
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    logger.rotate_key(&KeySource::Trail).unwrap();
    logger.close(TIMEOUT).unwrap();
    // The checkpoint at which the key was replaced has two signatures, both of the log.
    let saved = fs::read_dir(auditx_store::checkpoint_history(directory.path())).unwrap();
    let notes = saved.map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let twice = notes.filter_map(|note| SignedCheckpoint::parse(&note).ok());
    let mut twice = twice.filter(|saved| saved.as_str().matches('\u{2014}').count() == 2);
    assert_eq!((twice.next().unwrap().cosignature_count(), cosigned.cosignature_count()), (0, 1));
}

#[test]
fn what_the_key_of_the_trail_did_not_sign_for_these_lines_is_not_used() {
    let (directory, checkpoints) = trail(5);
    let path = directory.path();
    let [first, second, third, fourth, latest] = &checkpoints[..] else { panic!() };
    let good = cosign(path, first, 1);
    // Another history, signed with the same key, which is that of the trail.
    let pem = fs::read(path.join(AUDITX_DIR).join("keys/signing.pem")).unwrap();
    let key = SigningKey::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
    let forked = SignedCheckpoint::sign(second.origin(), second.size(), &[7; 32], &[&key]).unwrap();
    assert!(forked.verify(&[recorded_keys(path).unwrap()[0].key.clone()]).is_ok());
    cosign(path, &forked, 5);
    // The signature of another key, and none of the log.
    let stranger = SigningKey::generate();
    let foreign = SignedCheckpoint::sign(third.origin(), third.size(), third.root(), &[&stranger]).unwrap();
    cosign(path, &foreign, 5);
    let cosigned = cosign(path, fourth, 5);
    let own = format!("\u{2014} {} ", fourth.origin());
    let without: String =
        cosigned.as_str().split_inclusive('\n').filter(|line| !line.starts_with(&own)).collect();
    keep(path, &fourth.size().to_string(), &without);
    for _ in 0..2 {
        assert_eq!(proved_under(path, 0), good.as_str());
        assert_eq!(proved_under(path, first.size()), latest.as_str());
        fs::remove_dir_all(path.join(AUDITX_DIR).join("tiles")).ok();
    }
}

#[test]
fn damaged_files_are_left_out() {
    let (directory, checkpoints) = trail(4);
    let path = directory.path();
    let good = cosign(path, &checkpoints[0], 1);
    keep(path, &checkpoints[1].size().to_string(), "nonsense");
    keep(path, &checkpoints[2].size().to_string(), cosign(path, &checkpoints[1], 3).as_str());
    keep(path, &checkpoints[1].size().to_string(), "");
    keep(path, "007", good.as_str());
    fs::create_dir(cosigned_history(path).join(checkpoints[3].size().to_string())).unwrap();
    assert_eq!(proved_under(path, 0), good.as_str());
}

#[test]
fn only_the_largest_files_are_candidates() {
    let (directory, checkpoints) = trail(CANDIDATES + 2);
    let path = directory.path();
    cosign(path, &checkpoints[0], 3);
    let second = cosign(path, &checkpoints[1], 2);
    for checkpoint in &checkpoints[2..=CANDIDATES] {
        cosign(path, checkpoint, 1);
    }
    assert_eq!(proved_under(path, 0), second.as_str());
}

#[test]
fn a_line_after_the_chosen_checkpoint_is_named_in_the_error() {
    let (directory, checkpoints) = trail(2);
    cosign(directory.path(), &checkpoints[0], 1);
    let size = checkpoints[0].size();
    let prover = Prover::open(directory.path()).unwrap().covering(0);
    let mut errors = Vec::new();
    Search::new(directory.path())
        .each(|found| {
            if let Err(error) = prover.prove(&found) {
                errors.push(error.to_string());
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let expected = format!("line {size} is not covered by the cosigned checkpoint of {size} lines");
    assert!(errors[0].contains(&expected), "{errors:?}");
    assert_eq!(errors.len() as u64, checkpoints[1].size() - size);
}
