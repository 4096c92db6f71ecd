//! Tests of `auditx prove`, `check` and `checkpoint`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Ended, auditx, command, ended, fed, on_terminal, without_trail};
use crate::trail::{closed, directory, logger, record, tamper};

/// Another machine: a directory with the key and proofs, without the trail.
struct Elsewhere {
    directory: TempDir,
    key: String,
}

impl Elsewhere {
    fn with_key_of(trail: &Path) -> Self {
        let key = auditx(&["key", "show"], trail).out;
        let elsewhere = Self { directory: directory(), key: key.trim().to_owned() };
        fs::write(elsewhere.path("vkey"), key).unwrap();
        elsewhere
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn check(&self, proof: &str, more: &[&str]) -> Ended {
        fs::write(self.path("proof"), proof).unwrap();
        let arguments = [&["check", "proof", "--key", "vkey"], more].concat();
        ended(without_trail(&arguments).current_dir(self.directory.path()))
    }
}

/// Returns the proof with one changed character in its `extra` line.
fn altered(proof: &str) -> String {
    let at = proof.find("\nextra ").unwrap() + 40;
    let other = if proof.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &proof[..at], &proof[at + 1..])
}

#[test]
fn a_proof_is_checked_with_only_the_key() {
    let trail = closed(100);
    let elsewhere = Elsewhere::with_key_of(trail.path());
    let stored = auditx(&["tail", "-n", "1000", "-o", "raw"], trail.path()).out;
    for seq in [0, 3, 50, 100] {
        let proof = auditx(&["prove", &seq.to_string()], trail.path());
        assert_eq!((proof.status, proof.err.as_str()), (Some(0), ""));
        assert!(proof.out.starts_with("c2sp.org/tlog-proof@v1\n"), "{}", proof.out);
        let checked = elsewhere.check(&proof.out, &[]);
        assert_eq!((checked.status, checked.err.as_str()), (Some(0), ""), "{}", checked.out);
        assert!(
            checked.out.starts_with(&format!("Proved: line {seq} is among the first ")),
            "{}",
            checked.out
        );
        assert!(checked.out.contains(&format!("Signed with {}\n", elsewhere.key)), "{}", checked.out);
        let line = stored.lines().nth(seq).unwrap();
        assert_eq!(checked.out.lines().last().unwrap(), line);

        let json: Value = serde_json::from_str(&elsewhere.check(&proof.out, &["--json"]).out).unwrap();
        let fields = ["answer", "proof", "seq", "is_erased", "line"].map(|name| json[name].clone());
        assert_eq!(fields, [json!("proved"), json!("inclusion"), json!(seq), json!(false), json!(line)]);
        assert_eq!(json["signed_by"], json!([elsewhere.key]));
    }
}

#[test]
fn keys_are_read_from_files_and_proofs_from_standard_input() {
    let trail = closed(1);
    let elsewhere = Elsewhere::with_key_of(trail.path());
    let proof = auditx(&["prove", "2"], trail.path()).out;
    let file = elsewhere.path("vkey");
    let with_comment = elsewhere.path("commented");
    fs::write(&with_comment, format!("# of the shop\n\n{}\n", elsewhere.key)).unwrap();
    for key in [
        elsewhere.key.clone(),
        file.display().to_string(),
        format!("@{}", file.display()),
        format!("@{}", with_comment.display()),
    ] {
        let checked = fed(&mut without_trail(&["check", "-", "--key", &key]), proof.as_bytes());
        assert_eq!((checked.status, checked.err.as_str()), (Some(0), ""), "{key}");
    }
    let missing = fed(&mut without_trail(&["check", "-", "--key", "@none"]), proof.as_bytes());
    assert_eq!(missing.status, Some(2));
    assert!(missing.err.starts_with("auditx: cannot read none: "), "{}", missing.err);
    let wrong = fed(&mut without_trail(&["check", "-", "--key", "none"]), proof.as_bytes());
    assert_eq!(wrong.status, Some(2));
    assert!(
        wrong.err.starts_with("auditx: invalid verifier key \"none\": expected one like "),
        "{}",
        wrong.err
    );
    let none = ended(&mut without_trail(&["check", "proof"]));
    assert_eq!(none.status, Some(2));
    assert!(none.err.contains("--key <VKEY>"), "{}", none.err);
}

