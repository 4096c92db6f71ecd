//! Tests of `auditx witness`, `auditx cosign`, and of `--policy` of verify and check.

use std::fs;
use std::path::Path;

use auditx_tests::child::Child;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::bundle::unpacked;
use crate::program::{Ended, auditx, ended, ended_with_remarks, without_trail};
use crate::trail::{closed, copied, directory, logger, record};

/// A witness that knows a log, in a directory of its own.
pub(crate) struct Witness {
    pub(crate) directory: TempDir,
    process: Option<Child>,
    /// Its line for a policy.
    line: String,
}

impl Witness {
    pub(crate) fn new(log: &str) -> Self {
        let directory = directory();
        fs::write(directory.path().join("log.vkey"), log).unwrap();
        let keygen = ended(without_trail(&["keygen", "-o", "key.pem"]).current_dir(directory.path()));
        assert_eq!(keygen.status, Some(0), "{}", keygen.err);
        let mut witness = Self { directory, process: None, line: String::new() };
        witness.start("127.0.0.1:0", &["--create"]);
        witness
    }

    fn start(&mut self, listen: &str, more: &[&str]) {
        let mut command = without_trail(&["witness", "--dir", "state", "--key", "key.pem"]);
        command
            .args(["--name", "witness.example.com/w1", "--log", "log.vkey", "--listen", listen])
            .args(more);
        let process = Child::start(command.current_dir(self.directory.path()));
        let (heading, line) = (process.next_line().unwrap(), process.next_line().unwrap());
        assert!(heading.starts_with("Cosigning on http://127.0.0.1:"), "{heading}");
        (self.line, self.process) = (line, Some(process));
    }

    /// Kills it and starts it again on the same port.
    fn restart(&mut self) {
        self.end(Signal::KILL);
        self.start_again(&[]);
    }

    /// Ends it with this signal.
    pub(crate) fn end(&mut self, signal: Signal) {
        let process = self.process.take().unwrap();
        process.signal(signal);
        process.end();
    }

    /// Starts it on the same port, with more options.
    pub(crate) fn start_again(&mut self, more: &[&str]) {
        let address = self.line.rsplit_once("http://").unwrap().1.trim_end_matches('/').to_owned();
        self.start(&address, more);
    }
}

pub(crate) fn log_key(trail: &Path) -> String {
    auditx(&["key", "show"], trail).out.trim().to_owned()
}

/// A policy that requires the witness.
pub(crate) fn policy(trail: &Path, witness: &Witness) -> String {
    let path = witness.directory.path().join("policy");
    let name = "quorum witness.example.com/w1";
    fs::write(&path, format!("log {}\n{}\n{name}\n", log_key(trail), witness.line)).unwrap();
    path.to_str().unwrap().to_owned()
}

pub(crate) fn cosign(trail: &Path, policy: &str) -> Ended {
    auditx(&["cosign", "--policy", policy], trail)
}

#[test]
fn a_cosigned_trail_needs_no_checkpoint_that_somebody_saved() {
    let trail = closed(20);
    let mut witness = Witness::new(&log_key(trail.path()));
    let policy = policy(trail.path(), &witness);
    let verify = ["verify", "--policy", &policy, "--fresh", "10m"];
    let before = auditx(&verify, trail.path());
    assert_eq!(before.status, Some(3), "{}", before.err);
    assert!(before.out.contains("The reason: no checkpoint of the trail was cosigned"), "{}", before.out);

    let cosigned = cosign(trail.path(), &policy);
    assert_eq!((cosigned.status, cosigned.err.as_str()), (Some(0), ""), "{}", cosigned.out);
    assert!(cosigned.out.contains("are cosigned as the policy requires, at "), "{}", cosigned.out);
    let verified = auditx(&verify, trail.path());
    assert_eq!(verified.status, Some(0), "{}", verified.out);
    assert!(verified.out.contains("  Witnessed    "), "{}", verified.out);

    // The proof carries it to where the trail is not.
    let proof = auditx(&["prove", "7"], trail.path()).out;
    let elsewhere = directory();
    fs::write(elsewhere.path().join("proof"), proof).unwrap();
    let check = ["check", "proof", "--policy", &policy];
    let checked = ended(without_trail(&check).current_dir(elsewhere.path()));
    assert_eq!(checked.status, Some(0), "{} {}", checked.out, checked.err);
    assert!(checked.out.contains("Cosigned by a quorum of witnesses at 20"), "{}", checked.out);

    // The witness is killed; the trail grows and is cosigned further.
    witness.restart();
    let grown = logger(trail.path());
    record(&grown, 5);
    grown.close(auditx_tests::deadline::TIMEOUT).unwrap();
    assert_eq!(cosign(trail.path(), &policy).status, Some(0));
    assert_eq!(auditx(&verify, trail.path()).status, Some(0));
}

