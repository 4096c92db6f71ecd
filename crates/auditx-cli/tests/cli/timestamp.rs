//! Tests of `auditx timestamp` and of `auditx verify --tsa-roots`.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use auditx_tests::deadline::TIMEOUT;
use auditx_tests::tsa::{Authority, P256, serve};
use serde_json::Value;

use crate::bundle::unpacked;
use crate::program::{Ended, auditx, ended, without_trail};
use crate::trail::{closed, directory, logger, record};

const OPTIONS: &str = "digests = sha256\nsigner_digest = sha256\n";

/// The URL of an authority, and the path of its root certificate.
fn authority(options: &'static str) -> (Arc<Authority>, String, String) {
    let authority = Arc::new(Authority::new(P256));
    let path = authority.path("root.pem").to_str().unwrap().to_owned();
    let serving = authority.clone();
    (authority, serve(move |request| Some(serving.answer(request, options))), path)
}

fn assert_ended(ended: &Ended, status: i32, words: &[&str]) {
    let said = format!("{}{}", ended.out, ended.err);
    assert_eq!(ended.status, Some(status), "{said}");
    for word in words {
        assert!(said.contains(word), "expected {word:?}: {said}");
    }
}

#[test]
fn a_stamped_trail_says_when_it_existed() {
    let (trail, (_authority, url, root)) = (closed(20), authority(OPTIONS));
    let verify = ["verify", "--tsa-roots", &root];
    let before = auditx(&verify, trail.path());
    let advice = "When the trail existed: no time stamp of the given authorities agrees with its lines.";
    assert_ended(&before, 3, &[advice, "auditx timestamp --dir "]);

    let stamp = ["timestamp", "--tsa", &url, "--tsa-roots", &root];
    assert_ended(
        &auditx(&stamp, trail.path()),
        0,
        &["lines are stamped: Test signer says that they existed at 20"],
    );
    assert_ended(&auditx(&stamp, trail.path()), 0, &["lines were stamped before: Test signer"]);
    let unverified = auditx(&["timestamp", "--tsa", &url], trail.path());
    assert_ended(&unverified, 0, &["The certificate of Test signer was not verified"]);

    let found = auditx(&verify, trail.path());
    assert_ended(&found, 3, &["  Time stamps  1: ", " lines at 20", " (Test signer)"]);
    assert!(!found.out.contains("When the trail existed"), "{}", found.out);
    let json = auditx(&[&verify[..], &["--json"]].concat(), trail.path()).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    let stamps = &json["time_stamps"];
    assert_eq!((&stamps["count"], &stamps["last"]["authority"]), (&1.into(), &"Test signer".into()));
    assert_eq!(stamps["last"]["size"], json["signed"]);
}

#[test]
fn an_archive_has_the_first_stamp_of_its_entries() {
    let (trail, (_authority, url, root)) = (closed(20), authority(OPTIONS));
    let stamp = || assert_ended(&auditx(&["timestamp", "--tsa", &url], trail.path()), 0, &[]);
    let grow = || {
        let grown = logger(trail.path());
        record(&grown, 3);
        grown.close(TIMEOUT).unwrap();
    };
    stamp();
    grow();
    stamp();
    grow();
    let key = auditx(&["key", "show"], trail.path()).out.trim().to_owned();
    // The first stamp covers the entry that was recorded once; the second one also its namesakes.
    for (query, lines) in [("\"entry 12\"", "23"), ("seq:27", "29")] {
        let archive = trail.path().join("case.zip");
        let bundle = auditx(&["bundle", query, "-o", archive.to_str().unwrap()], trail.path());
        assert_ended(&bundle, 0, &["1 line with 1 proof"]);
        let case = unpacked(&archive);
        fs::remove_file(archive).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args([
            "ts",
            "-verify",
            "-data",
            "timestamp/checkpoint",
            "-in",
            "timestamp/tsr",
            "-CAfile",
            &root,
        ]);
        let verified = openssl.current_dir(case.path()).output().unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        let stamped = fs::read_to_string(case.path().join("timestamp/checkpoint")).unwrap();
        assert_eq!(stamped.lines().nth(1), Some(lines), "{stamped}");
        let check = ["check", "timestamp/consistency-proof", "--key", &key];
        let checked = ended(without_trail(&check).current_dir(case.path()));
        assert_ended(&checked, 0, &[&format!("begin with the first {lines}, unchanged")]);
    }
    // No stamp covers the last entry.
    let archive = trail.path().join("case.zip");
    let bundle = auditx(&["bundle", "seq:32", "-o", archive.to_str().unwrap()], trail.path());
    assert_ended(&bundle, 0, &["1 line with 1 proof"]);
    assert!(!unpacked(&archive).path().join("timestamp").exists());
}

#[test]
fn a_stamp_of_another_authority_is_named() {
    let (trail, (_authority, url, _)) = (closed(3), authority(OPTIONS));
    let (_stranger, _, other) = authority(OPTIONS);
    assert_ended(&auditx(&["timestamp", "--tsa", &url], trail.path()), 0, &[]);
    let found = auditx(&["verify", "--tsa-roots", &other], trail.path());
    let reason = "The first reason: .auditx/timestamps/";
    assert_ended(&found, 3, &["1 time stamp cannot be used.", reason, "no chain of certificates"]);
    let strict = auditx(&["timestamp", "--tsa", &url, "--tsa-roots", &other], trail.path());
    assert_ended(&strict, 2, &["no chain of certificates"]);
}

#[test]
fn what_cannot_be_stamped_is_named() {
    let (trail, (_authority, url, _)) = (closed(3), authority("digests = sha512\nsigner_digest = sha256\n"));
    let refused = auditx(&["timestamp", "--tsa", &url], trail.path());
    assert_ended(
        &refused,
        1,
        &["the time-stamping authority refused the request: status 2", "unknown hash function"],
    );
    assert_ended(
        &auditx(&["timestamp", "--tsa", "tsa"], trail.path()),
        2,
        &["invalid URL of the time-stamping"],
    );
    assert_ended(&auditx(&["timestamp", "--tsa", &url], directory().path()), 2, &["no audit trail in "]);
    let empty = trail.path().join("empty.pem");
    fs::write(&empty, "no certificate").unwrap();
    let roots = ["verify", "--tsa-roots", empty.to_str().unwrap()];
    assert_ended(&auditx(&roots, trail.path()), 2, &["empty.pem: the file has no root certificate"]);
}
