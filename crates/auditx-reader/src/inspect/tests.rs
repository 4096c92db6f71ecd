//! Inspects trails that are intact, being written, damaged, and directories without a trail.

mod trust;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use auditx_core::{AuditLogger, Compression, Config, KeySource, Retention};
use auditx_format::control_record::FORMAT_VERSION;
use auditx_store::{AUDITX_DIR, checkpoint_path};

use super::*;
use crate::sample::{Sample, TIMEOUT, line, text};

fn inspected(sample: &Sample) -> Inspection {
    inspect(sample.directory(), &mut |_, _| {}).unwrap()
}

/// The findings, with paths relative to the trail's directory.
fn found(sample: &Sample) -> Vec<(FindingKind, String, String)> {
    let place = |finding: &Finding| {
        let path = finding.path.as_deref().unwrap().strip_prefix(sample.directory()).unwrap();
        let offset = finding.offset.map(|offset| format!(" {offset}")).unwrap_or_default();
        format!("{}{offset}", path.display())
    };
    let findings = inspected(sample).findings;
    findings.iter().map(|finding| (finding.kind, finding.what.clone(), place(finding))).collect()
}

fn kinds(sample: &Sample) -> Vec<FindingKind> {
    found(sample).into_iter().map(|(kind, _, _)| kind).collect()
}

/// A trail of the logger with several intact segments.
fn logged(compression: Compression) -> (Sample, AuditLogger) {
    let sample = Sample::new();
    fs::set_permissions(sample.directory(), fs::Permissions::from_mode(0o750)).unwrap();
    let config = Config::new(sample.directory())
        .max_file_bytes(65_535)
        .compression(compression)
        .origin("erp.example.com");
    let logger = AuditLogger::open(config).unwrap();
    for number in 0..100 {
        logger.log(format!("entry {number} {}", "x".repeat(2_000))).record().unwrap();
    }
    // Pending entries and index records would otherwise follow what a test appends to the files.
    logger.flush(TIMEOUT).unwrap();
    while logger.metrics().indexed < logger.metrics().seals {
        std::thread::yield_now();
    }
    logger.flush(TIMEOUT).unwrap();
    (sample, logger)
}

/// A trail written by the test, with a valid identity and beginning.
fn by_hand() -> Sample {
    let sample = Sample::new();
    fs::set_permissions(sample.directory(), fs::Permissions::from_mode(0o750)).unwrap();
    fs::create_dir(sample.directory().join(AUDITX_DIR)).unwrap();
    fs::write(
        sample.directory().join(AUDITX_DIR).join("trail.json"),
        r#"{"format": 1, "trail_id": "ab", "origin": "o"}"#,
    )
    .unwrap();
    narrow(&sample);
    sample
}

/// Removes the permissions that the umask of the tests left.
fn narrow(sample: &Sample) {
    let own = sample.directory().join(AUDITX_DIR);
    for directory in [sample.directory(), &own] {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_directory = fs::symlink_metadata(&path).unwrap().is_dir();
            if fs::symlink_metadata(&path).unwrap().is_file() || is_directory {
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                let widest = if is_directory { 0o750 } else { 0o640 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode & widest)).unwrap();
            }
        }
    }
}

#[test]
fn an_intact_trail_has_no_findings_and_all_facts() {
    let (sample, logger) = logged(Compression::Zstd);
    logger.close(TIMEOUT).unwrap();
    let inspection = inspected(&sample);
    assert_eq!(inspection.findings, []);
    assert!(!inspection.needs_attention() && inspection.is_trail());
    let identity = inspection.identity.as_ref().unwrap();
    assert_eq!(
        (identity.format, identity.origin.as_str(), identity.trail_id.len()),
        (FORMAT_VERSION, "erp.example.com", 32)
    );
    assert_eq!(inspection.writer, None);
    assert!(inspection.segments.len() >= 3);
    let mut next = 0;
    for (index, segment) in inspection.segments.iter().enumerate() {
        assert_eq!(segment.first_seq, Some(next));
        next = segment.last_seq.unwrap() + 1;
        assert_eq!(segment.entries, next - segment.first_seq.unwrap());
        assert_eq!(segment.is_active, index == inspection.segments.len() - 1);
        assert_eq!(segment.bytes, fs::metadata(sample.directory().join(&segment.file)).unwrap().len());
    }
    assert_eq!((inspection.first_seq, inspection.last_seq), (Some(0), Some(next - 1)));
    assert_eq!(inspection.entries, next);
    assert!(inspection.first_timestamp.as_ref().unwrap() <= inspection.last_timestamp.as_ref().unwrap());
    assert_eq!(inspection.signed, Some(next));
    let History { opened, closed, retired, checkpoints, .. } = inspection.history;
    assert_eq!((opened, closed, retired), (1, 1, 0));
    assert!(checkpoints <= inspection.entries);
    let follower = FollowerState { name: "security.jsonl".to_owned(), next_seq: Some(next) };
    assert_eq!(inspection.followers, [follower]);
}