#[test]
fn altered_foreign_and_malformed_proofs_are_rejected() {
    let trail = closed(10);
    let elsewhere = Elsewhere::with_key_of(trail.path());
    let proof = auditx(&["prove", "5"], trail.path()).out;
    let wrong = elsewhere.check(&altered(&proof), &[]);
    assert_eq!((wrong.status, wrong.err.as_str()), (Some(1), ""));
    assert!(wrong.out.starts_with("Not proved: "), "{}", wrong.out);
    assert_eq!(wrong.out.lines().count(), 1, "an unproved line must not be printed");

    let other = Elsewhere::with_key_of(closed(1).path());
    let stranger = other.check(&proof, &[]);
    assert_eq!(stranger.status, Some(1));
    assert!(stranger.out.contains("none of the given keys signed it"), "{}", stranger.out);
    let json: Value = serde_json::from_str(&other.check(&proof, &["--json"]).out).unwrap();
    assert_eq!((&json["answer"], &json["signed_by"]), (&json!("not-proved"), &json!([])));
    assert!(json["why"].as_str().unwrap().contains("none of the given keys"), "{json}");

    for text in ["", "nonsense\n", &proof[..proof.len() / 2]] {
        let broken = elsewhere.check(text, &[]);
        assert_eq!((broken.status, broken.out.as_str()), (Some(2), ""), "{text}");
        assert!(broken.err.starts_with("auditx: not a proof: "), "{}", broken.err);
    }
    let long = elsewhere.check(&"x".repeat(2_000_000), &[]);
    assert_eq!(long.status, Some(2));
    assert!(long.err.contains("longer than 1 MiB"), "{}", long.err);
}

#[test]
fn missing_and_altered_lines_have_no_proof() {
    let trail = closed(10);
    let none = auditx(&["prove", "1000"], trail.path());
    assert_eq!((none.status, none.out.as_str()), (Some(2), ""));
    assert!(none.err.starts_with("auditx: line 1000 is not signed yet"), "{}", none.err);
    assert_eq!(none.err.lines().count(), 1, "{}", none.err);

    tamper(&trail.path().join("audit.jsonl"), 5);
    let altered = auditx(&["prove", "5"], trail.path());
    assert_eq!((altered.status, altered.out.as_str()), (Some(2), ""));
    assert!(altered.err.starts_with("auditx: line 5 cannot be proved: "), "{}", altered.err);
    assert!(altered.err.contains("run `auditx verify`") && altered.err.contains("audit.jsonl, byte "));

    let empty = directory();
    let nothing = auditx(&["prove", "0"], empty.path());
    assert_eq!(nothing.status, Some(2));
    assert!(nothing.err.starts_with("auditx: there is no checkpoint in the directory"), "{}", nothing.err);
    let missing = auditx(&["prove", "0"], &empty.path().join("none"));
    assert_eq!(missing.status, Some(2));
    assert!(missing.err.starts_with("auditx: there is no such directory"), "{}", missing.err);
    assert!(missing.err.contains("auditx demo --dir "), "{}", missing.err);
    let nothing_asked = auditx(&["prove"], trail.path());
    assert_eq!(nothing_asked.status, Some(2));
}

