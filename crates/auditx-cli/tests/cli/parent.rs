//! Tests of parent trails: `auditx witness --trail` and `auditx verify --parent`.

use std::fs;
use std::path::{Path, PathBuf};

use auditx_core::{SigningKey, VerifierKey};
use auditx_tests::deadline::{TIMEOUT, wait_until};
use auditx_tlog::SignedCheckpoint;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::{Ended, auditx, ended, without_trail};
use crate::trail::{closed, copied, directory, logger, record};
use crate::witness::{Witness, cosign, log_key, policy};

/// Two trails, the witness that records them in a parent trail, and the witness of that one.
struct Family {
    children: [TempDir; 2],
    near: Witness,
    /// It is only kept alive.
    _far: Witness,
    parent: PathBuf,
    /// The policies of the children and of the parent trail.
    policies: ([String; 2], String),
}

impl Family {
    fn new() -> Self {
        let children = [closed(20), closed(3)];
        let keys = children.each_ref().map(|child| log_key(child.path()));
        let mut near = Witness::new(&keys.join("\n"));
        near.end(Signal::TERM);
        let parent = near.directory.path().join("parent");
        let created = auditx(&["record", "Parent trail begins", "--create"], &parent);
        assert_eq!(created.status, Some(0), "{}", created.err);
        let far = Witness::new(&log_key(&parent));
        let policies = (
            children.each_ref().map(|child| renamed(policy(child.path(), &near), child.path())),
            policy(&parent, &far),
        );
        let mut family = Self { children, near, _far: far, parent, policies };
        family.start();
        family
    }

    fn start(&mut self) {
        let policy = self.policies.1.clone();
        self.near.start_again(&["--trail", "parent", "--policy", &policy]);
    }

    /// Submits a child to the near witness.
    fn submit(&self, child: usize) {
        let submitted = cosign(self.children[child].path(), &self.policies.0[child]);
        assert_eq!(submitted.status, Some(0), "{}", submitted.err);
    }

    /// The name of the first child's log.
    fn origin(&self) -> String {
        log_key(self.children[0].path()).parse::<VerifierKey>().unwrap().name().to_owned()
    }

    /// Verifies a child with the parent trail, whose witness is the far one.
    fn verify(&self, child: usize, fresh: &str) -> Ended {
        self.verify_copy(self.children[child].path(), child, fresh)
    }

    fn verify_copy(&self, directory: &Path, child: usize, fresh: &str) -> Ended {
        let (key, parent) = (log_key(self.children[child].path()), self.parent.to_str().unwrap());
        let with_parent = ["--parent", parent, "--policy", &self.policies.1, "--fresh", fresh];
        auditx(&[&["verify", "--key", &key][..], &with_parent].concat(), directory)
    }
}

/// Moves the policy of a witness to where that of another trail does not replace it.
fn renamed(policy: String, trail: &Path) -> String {
    let to = trail.join("child.policy");
    fs::rename(policy, &to).unwrap();
    to.to_str().unwrap().to_owned()
}

#[test]
fn one_cosigned_checkpoint_of_a_parent_trail_vouches_for_its_children() {
    let mut family = Family::new();
    family.submit(0);
    family.near.end(Signal::TERM);
    let verified = family.verify(0, "10m");
    assert_eq!(verified.status, Some(0), "{} {}", verified.out, verified.err);
    assert!(verified.out.contains("  Recorded     23 lines in the parent trail "), "{}", verified.out);
    let unknown = family.verify(1, "10m");
    assert_eq!(unknown.status, Some(3), "{}", unknown.err);
    assert!(unknown.out.contains("no cosigned line of the parent trail "), "{}", unknown.out);

    // It grows: the end was not recorded yet.
    grow(family.children[0].path(), 5);
    let unseen = family.verify(0, "10m");
    assert_eq!(unseen.status, Some(3), "{}", unseen.err);
    assert!(unseen.out.contains("newer than the recorded checkpoint"), "{}", unseen.out);
    family.start();
    family.submit(0);
    family.submit(1);
    family.near.end(Signal::TERM);
    for child in [0, 1] {
        let verified = family.verify(child, "10m");
        assert_eq!(verified.status, Some(0), "{} {}", verified.out, verified.err);
    }
}