#[test]
fn unfinished_files_of_a_running_writer_are_no_findings() {
    let (sample, _logger) = logged(Compression::None);
    fs::write(sample.directory().join("audit-00000000000000000000.jsonl.zst.tmp"), b"half").unwrap();
    sample.append(b"{\"seq\":999,\"half a li");
    narrow(&sample);
    let inspection = inspected(&sample);
    assert_eq!(inspection.findings, []);
    assert_eq!(inspection.writer, Some(format!("process {}", std::process::id())));
    // The writer may have removed it again by now.
    assert!(inspection.torn_tail.is_none_or(|tail| tail.bytes == 21));
}

#[test]
fn leftovers_of_a_dead_writer_are_found() {
    let sample = by_hand();
    sample.write_sealed(0, &text([line(0, 80)]));
    let bytes = fs::read(sample.compress(0)).unwrap();
    sample.write_sealed(0, &text([line(0, 80)]));
    fs::write(sample.directory().join("audit-00000000000000000000.jsonl.zst"), bytes).unwrap();
    fs::write(sample.directory().join("audit-00000000000000000000.jsonl.zst.tmp"), b"half").unwrap();
    fs::write(sample.directory().join(".auditx/trail.tmp"), b"half").unwrap();
    let index = sample.directory().join(".auditx/index/00000000000000000000.idx.tmp");
    fs::create_dir(index.parent().unwrap()).unwrap();
    fs::write(&index, b"half").unwrap();
    fs::set_permissions(&index, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(sample.directory().join("audit.torn-1"), b"{\"seq\":1,\"us").unwrap();
    sample.write_active(&[text([line(1, 80)]), b"{\"seq\":2".to_vec()].concat());
    narrow(&sample);
    let mut kinds = kinds(&sample);
    kinds.sort_by_key(|kind| format!("{kind:?}"));
    use FindingKind::{DoubleSegment, LeftoverTemporary, TornFile, TornTail};
    let left = [LeftoverTemporary; 3];
    assert_eq!(kinds, [&[DoubleSegment][..], &left, &[TornFile, TornTail]].concat());
    let torn = found(&sample).into_iter().find(|(kind, _, _)| *kind == TornTail).unwrap();
    assert_eq!(torn.1, "8 bytes of an unfinished line that no process is writing");
    assert_eq!(torn.2, "audit.jsonl 81");
}

#[test]
fn unreadable_lines_gaps_and_repeats_are_located() {
    let sample = by_hand();
    sample.write_sealed(0, &text([line(0, 80), b"{\"seq\":1,\"user\":\"\xff\"}".to_vec(), line(2, 80)]));
    sample.compress(0);
    sample.write_active(&text([line(5, 80), line(6, 80), line(5, 80), b"nonsense".to_vec(), line(7, 80)]));
    narrow(&sample);
    let name = "audit-00000000000000000000.jsonl.zst";
    assert_eq!(
        found(&sample),
        [
            (
                FindingKind::UnreadableLine,
                "not UTF-8, 17 bytes into the line".to_owned(),
                format!("{name} 81"),
            ),
            (
                FindingKind::Gap,
                "lines 3 to 4 are missing before line 5".to_owned(),
                "audit.jsonl 0".to_owned(),
            ),
            (
                FindingKind::Repeat,
                "found line 5 where line 7 is expected".to_owned(),
                "audit.jsonl 162".to_owned(),
            ),
            (
                FindingKind::UnreadableLine,
                "not an entry: expected an object at byte 0".to_owned(),
                "audit.jsonl 243".to_owned(),
            ),
        ]
    );
    let inspection = inspected(&sample);
    assert_eq!((inspection.entries, inspection.unreadable_lines), (6, 2));
    assert!(inspection.needs_attention());
}

#[test]
fn links_fifos_and_damaged_segments_are_found() {
    let sample = by_hand();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    sample.write_sealed(0, &text((0..100).map(|seq| line(seq, 800))));
    let damaged = sample.compress(0);
    let whole = fs::read(&damaged).unwrap();
    fs::write(&damaged, &whole[..whole.len() / 2]).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(sample.sealed(100)).status().unwrap().success());
    symlink(elsewhere.path(), sample.active()).unwrap();
    symlink(elsewhere.path(), sample.directory().join("security.jsonl")).unwrap();
    narrow(&sample);
    let mut found: Vec<_> = found(&sample);
    found.retain(|(kind, _, _)| *kind != FindingKind::Gap);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found[0].0, FindingKind::UnreadableFile);
    assert!(found[0].1.starts_with("the compressed segment is damaged"), "{found:?}");
    assert!(found[0].2.starts_with("audit-00000000000000000000.jsonl.zst "), "{found:?}");
    let refused = |what: &str, place: &str| {
        (FindingKind::RefusedFile, format!("{what} instead of a regular file"), place.to_owned())
    };
    assert_eq!(found[1], refused("a FIFO", "audit-00000000000000000100.jsonl"));
    assert_eq!(found[2], refused("a symbolic link", "audit.jsonl"));
    assert_eq!(found[3], refused("a symbolic link", "security.jsonl"));
}

