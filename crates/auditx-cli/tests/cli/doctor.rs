//! Tests of `auditx doctor` on healthy, open, damaged and missing trails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_core::{AuditLogger, Cadence, Clock, Config};
use auditx_store::ACTIVE;
use auditx_tests::deadline::TIMEOUT;
use serde_json::{Value, json};

use crate::program::{auditx, command, on_terminal};
use crate::trail::{closed, copied, directory, logger, record};

fn in_json(directory: &Path) -> Value {
    serde_json::from_str(&auditx(&["doctor", "--json"], directory).out).unwrap()
}

#[test]
fn a_new_trail_is_healthy_and_described() {
    let directory = closed(100);
    let doctor = auditx(&["doctor"], directory.path());
    assert_eq!((doctor.status, doctor.err.as_str()), (Some(0), ""), "{}", doctor.out);
    for fact in [
        "contains the audit trail of ",
        "Entries     10",
        "Writer      none\n",
        "opened 1 time, closed 1 time",
        "security.jsonl: up to date",
        "audit-00000000000000000000.jsonl.zst",
        "No problems found.",
    ] {
        assert!(doctor.out.contains(fact), "{fact}: {}", doctor.out);
    }
    assert!(doctor.out.lines().all(|line| line.chars().count() <= 80), "{}", doctor.out);
    assert!(!doctor.out.contains('\u{1b}'));

    let json = in_json(directory.path());
    assert_eq!(
        (&json["healthy"], &json["findings"], &json["writer"]),
        (&json!(true), &json!([]), &json!(null))
    );
    let segments = json["segments"].as_array().unwrap();
    assert_eq!(segments.last().unwrap()["file"], ACTIVE);
    let entries: u64 = segments.iter().map(|segment| segment["entries"].as_u64().unwrap()).sum();
    assert_eq!(json["entries"], entries);
    assert_eq!(json["last_seq"], entries - 1);
}

#[test]
fn an_open_trail_names_its_writer() {
    let directory = directory();
    let logger = logger(directory.path());
    record(&logger, 100);
    let doctor = auditx(&["doctor"], directory.path());
    assert_eq!(doctor.status, Some(0), "{}", doctor.out);
    assert!(doctor.out.contains(&format!("Writer      process {}", std::process::id())), "{}", doctor.out);
    record(&logger, 1);
}

#[test]
fn damage_is_reported_with_file_byte_and_advice() {
    let original = closed(100);
    let damaged = copied(original.path());
    let active = damaged.path().join(ACTIVE);
    let mut bytes = fs::read(&active).unwrap();
    let second_line = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    bytes[second_line + 100] = 0xff;
    fs::write(&active, bytes).unwrap();
    let sealed = damaged.path().join("audit-00000000000000000000.jsonl.zst");
    let whole = fs::read(&sealed).unwrap();
    fs::write(&sealed, &whole[..whole.len() - 10]).unwrap();
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o644)).unwrap();

    let doctor = auditx(&["doctor"], damaged.path());
    assert_eq!((doctor.status, doctor.err.as_str()), (Some(1), ""), "{}", doctor.out);
    assert!(doctor.out.contains("3 findings need attention:"), "{}", doctor.out);
    for found in [
        &format!("{}, byte {second_line}\n    not UTF-8, 100 bytes into the line\n", active.display()),
        "the compressed segment is damaged",
        &format!("to do: chmod 0640 {}", sealed.display()),
    ] {
        assert!(doctor.out.contains(found), "{found}: {}", doctor.out);
    }
    assert!(!doctor.out.contains("No problems found"));
    let json = in_json(damaged.path());
    assert_eq!(json["healthy"], false);
    let unreadable = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["kind"] == "unreadable-line")
        .unwrap();
    assert_eq!(unreadable["offset"], second_line);
    assert_eq!(unreadable["path"], active.to_str().unwrap());

    assert_eq!(auditx(&["doctor"], original.path()).status, Some(0), "the original is healthy");
}

#[test]
fn a_directory_without_a_trail_is_reported_with_a_hint() {
    let directory = directory();
    let doctor = auditx(&["doctor"], directory.path());
    assert_eq!((doctor.status, doctor.err.as_str()), (Some(1), ""));
    assert!(doctor.out.contains("contains no audit trail"), "{}", doctor.out);
    assert!(
        doctor.out.contains(&format!("auditx demo --dir {}", directory.path().display())),
        "{}",
        doctor.out
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "doctor creates nothing");

    let missing = auditx(&["doctor"], &directory.path().join("none"));
    assert_eq!((missing.status, missing.out.as_str()), (Some(2), ""));
    assert!(missing.err.starts_with("auditx: there is no such directory "), "{}", missing.err);
}

#[test]
fn file_names_are_escaped_and_colours_only_on_terminals() {
    let directory = closed(1);
    let torn = directory.path().join("audit.torn-\u{1b}[31m");
    fs::write(&torn, b"half a line").unwrap();
    fs::set_permissions(&torn, fs::Permissions::from_mode(0o640)).unwrap();
    let (status, shown) = on_terminal(&mut command(&["doctor"], directory.path()), 80);
    assert_eq!(status, Some(1));
    assert!(shown.contains("\u{1b}[") && !shown.contains("torn-\u{1b}"), "{shown:?}");
    assert!(shown.contains("audit.torn-\\u{1b}[31m"), "{shown:?}");
    let (_, plain) = on_terminal(command(&["doctor"], directory.path()).env("NO_COLOR", "1"), 80);
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}

/// A clock that shows the time that was set.
#[derive(Debug, Clone, Default)]
struct SetClock(Arc<AtomicU64>);

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

#[test]
fn doctor_and_verify_report_a_wrong_clock() {
    let outside = tempfile::tempdir().unwrap();
    let (directory, clock) = (outside.path().join("trail"), SetClock::default());
    let set = |second| clock.0.store(second, Ordering::SeqCst);
    set(1_700_000_000);
    // No checkpoint is recorded between the entries, so that their numbers are known.
    let cadence = Cadence::new(Duration::from_secs(3_600), 100_000);
    let config = Config::new(&directory).clock(clock.clone()).checkpoints(cadence);
    let logger = AuditLogger::open(config).unwrap();
    for (second, count) in [(1_700_000_001, 5), (1_577_836_800, 5), (1_700_000_002, 5), (2_147_483_647, 5)] {
        set(second);
        record(&logger, count);
    }
    set(1_700_000_003);
    record(&logger, 5);
    logger.close(TIMEOUT).unwrap();
    let said = [
        "lines 7 to 11 are dated from 2020-01-01T00:00:00Z on, earlier than line 2 (2023-11-14T22:13:21Z)",
        "lines 17 to 21 are dated up to 2038-01-19T03:14:07Z, later than now",
    ];
    for arguments in [&["doctor"][..], &["verify"]] {
        let ended = auditx(arguments, &directory);
        let out = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.iter().all(|said| out.contains(said)), "{}", ended.out);
        assert!(!out.contains("No problems found"), "{}", ended.out);
    }
    let kinds: Vec<Value> = in_json(&directory)["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["kind"].clone())
        .collect();
    assert_eq!(kinds, ["time-backwards", "time-ahead"]);
}