#[test]
fn a_line_is_proved_by_the_record_in_the_parent_trail() {
    let mut family = Family::new();
    family.submit(0);
    family.near.end(Signal::TERM);
    let (child, elsewhere) = (family.children[0].path(), directory());
    let (proof, parent) = (elsewhere.path().join("7.proof"), family.parent.to_str().unwrap());
    let proof = proof.to_str().unwrap();
    let proved = auditx(&["prove", "7", "--parent", parent, "-o", proof], child);
    assert_eq!(proved.status, Some(0), "{}", proved.err);
    let key = log_key(child);
    let of_parent = format!("{proof}.parent");
    let check = |of_parent: &str| {
        let arguments =
            ["check", proof, "--key", &key, "--policy", &family.policies.1, "--parent", of_parent];
        ended(&mut without_trail(&arguments))
    };
    let checked = check(&of_parent);
    assert_eq!(checked.status, Some(0), "{} {}", checked.out, checked.err);
    assert!(checked.out.contains("Proved: line 7 is among the first 23 lines"), "{}", checked.out);
    assert!(checked.out.contains(" of the parent trail "), "{}", checked.out);
    assert!(checked.out.contains("Cosigned by a quorum of witnesses at 20"), "{}", checked.out);

    // The proof of another line of the parent trail.
    let other = elsewhere.path().join("other.proof");
    let other = other.to_str().unwrap();
    assert_eq!(auditx(&["prove", "0", "-o", other], &family.parent).status, Some(0));
    let unrelated = check(other);
    assert_eq!(unrelated.status, Some(1), "{} {}", unrelated.out, unrelated.err);
    assert!(unrelated.out.contains("does not record the checkpoint of the proof"), "{}", unrelated.out);
    // One of a trail that is not in the policy.
    assert_eq!(auditx(&["prove", "0", "-o", other], child).status, Some(0));
    let foreign = check(other);
    assert_eq!(foreign.status, Some(1), "{} {}", foreign.out, foreign.err);
    assert!(foreign.out.contains("Not proved: the proof of the parent trail: "), "{}", foreign.out);

    let unrecorded = family.children[1].path();
    let missing = auditx(&["prove", "1", "--parent", parent, "-o", other], unrecorded);
    assert_eq!(missing.status, Some(2), "{}", missing.out);
    let why = "the parent trail records no checkpoint that covers line 1";
    assert!(missing.err.contains(why), "{}", missing.err);
}

fn grow(trail: &Path, count: usize) {
    let grown = logger(trail);
    record(&grown, count);
    grown.close(TIMEOUT).unwrap();
}

#[test]
fn a_child_that_was_rolled_back_or_continued_twice_contradicts_its_parent() {
    let mut family = Family::new();
    let copies = [copied(family.children[0].path()), copied(family.children[0].path())];
    grow(family.children[0].path(), 5);
    family.submit(0);
    family.near.end(Signal::TERM);
    let [earlier, other] = copies.each_ref().map(TempDir::path);
    let rolled_back = family.verify_copy(earlier, 0, "10m");
    assert_eq!(rolled_back.status, Some(1), "{}", rolled_back.out);
    let what = "the trail was rolled back to 23 lines: a checkpoint that the parent trail recorded names 3";
    assert!(rolled_back.out.contains(what), "{}", rolled_back.out);

    // The witness loses its memory and cosigns another history. The parent trail remembers.
    fs::remove_dir_all(family.near.directory.path().join("state")).unwrap();
    family.near.start_again(&["--create", "--trail", "parent", "--policy", &family.policies.1]);
    grow(other, 20);
    let submitted = cosign(other, &family.policies.0[0]);
    assert_eq!(submitted.status, Some(0), "{}", submitted.err);
    family.near.end(Signal::TERM);
    let forked = family.verify_copy(other, 0, "10m");
    assert_eq!(forked.status, Some(1), "{}", forked.out);
    let what = "a checkpoint that the parent trail recorded signs a different history";
    assert!(forked.out.contains(what), "{}", forked.out);
}