#[test]
fn wide_modes_are_found_with_the_chmod_that_fixes_them() {
    let (sample, logger) = logged(Compression::None);
    logger.close(TIMEOUT).unwrap();
    fs::set_permissions(sample.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(sample.active(), fs::Permissions::from_mode(0o664)).unwrap();
    let inspection = inspected(&sample);
    let advice: Vec<_> = inspection.findings.iter().map(|finding| finding.advice.clone()).collect();
    assert_eq!(
        advice,
        [
            format!("chmod 0750 {}", sample.directory().display()),
            format!("chmod 0640 {}", sample.active().display()),
        ]
    );
    assert!(inspection.needs_attention());
}

#[test]
fn key_modes_are_checked_and_control_records_counted() {
    let (sample, logger) = logged(Compression::None);
    logger.rotate_key(&KeySource::Trail).unwrap();
    logger.erase(5, "asked for").unwrap();
    logger.flush(TIMEOUT).unwrap();
    logger.retire(Retention::BackupCount(1)).unwrap();
    logger.close(TIMEOUT).unwrap();
    let inspection = inspected(&sample);
    assert_eq!(inspection.findings, []);
    let History { key_changes, erased, retired, .. } = inspection.history;
    assert!(key_changes == 1 && erased == 1 && retired >= 1, "{:?}", inspection.history);

    let keys = sample.directory().join(AUDITX_DIR).join("keys");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(keys.join("signing.pem"), fs::Permissions::from_mode(0o640)).unwrap();
    let advice: Vec<_> = inspected(&sample).findings.into_iter().map(|finding| finding.advice).collect();
    let chmod = |mode, path: &Path| format!("chmod {mode} {}", path.display());
    assert_eq!(advice, [chmod("0700", &keys), chmod("0600", &keys.join("signing.pem"))]);
}

#[test]
fn a_missing_checkpoint_is_found_unless_none_was_due() {
    let (sample, logger) = logged(Compression::None);
    logger.close(TIMEOUT).unwrap();
    let path = checkpoint_path(sample.directory());
    fs::write(&path, "nonsense").unwrap();
    assert_eq!(kinds(&sample), [FindingKind::Checkpoint]);
    fs::remove_file(&path).unwrap();
    assert_eq!(kinds(&sample), [FindingKind::Checkpoint]);
    assert_eq!(inspected(&sample).signed, None);

    let young = by_hand();
    let identity = r#"{"format": 2, "trail_id": "ab", "origin": "o"}"#;
    fs::write(young.directory().join(AUDITX_DIR).join("trail.json"), identity).unwrap();
    young.write_active(&text([line(0, 80), line(1, 80)]));
    narrow(&young);
    assert_eq!(kinds(&young), []);
}

#[test]
fn a_missing_beginning_is_found_unless_it_was_retired() {
    let (sample, logger) = logged(Compression::None);
    logger.close(TIMEOUT).unwrap();
    fs::remove_file(sample.sealed(0)).unwrap();
    assert_eq!(kinds(&sample), [FindingKind::NotAsSigned, FindingKind::MissingBeginning]);

    let retired = by_hand();
    let record = br#"{"seq":6,"description":"d","auditx":{"kind":"retired","first_seq":0,"last_seq":4}}"#;
    retired.write_active(&text([line(5, 80), record.to_vec()]));
    narrow(&retired);
    assert_eq!(kinds(&retired), []);
    assert_eq!(inspected(&retired).history.retired, 1);
}

#[test]
fn a_foreign_identity_and_a_wrong_name_are_found() {
    let (sample, logger) = logged(Compression::None);
    logger.close(TIMEOUT).unwrap();
    let trail = sample.directory().join(".auditx/trail.json");
    fs::write(&trail, r#"{"format": 3, "trail_id": "other", "origin": "o"}"#).unwrap();
    let second = fs::read_dir(sample.directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("/audit-"))
        .max()
        .unwrap();
    fs::rename(&second, sample.sealed(90)).unwrap();
    use FindingKind::{Identity, NotAsSigned, WrongName};
    assert_eq!(kinds(&sample), [NotAsSigned, Identity, Identity, WrongName]);
    fs::write(&trail, "{").unwrap();
    assert_eq!(kinds(&sample), [NotAsSigned, Identity, WrongName]);
    fs::remove_file(&trail).unwrap();
    assert_eq!(kinds(&sample), [NotAsSigned, WrongName, Identity]);
}

#[test]
fn legacy_lines_are_a_note_alone_and_a_problem_in_a_trail() {
    let sample = by_hand();
    fs::remove_dir_all(sample.directory().join(AUDITX_DIR)).unwrap();
    let legacy = br#"{"timestamp": "2026-11-24T00:00:00", "level": "AUDIT", "description": "a legacy line"}"#;
    sample.write_active(&text([legacy, legacy]));
    fs::set_permissions(sample.active(), fs::Permissions::from_mode(0o640)).unwrap();
    let inspection = inspected(&sample);
    assert_eq!((inspection.entries, inspection.unnumbered_entries, inspection.last_seq), (2, 2, None));
    assert!(!inspection.needs_attention(), "{:?}", inspection.findings);

    let sample = by_hand();
    sample.write_active(&text([line(0, 80), legacy.to_vec(), line(1, 80)]));
    narrow(&sample);
    assert_eq!(kinds(&sample), [FindingKind::Unnumbered]);
    assert!(inspected(&sample).needs_attention());
}

#[test]
fn a_directory_without_a_trail_lists_its_instance_trails() {
    let sample = Sample::new();
    let config = Config::new(sample.directory()).instance("worker-2");
    AuditLogger::open(config).unwrap().close(TIMEOUT).unwrap();
    let inspection = inspected(&sample);
    assert!(!inspection.is_trail() && inspection.needs_attention());
    assert_eq!(inspection.findings, []);
    assert_eq!(inspection.trails_below, ["worker-2"]);
    let none = inspect(&sample.directory().join("none"), &mut |_, _| {}).unwrap_err();
    assert!(none.is_missing());
}

#[test]
fn an_inspection_serialises_names_that_are_not_unicode() {
    use std::os::unix::ffi::OsStrExt;
    let sample = Sample::new();
    let directory = sample.directory().join(std::ffi::OsStr::from_bytes(b"bad-\xff"));
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(directory.join("audit.jsonl"), text([line(0, 80)])).unwrap();
    let inspection = inspect(&directory, &mut |_, _| {}).unwrap();
    let json = serde_json::to_value(&inspection).unwrap();
    assert_eq!(json["segments"][0]["file"], "audit.jsonl");
    assert!(json["directory"].as_str().unwrap().ends_with("bad-\u{fffd}"));
    assert_eq!(json["findings"][0]["kind"], "identity");
}

/// A line with this time, without its newline.
fn dated(seq: u64, time: &str) -> Vec<u8> {
    format!("{{\"seq\":{seq},\"timestamp\":\"{time}\",\"description\":\"d\"}}").into_bytes()
}

#[test]
fn past_clock_errors_are_notes_found_once() {
    let sample = by_hand();
    sample.write_sealed(0, &text([line(0, 0), line(1, 0), dated(2, "2020-01-01T00:00:00.000000Z")]));
    let back = [3, 4].map(|seq| dated(seq, "2020-01-01T00:00:01.500000Z"));
    let ahead = [6, 7].map(|seq| dated(seq, "9998-01-19T03:14:07.000000Z"));
    sample.write_active(&text([&back[..], &[line(5, 0)], &ahead, &[line(8, 0)]].concat()));
    narrow(&sample);
    let inspection = inspected(&sample);
    let found: Vec<_> = inspection
        .findings
        .iter()
        .map(|finding| (finding.kind, finding.severity, finding.seq, finding.last_seq, finding.path.clone()))
        .collect();
    let (sealed, active) = (Some(sample.sealed(0)), Some(sample.active()));
    assert_eq!(
        found,
        [
            (FindingKind::TimeBackwards, Severity::Note, Some(2), Some(4), sealed),
            (FindingKind::TimeAhead, Severity::Note, Some(6), Some(7), active),
        ]
    );
    assert_eq!(
        inspection.findings[0].what,
        "lines 2 to 4 are dated from 2020-01-01T00:00:00Z on, \
earlier than line 0 (2025-11-24T00:00:00Z): a clock was wrong"
    );
    assert!(!inspection.needs_attention());

    sample.append(&text([dated(9, "9998-01-19T03:14:07.000000Z")]));
    let inspection = inspected(&sample);
    assert_eq!((inspection.findings[0].kind, inspection.findings[0].seq), (FindingKind::TimeAhead, Some(9)));
    assert!(inspection.needs_attention(), "the clock is wrong now");
}
