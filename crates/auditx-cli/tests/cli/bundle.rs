//! Tests of `auditx bundle`.

use std::fs::{self, File};
use std::path::Path;

use auditx_tests::tool::output_of;
use serde_json::Value;
use zip::ZipArchive;

use crate::program::{auditx, command, ended, without_trail};
use crate::trail::{closed, directory};

pub(crate) fn unpacked(archive: &Path) -> tempfile::TempDir {
    let elsewhere = directory();
    ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(elsewhere.path()).unwrap();
    elsewhere
}

#[test]
fn every_proof_of_an_archive_is_valid() {
    let trail = closed(100);
    let out = directory();
    let archive = out.path().join("case.zip");
    let bundle = auditx(&["bundle", "\"entry 4\"", "-o", archive.to_str().unwrap()], trail.path());
    assert_eq!(bundle.status, Some(0), "{}", bundle.err);
    assert!(bundle.err.contains("comes from the trail itself"), "{}", bundle.err);

    let case = unpacked(&archive);
    let read = |name: &str| fs::read_to_string(case.path().join(name)).unwrap();
    let entries = read("entries.jsonl");
    let stored = auditx(&["query", "-o", "raw", "\"entry 4\""], trail.path()).out;
    assert_eq!(entries, stored, "their exact bytes");
    assert_eq!(entries.lines().count(), 11, "4 and 40 to 49");

    let key = case.path().join("key.vkey");
    for line in entries.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let proof = case.path().join(format!("proofs/{}.tlog-proof", entry["seq"]));
        let check = ended(without_trail(&["check", "--json", "--key"]).arg(&key).arg(&proof));
        let checked: Value = serde_json::from_str(&check.out).unwrap();
        assert_eq!((check.status, &checked["line"]), (Some(0), &line.into()), "{}", check.err);
    }

    let manifest: Value = serde_json::from_str(&read("manifest.json")).unwrap();
    let all = auditx(&["query", "--count"], trail.path()).out;
    assert_eq!(manifest["range"]["lines"].to_string(), all.trim());
    assert_eq!((&manifest["selected"], &manifest["without_proof"]), (&11.into(), &0.into()));
    assert_eq!((&manifest["range"]["first_seq"], &manifest["query"]), (&0.into(), &"\"entry 4\"".into()));
    assert_eq!(read("checkpoint"), auditx(&["checkpoint"], trail.path()).out);
    assert!(read("README.txt").contains("auditx check proofs/SEQ.tlog-proof --key key.vkey"));
    let sums =
        output_of("sh", &["-c", &format!("cd {} && sha256sum -c SHA256SUMS", case.path().display())], b"");
    assert!(sums.lines().all(|line| line.ends_with(": OK")), "{sums}");
    assert_eq!(sums.lines().count(), manifest["files"].as_object().unwrap().len() + 1, "and the manifest");
}

#[test]
fn a_dash_is_standard_output_for_archives_and_proofs() {
    let (trail, here) = (closed(3), directory());
    let mut bundle = command(&["bundle", "-o", "-"], trail.path());
    let bundle = bundle.current_dir(here.path()).output().unwrap();
    assert_eq!(bundle.status.code(), Some(0), "{}", String::from_utf8_lossy(&bundle.stderr));
    let archive = here.path().join("case.zip");
    fs::write(&archive, bundle.stdout).unwrap();
    assert!(unpacked(&archive).path().join("SHA256SUMS").exists());
    let prove = ended(command(&["prove", "1", "-o", "-"], trail.path()).current_dir(here.path()));
    assert_eq!(prove.out, auditx(&["prove", "1"], trail.path()).out);
    assert!(!here.path().join("-").exists());
}

#[test]
fn a_forged_proof_is_rejected() {
    let trail = closed(3);
    let out = directory();
    let archive = out.path().join("case.zip");
    auditx(&["bundle", "--user", "admin", "-o", archive.to_str().unwrap()], trail.path());
    let case = unpacked(&archive);
    let proof = case.path().join("proofs/3.tlog-proof");
    let text = fs::read_to_string(&proof).unwrap();
    let index = text.find("index ").unwrap();
    fs::write(&proof, text.replacen(&text[index..index + 7], "index 2", 1)).unwrap();
    let check = ended(without_trail(&["check", "--key"]).arg(case.path().join("key.vkey")).arg(&proof));
    assert_eq!(check.status, Some(1), "{}", check.out);
}

#[test]
fn if_nothing_is_found_no_archive_is_written() {
    let trail = closed(3);
    let out = directory();
    let archive = out.path().join("case.zip");
    let bundle = auditx(&["bundle", "--user", "nobody", "-o", archive.to_str().unwrap()], trail.path());
    assert_eq!(bundle.status, Some(1));
    assert!(bundle.err.contains("no archive was written"), "{}", bundle.err);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