#[test]
fn only_cosigned_lines_are_shipped_with_a_policy() {
    let (trail, server) = (closed(20), crate::ship::server());
    let witness = Witness::new(&log_key(trail.path()));
    let policy = policy(trail.path(), &witness);
    let url = server.url("erp", server.port());
    let ship = || auditx(&["ship", "--once", "--to", &url, "--policy", &policy], trail.path());
    let nothing = ship();
    assert_eq!(nothing.status, Some(0), "{}", nothing.err);
    assert!(nothing.out.contains(": all 0 cosigned lines shipped."), "{}", nothing.out);
    assert_eq!(cosign(trail.path(), &policy).status, Some(0));
    let grown = logger(trail.path());
    record(&grown, 5);
    grown.close(auditx_tests::deadline::TIMEOUT).unwrap();
    let shipped = ship();
    assert!(shipped.out.contains(": all 23 cosigned lines shipped."), "{} {}", shipped.out, shipped.err);

    let from = server.url("auditor", server.port());
    let copy = ended(&mut without_trail(&["verify", "--from", &from, "--policy", &policy, "--fresh", "10m"]));
    assert_eq!(copy.status, Some(0), "{} {}", copy.out, copy.err);
    assert!(copy.out.contains("  Witnessed    23 lines"), "{}", copy.out);

    // A line that was cosigned is not the one that is there now.
    assert_eq!(cosign(trail.path(), &policy).status, Some(0));
    let path = trail.path().join("audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.rfind("entry 4 ").unwrap();
    fs::write(&path, format!("{}entry 5 {}", &text[..at], &text[at + 8..])).unwrap();
    let ship = ["ship", "--once", "--give-up-after", "2s", "--to", &url, "--policy", &policy];
    let refused = auditx(&ship, trail.path());
    assert_eq!(refused.status, Some(2), "{}", refused.out);
    assert!(refused.err.contains("lines are not those that witnesses cosigned"), "{}", refused.err);
    assert!(refused.out.contains(": 23 lines shipped"), "{}", refused.out);
}

#[test]
fn an_archive_of_cosigned_lines_is_checked_with_the_policy() {
    let trail = closed(20);
    let witness = Witness::new(&log_key(trail.path()));
    let policy = policy(trail.path(), &witness);
    assert_eq!(cosign(trail.path(), &policy).status, Some(0));
    let grown = logger(trail.path());
    record(&grown, 3);
    grown.close(auditx_tests::deadline::TIMEOUT).unwrap();
    let checked = |query: &str, seq: u64| {
        let out = directory();
        let archive = out.path().join("case.zip");
        let bundle = auditx(&["bundle", query, "-o", archive.to_str().unwrap()], trail.path());
        assert_eq!(bundle.status, Some(0), "{}", bundle.err);
        let proof = format!("proofs/{seq}.tlog-proof");
        let check = ["check", &proof, "--policy", &policy];
        ended(without_trail(&check).current_dir(unpacked(&archive).path()))
    };
    let cosigned = checked("\"entry 12\"", 14);
    assert_eq!(cosigned.status, Some(0), "{} {}", cosigned.out, cosigned.err);
    assert!(cosigned.out.contains("Cosigned by a quorum of witnesses at 20"), "{}", cosigned.out);
    // Entry 2 was recorded again after that.
    let latest = checked("\"entry 2\"", 4);
    assert_eq!(latest.status, Some(1), "{}", latest.out);
    assert!(latest.out.contains("not cosigned as the policy requires"), "{}", latest.out);
}

#[test]
fn a_copy_is_verified_with_the_cosigned_checkpoint_that_was_kept_elsewhere() {
    let (server, trail, elsewhere) = (crate::ship::server(), closed(20), directory());
    let witness = Witness::new(&log_key(trail.path()));
    let policy = policy(trail.path(), &witness);
    assert_eq!(cosign(trail.path(), &policy).status, Some(0));
    let kept = elsewhere.path().join("erp.checkpoint");
    let kept = kept.to_str().unwrap();
    assert_eq!(auditx(&["checkpoint", "--save", kept], trail.path()).status, Some(0));
    let shipped = auditx(&["ship", "--once", "--to", &server.url("erp", server.port())], trail.path());
    assert_eq!(shipped.status, Some(0), "{}", shipped.err);

    let from = server.url("auditor", server.port());
    let verify = ["verify", "--from", &from, "--policy", &policy, "--fresh", "10m"];
    let alone = ended(&mut without_trail(&verify));
    assert_eq!(alone.status, Some(3), "{}", alone.err);
    assert!(alone.out.contains("The reason: no checkpoint of the trail was cosigned"), "{}", alone.out);
    let known = ended(without_trail(&verify).args(["--known", kept]));
    assert_eq!(known.status, Some(0), "{} {}", known.out, known.err);
    assert!(known.out.contains("  Witnessed    "), "{}", known.out);
}

#[test]
fn a_trail_that_was_rolled_back_is_not_cosigned() {
    let trail = closed(20);
    let witness = Witness::new(&log_key(trail.path()));
    let policy = policy(trail.path(), &witness);
    let before = copied(trail.path());
    let grown = logger(trail.path());
    record(&grown, 5);
    grown.close(auditx_tests::deadline::TIMEOUT).unwrap();
    assert_eq!(cosign(trail.path(), &policy).status, Some(0));
    let refused = cosign(before.path(), &policy);
    assert_eq!(refused.status, Some(1), "{}", refused.err);
    assert!(
        refused.err.contains("the trail was rolled back, or another copy of it was continued"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("no valid cosignature of witness.example.com/w1"), "{}", refused.err);
}

#[test]
fn a_proof_without_the_cosignatures_of_a_policy_is_not_accepted() {
    let trail = closed(3);
    let witness = Witness::new(&log_key(trail.path()));
    let policy = policy(trail.path(), &witness);
    let proof = trail.path().join("line.proof");
    fs::write(&proof, auditx(&["prove", "1"], trail.path()).out).unwrap();
    let checked = ended(&mut without_trail(&["check", proof.to_str().unwrap(), "--policy", &policy]));
    assert_eq!(checked.status, Some(1), "{}", checked.err);
    assert!(checked.out.contains("not cosigned as the policy requires"), "{}", checked.out);
}

#[test]
fn what_a_witness_cannot_use_is_named() {
    let (trail, elsewhere) = (closed(1), directory());
    let log = log_key(trail.path());
    let run = |arguments: &[&str]| {
        ended_with_remarks(without_trail(&[&["witness"], arguments].concat()).current_dir(elsewhere.path()))
    };
    let missing = run(&["--dir", "state", "--key", "key.pem", "--name", "w", "--log", &log]);
    assert_eq!(missing.status, Some(2));
    assert!(missing.err.contains("cannot read key.pem"), "{}", missing.err);
    ended(without_trail(&["keygen", "-o", "key.pem"]).current_dir(elsewhere.path()));
    let unnamed = run(&["--dir", "state", "--key", "key.pem", "--name", "a b", "--log", &log]);
    assert!(unnamed.err.contains("invalid key name \"a b\""), "{}", unnamed.err);
    let state = ["--dir", "state", "--key", "key.pem", "--name", "w", "--log", &log];
    let absent = run(&state);
    assert!(absent.err.contains("there is no witness in state"), "{}", absent.err);
    fs::create_dir(elsewhere.path().join("state")).unwrap();
    fs::write(elsewhere.path().join("state/cosigned"), "key w+00000000+BA==\n").unwrap();
    let refused = run(&state);
    assert!(refused.err.contains("is not the state of the witness w+"), "{}", refused.err);
    let no_url = trail.path().join("policy");
    fs::write(&no_url, format!("log {log}\nquorum none\n")).unwrap();
    let refused = cosign(trail.path(), no_url.to_str().unwrap());
    assert!(refused.err.contains("no witness of the policy has a URL"), "{}", refused.err);
}
