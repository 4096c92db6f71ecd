//! Tests of `auditx erase` and `auditx retire`.

use std::fs;
use std::path::Path;

use auditx_core::{AuditLogger, Config};
use auditx_store::sealed_segments;
use auditx_tests::deadline::TIMEOUT;
use tempfile::TempDir;

use crate::program::{asked_on_terminal, auditx, command, ended, on_terminal, without_trail};
use crate::trail::{closed, compressed, directory, files, logger, record};

/// The text that must be erased everywhere.
const SECRET: &str = "Daw Aye Aye, 12 Merchant Road";

/// Creates a trail with one line that contains the secret, and other lines before and after it.
fn with_secret(before: usize, after: usize) -> (TempDir, u64) {
    let directory = directory();
    let logger = logger(directory.path());
    record(&logger, before);
    let receipt =
        logger.log_security("Login failed").reason(SECRET).success(false).record().expect("an entry");
    let seq = receipt.wait_durable().unwrap().seq;
    record(&logger, after);
    compressed(&logger);
    logger.close(TIMEOUT).unwrap();
    (directory, seq)
}

fn places_of_secret(directory: &Path) -> Vec<String> {
    let has_secret = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    let with_secret = files(directory).into_iter().filter(|(_, bytes)| has_secret(bytes));
    with_secret.map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// Proves this line and checks the proof with the first key of the trail.
fn checked(directory: &Path, seq: u64, key: &str) -> (Option<i32>, String) {
    let elsewhere = tempfile::tempdir().unwrap();
    let proof = elsewhere.path().join("proof");
    let made = auditx(&["prove", &seq.to_string(), "-o", proof.to_str().unwrap()], directory);
    assert_eq!(made.status, Some(0), "{}", made.err);
    let checked = ended(&mut without_trail(&["check", proof.to_str().unwrap(), "--key", key]));
    (checked.status, checked.out)
}

#[test]
fn an_erased_text_is_nowhere_and_proofs_stay_valid() {
    for (before, after) in [(0, 0), (3, 100)] {
        let (trail, seq) = with_secret(before, after);
        let key = auditx(&["key", "show"], trail.path()).out.trim().to_owned();
        let places = places_of_secret(trail.path());
        assert!(
            places.contains(&"security.jsonl".to_owned()) && places.contains(&"ring".to_owned()),
            "{places:?}"
        );
        assert_eq!(places.iter().any(|place| place.ends_with(".zst")), after > 0);

        let number = seq.to_string();
        let erased = auditx(&["erase", &number, "--reason", "request 17", "--yes"], trail.path());
        assert_eq!((erased.status, erased.err.as_str()), (Some(0), ""));
        assert!(erased.out.starts_with(&format!("Erased the text of line {seq} in ")), "{}", erased.out);
        assert_eq!(places_of_secret(trail.path()), [""; 0], "after {after} more");

        let (status, said) = checked(trail.path(), seq, &key);
        assert_eq!(status, Some(0), "{said}");
        assert!(
            said.contains("Its text was erased") && said.contains(&format!("{{\"seq\":{seq},\"erased\":"))
        );
        let (status, said) = checked(trail.path(), seq - 1, &key);
        assert!(status == Some(0) && !said.contains("erased"), "{said}");

        let table = auditx(&["tail", "-n", "1000", "-o", "table"], trail.path()).out;
        assert!(
            table.lines().any(|line| line.split_whitespace().eq([seq.to_string().as_str(), "(erased)"])),
            "{table}"
        );
        let doctor = auditx(&["doctor"], trail.path());
        assert_eq!(doctor.status, Some(0), "{}", doctor.out);
        assert!(doctor.out.contains("lines erased: 1"), "{}", doctor.out);

        let twice = auditx(&["erase", &number, "--reason", "again", "--yes"], trail.path());
        assert_eq!(twice.status, Some(2));
        assert!(twice.err.contains("is erased already"), "{}", twice.err);
    }
}

#[test]
fn an_erasure_needs_a_confirmation_and_a_reason() {
    let (trail, seq) = with_secret(0, 0);
    let number = seq.to_string();
    let unasked = auditx(&["erase", &number, "--reason", "r"], trail.path());
    assert_eq!((unasked.status, unasked.out.as_str()), (Some(2), ""));
    assert!(unasked.err.contains("pass --yes"), "{}", unasked.err);
    let (status, _) = on_terminal(&mut command(&["erase", &number, "--reason", "r"], trail.path()), 80);
    assert_eq!(status, Some(2), "an output terminal is not enough to ask");
    for (arguments, why) in [
        (&["erase", &number, "--yes"][..], "--reason <TEXT>"),
        (&["erase", &number, "--yes", "--reason", " "], "needs a reason"),
        (&["erase", "0", "--yes", "--reason", "r"], "is a control record"),
        (&["erase", "9999", "--yes", "--reason", "r"], "has no line 9999"),
    ] {
        let refused = auditx(arguments, trail.path());
        assert_eq!((refused.status, refused.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    assert_eq!(places_of_secret(trail.path()).len(), 3, "nothing was erased");
}

#[test]
fn the_line_is_shown_before_the_confirmation() {
    let (trail, seq) = with_secret(0, 0);
    let number = seq.to_string();
    let mut erase = command(&["erase", &number, "--reason", "r"], trail.path());
    for no in ["n\n", "\n", "whatever\n"] {
        let (status, seen) = asked_on_terminal(&mut erase, no);
        assert_eq!(status, Some(1), "{seen}");
        assert!(seen.contains("Login failed") && seen.contains("permanently? [y/N]"), "{seen}");
        assert!(seen.contains("nothing was erased"), "{seen}");
    }
    assert_eq!(places_of_secret(trail.path()).len(), 3);
    let (status, seen) = asked_on_terminal(&mut erase, "y\n");
    assert_eq!(status, Some(0), "{seen}");
    assert_eq!(places_of_secret(trail.path()), [""; 0]);
}

#[test]
fn retired_segments_are_named_and_proofs_stay_valid() {
    let trail = closed(200);
    let key = auditx(&["key", "show"], trail.path()).out.trim().to_owned();
    let names = |directory: &Path| -> Vec<String> {
        let segments = sealed_segments(directory).unwrap();
        segments
            .iter()
            .map(|sealed| sealed.path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    let before = names(trail.path());
    assert!(before.len() >= 4, "{before:?}");
    let old = auditx(&["retire", "--older-than", "1d"], trail.path());
    assert_eq!((old.status, old.out.as_str()), (Some(0), "No segment was removed.\n"), "{}", old.err);

    let retired = auditx(&["retire", "--keep", "2"], trail.path());
    assert_eq!((retired.status, retired.err.as_str()), (Some(0), ""));
    let gone = &before[..before.len() - 2];
    assert_eq!(
        retired.out.lines().skip(1).map(str::trim).collect::<Vec<_>>(),
        gone.iter().map(String::as_str).collect::<Vec<_>>()
    );
    assert_eq!(names(trail.path()), before[before.len() - 2..]);
    let first = sealed_segments(trail.path()).unwrap()[0].first_seq;
    for seq in [first, first + 1, first + 40] {
        assert_eq!(checked(trail.path(), seq, &key).0, Some(0), "{seq}");
    }
    fs::remove_dir_all(trail.path().join(".auditx/tiles")).unwrap();
    assert_eq!(checked(trail.path(), first + 1, &key).0, Some(0), "without the cache too");
    let lost = auditx(&["prove", "3"], trail.path());
    assert_eq!(lost.status, Some(2));
    assert!(lost.err.contains(&format!("begins with line {first}")), "{}", lost.err);
    assert_eq!(auditx(&["doctor"], trail.path()).status, Some(0));
}

#[test]
fn a_segment_that_a_follower_has_not_read_is_kept() {
    let trail = directory();
    let behind = |_: &auditx_core::RecordedEntry<'_>| Err("not now".into());
    let config = Config::new(trail.path()).max_file_bytes(65_535).on_audit_from_start("to-the-bank", behind);
    let logger = AuditLogger::open(config).unwrap();
    record(&logger, 100);
    logger.close(TIMEOUT).unwrap();
    let kept = auditx(&["retire", "--keep", "0"], trail.path());
    assert_eq!((kept.status, kept.err.as_str()), (Some(1), ""));
    assert_eq!(
        kept.out,
        "No segment was removed.\nThe next segment was kept: to-the-bank has not read all of it.\n"
    );
}

#[test]
fn retire_needs_exactly_one_valid_limit() {
    let trail = closed(1);
    for (arguments, why) in [
        (&["retire"][..], "--keep <N>"),
        (&["retire", "--keep", "1", "--older-than", "1d"], "cannot be used with"),
        (&["retire", "--keep", "few"], "invalid value 'few'"),
        (&["retire", "--older-than", "soon"], "expected a duration such as 90d"),
    ] {
        let refused = auditx(arguments, trail.path());
        assert_eq!((refused.status, refused.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(refused.err.contains(why), "{arguments:?}: {}", refused.err);
    }
}
