//! Tests of `verify`, `doctor` and `bundle` on several trails, and of damage in one of them.

use std::fs;
use std::path::Path;

use auditx_store::ACTIVE;
use serde_json::{Value, json};

use super::{order, sales, workers};
use crate::program::{Ended, auditx};
use crate::trail::directory;

/// Changes a description in the second trail.
fn tamper(log_dir: &Path) {
    let segment = log_dir.join("two").join(ACTIVE);
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("\"description\":\"3\"", "\"description\":\"8\"", 1)).unwrap();
}

/// The keys of both trails, as flags.
fn keys(log_dir: &Path) -> [String; 2] {
    ["one", "two"].map(|name| auditx(&["key", "show"], &log_dir.join(name)).out.trim().to_owned())
}

fn verify(arguments: &[&str], log_dir: &Path) -> Ended {
    let [one, two] = keys(log_dir);
    auditx(&[&["verify", "--key", &one, "--key", &two], arguments].concat(), log_dir)
}

#[test]
fn every_trail_has_a_verdict() {
    let log_dir = workers();
    let verify = verify(&[], log_dir.path());
    assert_eq!((verify.status, verify.err.as_str()), (Some(3), ""), "{}", verify.out);
    for name in ["one", "two"] {
        let verdict = format!("{} is not confirmed", log_dir.path().join(name).display());
        assert!(verify.out.contains(&verdict), "{}", verify.out);
    }
    assert!(
        verify
            .out
            .ends_with(&format!("Of the 2 trails below {}: 2 not confirmed.\n", log_dir.path().display()))
    );
}

#[test]
fn one_broken_trail_makes_the_answer_broken() {
    let log_dir = workers();
    tamper(log_dir.path());
    let text = verify(&[], log_dir.path());
    assert_eq!(text.status, Some(1), "{}", text.err);
    assert!(text.out.contains("/two is BROKEN") && !text.out.contains("/one is BROKEN"), "{}", text.out);
    assert!(text.out.ends_with(": 1 not confirmed, 1 BROKEN.\n"), "{}", text.out);
    let json = verify(&["--json"], log_dir.path());
    let found: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.status, &found["answer"]), (Some(1), &json!("broken")));
    let trails: Vec<[&Value; 2]> =
        found["trails"].as_array().unwrap().iter().map(|one| [&one["trail"], &one["answer"]]).collect();
    assert_eq!(trails, [[&json!("one"), &json!("unconfirmed")], [&json!("two"), &json!("broken")]]);
}

#[test]
fn a_trail_that_cannot_be_verified_does_not_hide_the_others() {
    let log_dir = workers();
    let legacy = log_dir.path().join("legacy");
    fs::create_dir(&legacy).unwrap();
    fs::write(legacy.join(ACTIVE), "{\"timestamp\": \"2026-11-24T09:00:00+00:00\"}\n").unwrap();
    let text = verify(&[], log_dir.path());
    assert_eq!(text.status, Some(2), "{}", text.out);
    assert!(text.err.starts_with("auditx: legacy: "), "{}", text.err);
    assert!(text.out.contains("/two is not confirmed"), "{}", text.out);
    assert!(text.out.ends_with(": 2 not confirmed, 1 not verified.\n"), "{}", text.out);
    let json = verify(&["--json"], log_dir.path());
    let found: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.status, &found["answer"]), (Some(2), &json!("not-verified")));
    assert!(found["trails"][0]["error"].as_str().is_some_and(|error| error.contains("Python package")));
    tamper(log_dir.path());
    assert_eq!(verify(&[], log_dir.path()).status, Some(1), "a fault is worse");
}

#[test]
fn a_known_checkpoint_needs_one_trail() {
    let log_dir = workers();
    let kept = directory();
    let note = kept.path().join("note");
    let note = note.to_str().unwrap();
    assert_eq!(auditx(&["checkpoint", "--save", note], &log_dir.path().join("one")).status, Some(0));
    let all = verify(&["--known", note], log_dir.path());
    assert_eq!((all.status, all.out.as_str()), (Some(2), ""));
    assert!(all.err.contains("--known is that of one trail: give --trail NAME"), "{}", all.err);
    let one = verify(&["--known", note, "--trail", "one"], log_dir.path());
    assert_eq!(one.status, Some(0), "{}{}", one.out, one.err);
}

#[test]
fn doctor_reports_each_trail() {
    let log_dir = workers();
    let doctor = auditx(&["doctor"], log_dir.path());
    assert_eq!((doctor.status, doctor.err.as_str()), (Some(0), ""), "{}", doctor.out);
    assert_eq!(doctor.out.matches(" contains the audit trail of ").count(), 2, "{}", doctor.out);
    tamper(log_dir.path());
    let doctor = auditx(&["doctor", "--json"], log_dir.path());
    let found: Value = serde_json::from_str(&doctor.out).unwrap();
    assert_eq!((doctor.status, &found["healthy"]), (Some(1), &json!(false)));
    let trails: Vec<[&Value; 2]> =
        found["trails"].as_array().unwrap().iter().map(|one| [&one["trail"], &one["healthy"]]).collect();
    assert_eq!(trails, [[&json!("one"), &json!(true)], [&json!("two"), &json!(false)]]);
}

#[test]
fn a_bundle_needs_one_trail() {
    let (log_dir, out) = (workers(), directory());
    let archive = out.path().join("case.zip");
    let archive = archive.to_str().unwrap();
    let all = sales(&["bundle", "-o", archive], log_dir.path());
    assert_eq!(all.status, Some(2));
    let why = "auditx: an archive proves the lines of one trail: give --trail NAME, one of those below ";
    assert!(all.err.starts_with(why) && all.err.ends_with(": one, two\n"), "{}", all.err);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    let one = sales(&["bundle", "-o", archive, "--trail", "one"], log_dir.path());
    assert_eq!(one.status, Some(0), "{}", one.err);
    assert!(one.out.starts_with("3 lines with 3 proofs in "), "{}", one.out);
}

#[test]
fn an_altered_trail_is_an_error_that_names_it() {
    let log_dir = workers();
    tamper(log_dir.path());
    for arguments in [
        &["query"][..],
        &["query", "--count"],
        &["query", "--sort", "user"],
        &["stats"],
        &["tail"],
        &["fields"],
    ] {
        let ended = sales(arguments, log_dir.path());
        assert_eq!(ended.status, Some(2), "{arguments:?}: {}", ended.err);
        assert!(
            ended.err.starts_with("auditx: two: the trail does not match what was signed"),
            "{}",
            ended.err
        );
    }
    assert_eq!(order(&sales(&["query"], log_dir.path()).out), "1 2 8 4 5 5", "everything is shown");
}

#[test]
fn an_unreadable_line_of_any_trail_is_reported() {
    let log_dir = directory();
    let line = |second: u8| {
        format!("{{\"timestamp\": \"2026-11-24T10:00:0{second}Z\", \"description\": \"{second}\"}}\n")
    };
    for (name, lines) in [("one", line(1) + "{broken}\n" + &line(3)), ("two", line(2))] {
        fs::create_dir(log_dir.path().join(name)).unwrap();
        fs::write(log_dir.path().join(name).join(ACTIVE), lines).unwrap();
    }
    let query = auditx(&["query"], log_dir.path());
    assert_eq!((query.status, order(&query.out).as_str()), (Some(0), "1 2 3"), "{}", query.err);
    assert!(query.err.contains("auditx: one: 1 line could not be read\n"), "{}", query.err);
    assert_eq!(auditx(&["query", "--strict"], log_dir.path()).status, Some(2));
}