/// Records an entry in the parent trail by hand, and has everything cosigned again.
fn record_by_hand(family: &mut Family, checkpoint: &str) {
    let (entity, checkpoint) = (format!("log/{}", family.origin()), format!("checkpoint={checkpoint}"));
    let arguments = ["record", "by hand", "--entity", &entity, "--meta", &checkpoint];
    let recorded = auditx(&arguments, &family.parent);
    assert_eq!(recorded.status, Some(0), "{}", recorded.err);
    family.start();
    family.submit(0);
    family.near.end(Signal::TERM);
}

#[test]
fn a_recorded_checkpoint_that_contradicts_the_child_is_named() {
    let mut family = Family::new();
    let forged = SignedCheckpoint::sign(&family.origin(), 5, &[7; 32], &[&SigningKey::generate()]).unwrap();
    family.near.end(Signal::TERM);
    record_by_hand(&mut family, forged.as_str());
    let unclear = family.verify(0, "10m");
    assert_eq!(unclear.status, Some(3), "{} {}", unclear.out, unclear.err);
    assert!(unclear.out.contains("records 5 lines that the trail does not have"), "{}", unclear.out);
}

#[test]
fn a_false_signature_on_a_recorded_checkpoint_hides_no_true_one() {
    let mut family = Family::new();
    let earlier = copied(family.children[0].path());
    let before = fs::read_to_string(earlier.path().join(".auditx/checkpoint")).unwrap();
    grow(family.children[0].path(), 5);
    let after = fs::read_to_string(family.children[0].path().join(".auditx/checkpoint")).unwrap();
    let after = SignedCheckpoint::parse(after.as_bytes()).unwrap();
    let junk = SignedCheckpoint::sign(after.origin(), after.size(), after.root(), &[&SigningKey::generate()]);
    family.near.end(Signal::TERM);
    // The same head with a false signature comes first, and an old one last.
    record_by_hand(&mut family, junk.unwrap().as_str());
    record_by_hand(&mut family, &before);
    let broken = family.verify_copy(earlier.path(), 0, "10m");
    assert_eq!(broken.status, Some(1), "{} {}", broken.out, broken.err);
}

#[test]
fn a_parent_without_its_key_or_with_erased_lines_proves_nothing() {
    let mut family = Family::new();
    family.submit(0);
    family.near.end(Signal::TERM);
    let with_key = fs::read_to_string(&family.policies.1).unwrap();
    let without: String = with_key.split_inclusive('\n').filter(|line| !line.starts_with("log ")).collect();
    fs::write(&family.policies.1, without).unwrap();
    let unpinned = family.verify(0, "10m");
    assert_eq!(unpinned.status, Some(3), "{} {}", unpinned.out, unpinned.err);
    assert!(unpinned.out.contains("add `log VKEY` to its policy"), "{}", unpinned.out);
    fs::write(&family.policies.1, with_key).unwrap();
    assert_eq!(family.verify(0, "10m").status, Some(0));

    let erased = auditx(&["erase", "2", "--reason", "test", "--yes"], &family.parent);
    assert_eq!(erased.status, Some(0), "{}", erased.err);
    let incomplete = family.verify(0, "10m");
    assert_eq!(incomplete.status, Some(3), "{} {}", incomplete.out, incomplete.err);
    assert!(incomplete.out.contains("lines of the parent trail were erased or lost"), "{}", incomplete.out);
}

#[test]
fn a_parent_that_was_rolled_back_is_not_fresh() {
    let mut family = Family::new();
    family.submit(0);
    family.near.end(Signal::TERM);
    wait_until("the age of two seconds", || {
        family.verify(0, "1s").out.contains("its parent last recorded 23 lines")
    });

    // A line of the parent trail is changed.
    let path = family.parent.join("audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"action\":\"COSIGN\""), "{text}");
    fs::write(&path, text.replacen("\"COSIGN\"", "\"DESIGN\"", 1)).unwrap();
    let distrusted = family.verify(0, "10m");
    assert_eq!(distrusted.status, Some(3), "{}", distrusted.err);
    assert!(distrusted.out.contains("The reason: the parent trail is broken"), "{}", distrusted.out);
}
