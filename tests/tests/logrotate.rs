//! logrotate in the configurations that people write, run again and again against a process that records.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use auditx_core::{AuditLogger, Config, Durability, TrailReader};
use auditx_reader::{Answer, VerifyOptions, verify};
use auditx_tests::deadline::PATIENCE;

const ENTRIES_BETWEEN: usize = 40;
const ROTATIONS: usize = 5;

/// Debian puts it where only root looks.
const PLACES: [&str; 2] = ["/usr/sbin/logrotate", "logrotate"];

fn logrotate(configuration: &Path, state: &Path) {
    let program = PLACES.iter().find(|place| Path::new(place).exists()).unwrap_or(&"logrotate");
    let output = Command::new(program)
        .arg("--force")
        .arg("--state")
        .arg(state)
        .arg(configuration)
        .output()
        .unwrap_or_else(|error| panic!("cannot start logrotate ({error}): run `cargo xtask setup`"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What a process records while everything that these globs name is rotated; and its directory.
fn rotated(globs: &[&str], directives: &str) -> (tempfile::TempDir, PathBuf, auditx_core::Metrics) {
    let root = tempfile::tempdir().unwrap();
    let logs = root.path().join("logs");
    let config = Config::new(&logs).durability(Durability::Interval(std::time::Duration::from_millis(5)));
    let logger = AuditLogger::open(config.clone()).unwrap();
    let globs: Vec<String> = globs.iter().map(|glob| logs.join(glob).display().to_string()).collect();
    let configuration = root.path().join("logrotate.conf");
    // As a file in /etc/logrotate.d has it.
    fs::write(&configuration, format!("{} {{\n{directives}\n}}\n", globs.join(" "))).unwrap();
    let mut number = 0;
    for _ in 0..ROTATIONS {
        for _ in 0..ENTRIES_BETWEEN {
            logger.log(format!("entry {number}")).record().unwrap();
            logger.log_security(format!("refused {number}")).success(false).record().unwrap();
            number += 1;
        }
        logger.flush(PATIENCE).unwrap();
        logrotate(&configuration, &root.path().join("state"));
        // A receipt resolves only for what a name leads to.
        logger.log("afterwards").record().unwrap().wait_durable().unwrap();
    }
    let metrics = logger.metrics();
    let key = logger.verifier_key().unwrap();
    logger.close(PATIENCE).unwrap();
    let known = logger.checkpoint().unwrap();
    let answer = verify(&logs, &VerifyOptions::new().key(key).known(known), &mut |_, _| ()).unwrap();
    assert_eq!(answer.answer, Answer::Intact, "{answer:?}");
    drop(AuditLogger::open(config).unwrap());
    let mut reader = TrailReader::new(&logs, 0);
    let mut next = 0;
    while let Some((_, line)) = reader.next_line().unwrap() {
        let text = String::from_utf8_lossy(line);
        next += usize::from(text.contains(&format!("\"description\":\"entry {next}\"")));
    }
    assert_eq!(next, ROTATIONS * ENTRIES_BETWEEN, "every entry is there, in order");
    (root, logs, metrics)
}

#[test]
fn the_default_of_logrotate_costs_no_line() {
    // Renames, creates an empty file, compresses the one before.
    let (_root, logs, metrics) = rotated(
        &["audit.jsonl"],
        "daily\nrotate 7\ncompress\ndelaycompress\nmissingok\nnotifempty\ncreate 0640",
    );
    assert!(metrics.restored >= ROTATIONS as u64 && metrics.lost == 0, "{metrics:?}");
    let said = fs::read_to_string(logs.join("app.log")).unwrap();
    assert!(said.contains("segment `audit.jsonl` was replaced by another program (logrotate?)"), "{said}");
}

#[test]
fn copytruncate_costs_no_line_that_the_journal_holds() {
    let (_root, logs, metrics) = rotated(&["*.jsonl"], "size 1\nrotate 3\ncopytruncate");
    assert!(metrics.restored >= ROTATIONS as u64 && metrics.lost == 0, "{metrics:?}");
    let said = fs::read_to_string(logs.join("app.log")).unwrap();
    assert!(said.contains("segment `audit.jsonl` was truncated"), "{said}");
}

#[test]
fn a_rotation_of_the_whole_directory_costs_no_line() {
    // What a wildcard does: app.log and security.jsonl are rotated too.
    let (_root, logs, metrics) = rotated(&["*.jsonl", "*.log"], "daily\nrotate 14\nmissingok\nnocreate");
    assert!(metrics.restored >= ROTATIONS as u64 && metrics.lost == 0, "{metrics:?}");
    for name in ["audit.jsonl", "security.jsonl", "app.log"] {
        assert!(logs.join(name).is_file(), "{name}");
    }
}

#[test]
fn the_documented_configuration_leaves_the_trail_alone() {
    let (_root, _logs, metrics) =
        rotated(&["app.log"], "weekly\nrotate 8\ncompress\nmissingok\nnotifempty\nnocreate");
    assert_eq!((metrics.restored, metrics.lost), (0, 0), "{metrics:?}");
}
