//! Limits of an archive, what is left out of it, and outputs that fail.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{self, Cursor, Read as _, Seek, SeekFrom, Write};
use std::time::Duration;

use auditx_bundle::{Bundle, Error, Outcome};
use auditx_core::{AuditLogger, Config};
use auditx_reader::{Moment, Query, Search, latest_checkpoint};
use auditx_tlog::{InclusionProof, Policy, SignedCheckpoint, Signer as _, SigningKey, WitnessKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::ZipArchive;

/// A closed trail with two control records, then this many entries, then the record of its end.
fn trail(entries: usize) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    for number in 0..entries {
        logger.log(format!("Invoice {number} posted")).record().unwrap();
    }
    logger.close(Duration::from_secs(60)).unwrap();
    directory
}

/// Packs the entries of the trail that are invoices.
fn packed(trail: &TempDir, options: impl FnOnce(Bundle) -> Bundle) -> (Result<Outcome, Error>, Vec<u8>) {
    let period = Search::new(trail.path());
    let selected = period.clone().query(Query::parse("Invoice", Moment::now()).unwrap());
    let mut out = Cursor::new(Vec::new());
    let outcome = options(Bundle::open(trail.path()).unwrap()).write(&selected, &period, &mut out);
    (outcome, out.into_inner())
}

fn member(archive: &[u8], name: &str) -> String {
    let mut text = String::new();
    let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
    archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn manifest(archive: &[u8]) -> Value {
    serde_json::from_str(&member(archive, "manifest.json")).unwrap()
}

#[test]
fn as_many_entries_as_allowed_are_packed_and_one_more_is_an_error() {
    let trail = trail(5);
    let (outcome, archive) = packed(&trail, |bundle| bundle.max_entries(5));
    assert_eq!(outcome.unwrap().summary.found, 5);
    assert_eq!(manifest(&archive)["selected"], 5);
    let error = packed(&trail, |bundle| bundle.max_entries(4)).0.unwrap_err();
    assert!(error.is_too_large(), "{error}");
    assert_eq!(error.to_string(), "more than 4 entries are selected: narrow the search");
}

#[test]
fn files_longer_than_allowed_are_an_error() {
    let trail = trail(5);
    let (_, archive) = packed(&trail, |bundle| bundle);
    let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
    let total: u64 = (0..archive.len()).map(|index| archive.by_index(index).unwrap().size()).sum();
    packed(&trail, |bundle| bundle.max_bytes(total)).0.unwrap();
    let error = packed(&trail, |bundle| bundle.max_bytes(total - 1)).0.unwrap_err();
    assert!(error.is_too_large() && !error.is_output(), "{error}");
}

#[test]
fn lines_from_a_seq_on_are_neither_packed_nor_counted() {
    let trail = trail(5);
    let (outcome, archive) = packed(&trail, |bundle| bundle.before(4));
    assert_eq!(outcome.unwrap().summary.found, 2);
    let manifest = manifest(&archive);
    assert_eq!((&manifest["selected"], &manifest["without_proof"]), (&json!(2), &json!(0)));
    assert_eq!((&manifest["range"]["lines"], &manifest["range"]["last_seq"]), (&json!(4), &json!(3)));
}

#[test]
fn packing_stops_when_nobody_wants_it_any_more() {
    let error = packed(&trail(5), |bundle| bundle.stop_when(|| true)).0.unwrap_err();
    assert!(error.is_stopped(), "{error}");
}

#[test]
fn nothing_found_is_an_outcome_and_no_archive() {
    let (outcome, archive) = packed(&trail(0), |bundle| bundle);
    assert_eq!(outcome.unwrap().summary.found, 0);
    let members = ZipArchive::new(Cursor::new(archive)).map(|archive| archive.len()).unwrap_or_default();
    assert!(members < 2, "without manifest and proofs");
}

/// A device that is full after some bytes.
struct Full(Cursor<Vec<u8>>, u64);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.position() >= self.1 { Err(io::ErrorKind::StorageFull.into()) } else { self.0.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn an_output_that_fails_is_the_source_of_the_error() {
    let trail = trail(5);
    let whole = Search::new(trail.path());
    let bundle = Bundle::open(trail.path()).unwrap();
    for room in [0, 100, 5_000] {
        let error = bundle.write(&whole, &whole, Full(Cursor::default(), room)).unwrap_err();
        assert!(error.is_output() && !error.is_too_large(), "{room}: {error}");
        let source = std::error::Error::source(&error).unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::StorageFull, "{room}");
    }
}

#[test]
fn a_directory_without_a_trail_is_missing() {
    let error = Bundle::open(tempfile::tempdir().unwrap().path()).unwrap_err();
    assert!(error.is_missing(), "{error}");
}

/// Cosigns the latest checkpoint of a trail and keeps it there. Returns a policy that requires the
/// cosignature.
fn cosign(trail: &TempDir) -> Policy {
    let checkpoint = latest_checkpoint(trail.path()).unwrap();
    let (name, signer) = ("witness.example.com/w1", SigningKey::generate());
    let key = WitnessKey::new(name, &signer.public_key()).unwrap();
    let line = checkpoint.cosign(name, &signer, 1_800_000_000).unwrap();
    let cosigned = checkpoint.with_cosignature(&line, &key).unwrap();
    let kept = trail.path().join(".auditx/cosigned");
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::write(kept.join(cosigned.size().to_string()), cosigned.as_str()).unwrap();
    Policy::parse(format!("witness w1 {key}\nquorum w1\n").as_bytes()).unwrap()
}

/// Records one more entry, which the cosigned checkpoint does not name.
fn grow(trail: &TempDir, description: &str) {
    let logger = AuditLogger::open(Config::new(trail.path())).unwrap();
    logger.log(description).record().unwrap();
    logger.close(Duration::from_secs(60)).unwrap();
}

#[test]
fn an_archive_of_entries_that_a_cosigned_checkpoint_names_has_the_cosignatures() {
    let trail = trail(5);
    let policy = cosign(&trail);
    grow(&trail, "Stock counted");
    let (outcome, archive) = packed(&trail, |bundle| bundle);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.summary.found, outcome.unproved), (5, 0));
    let checkpoint = member(&archive, "checkpoint");
    let signed = SignedCheckpoint::parse(checkpoint.as_bytes()).unwrap();
    assert_eq!(policy.witnessed_at(&signed, 1_800_000_000), Ok(Some(1_800_000_000)));
    assert_eq!(manifest(&archive)["checkpoint"]["size"], signed.size());
    for seq in 2..7 {
        let proof = member(&archive, &format!("proofs/{seq}.tlog-proof"));
        let proof = InclusionProof::parse(proof.as_bytes()).unwrap();
        assert_eq!(proof.checkpoint().as_str(), checkpoint, "{seq}");
    }
}

#[test]
fn an_archive_with_an_entry_after_the_cosigned_checkpoint_has_the_latest() {
    let trail = trail(5);
    cosign(&trail);
    grow(&trail, "Invoice 5 posted");
    let latest = latest_checkpoint(trail.path()).unwrap();
    let (outcome, archive) = packed(&trail, |bundle| bundle);
    assert_eq!(outcome.unwrap().unproved, 0);
    assert_eq!(member(&archive, "checkpoint"), latest.as_str());
    // Without that entry, it has the cosigned one.
    let end = latest.size() - 2;
    let (outcome, archive) = packed(&trail, |bundle| bundle.before(end));
    assert_eq!(outcome.unwrap().summary.found, 5);
    assert_ne!(member(&archive, "checkpoint"), latest.as_str());
}