#[test]
fn growth_since_a_saved_checkpoint_is_proved() {
    let trail = closed(40);
    let elsewhere = Elsewhere::with_key_of(trail.path());
    let note = elsewhere.path("note");
    let saved = auditx(&["checkpoint", "--save", note.to_str().unwrap()], trail.path());
    assert_eq!((saved.status, saved.err.as_str()), (Some(0), ""));
    let printed = auditx(&["checkpoint"], trail.path());
    assert_eq!(printed.out, fs::read_to_string(&note).unwrap(), "the same bytes");
    assert!(
        saved.out.contains(&format!("first {} lines", printed.out.lines().nth(1).unwrap())),
        "{}",
        saved.out
    );

    let logger = logger(trail.path());
    record(&logger, 40);
    logger.close(auditx_tests::deadline::TIMEOUT).unwrap();
    let proof = elsewhere.path("grown");
    let arguments = ["prove", "--consistency", note.to_str().unwrap(), "-o", proof.to_str().unwrap()];
    let made = auditx(&arguments, trail.path());
    assert_eq!((made.status, made.err.as_str()), (Some(0), ""));
    let proof = fs::read_to_string(proof).unwrap();
    let checked = elsewhere.check(&proof, &[]);
    assert_eq!(checked.status, Some(0), "{}", checked.err);
    assert!(checked.out.contains(" begin with the first "), "{}", checked.out);
    let json: Value = serde_json::from_str(&elsewhere.check(&proof, &["--json"]).out).unwrap();
    assert_eq!(json["proof"], "consistency");
    assert!(json["older_size"].as_u64() < json["size"].as_u64());

    let newer = elsewhere.path("newer");
    auditx(&["checkpoint", "--save", newer.to_str().unwrap()], trail.path());
    let (note, newer) = (note.to_str().unwrap(), newer.to_str().unwrap());
    let both = auditx(&["prove", "--consistency", note, newer], trail.path());
    assert_eq!(both.out, proof);
    let backwards = auditx(&["prove", "--consistency", newer, note], trail.path());
    assert_eq!((backwards.status, backwards.out.as_str()), (Some(2), ""));
    assert!(backwards.err.contains("is not an earlier state of one of"), "{}", backwards.err);
}

#[test]
fn a_newer_saved_checkpoint_is_not_replaced() {
    let trail = closed(1);
    let elsewhere = directory();
    let note = elsewhere.path().join("note");
    let save = || auditx(&["checkpoint", "--save", note.to_str().unwrap()], trail.path());
    let earlier = auditx(&["checkpoint"], trail.path()).out;
    logger(trail.path()).close(auditx_tests::deadline::TIMEOUT).unwrap();
    assert_eq!(save().status, Some(0));
    let later = fs::read_to_string(&note).unwrap();
    fs::write(auditx_store::checkpoint_path(trail.path()), &earlier).unwrap();
    assert_eq!(auditx(&["checkpoint"], trail.path()).out, later, "a newer one is kept beside it");
    let cache = trail.path().join(".auditx/tiles");
    let hidden = elsewhere.path().join("tiles");
    fs::rename(&cache, &hidden).unwrap();
    let stale = auditx(&["checkpoint"], trail.path());
    assert_eq!((stale.status, stale.out.as_str()), (Some(2), ""));
    assert!(stale.err.contains("the latest checkpoint names fewer"), "{}", stale.err);
    fs::rename(&hidden, &cache).unwrap();
    fs::remove_dir_all(auditx_store::checkpoint_history(trail.path())).unwrap();
    let back = save();
    assert_eq!((back.status, back.out.as_str()), (Some(1), ""));
    assert!(back.err.contains("the trail was rolled back") && back.err.contains("--known"), "{}", back.err);
    assert_eq!(fs::read_to_string(&note).unwrap(), later);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "no temporary file is left");

    let other = auditx(&["checkpoint", "--save", note.to_str().unwrap()], closed(1).path());
    assert_eq!(other.status, Some(1));
    assert!(other.err.contains("of another trail"), "{}", other.err);
    let nowhere = elsewhere.path().join("none/note");
    let nowhere = auditx(&["checkpoint", "--save", nowhere.to_str().unwrap()], closed(1).path());
    assert_eq!(nowhere.status, Some(2));
    assert!(nowhere.err.starts_with("auditx: cannot write "), "{}", nowhere.err);
}

#[test]
fn checkpoints_and_proved_lines_are_safe_on_a_terminal() {
    let trail = directory();
    let logger = logger(trail.path());
    logger.log("a \u{202e} b").record().unwrap();
    logger.close(auditx_tests::deadline::TIMEOUT).unwrap();
    let (status, shown) = on_terminal(&mut command(&["checkpoint"], trail.path()), 200);
    assert_eq!((status, shown), (Some(0), auditx(&["checkpoint"], trail.path()).out));
    let elsewhere = Elsewhere::with_key_of(trail.path());
    let checked = elsewhere.check(&auditx(&["prove", "2"], trail.path()).out, &[]);
    assert!(checked.out.contains(r"a \u202e b"), "{}", checked.out);
}
