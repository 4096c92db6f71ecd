//! Runs logrotate with common configurations against a recording process.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use auditx_core::{AuditLogger, Config, Durability};
use auditx_reader::{Answer, VerifyOptions, verify};
use auditx_store::TrailReader;
use auditx_tests::deadline::TIMEOUT;

const ENTRIES_BETWEEN: usize = 40;
const ROTATIONS: usize = 5;

/// Debian's path is only in root's search path.
const PROGRAMS: [&str; 2] = ["/usr/sbin/logrotate", "logrotate"];

fn logrotate(configuration: &Path, state: &Path) {
    let program = PROGRAMS.iter().find(|path| Path::new(path).exists()).unwrap_or(&"logrotate");
    let output = Command::new(program)
        .arg("--force")
        .arg("--state")
        .arg(state)
        .arg(configuration)
        .output()
        .unwrap_or_else(|error| panic!("cannot start logrotate ({error}): run `cargo xtask setup`"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Records while the files that these globs match are rotated. Returns the directories and the metrics.
fn rotated(globs: &[&str], directives: &str) -> (tempfile::TempDir, PathBuf, auditx_core::Metrics) {
    let root = tempfile::tempdir().unwrap();
    let logs = root.path().join("logs");
    let config = Config::new(&logs).durability(Durability::Interval(std::time::Duration::from_millis(5)));
    let logger = AuditLogger::open(config.clone()).unwrap();
    let globs: Vec<String> = globs.iter().map(|glob| logs.join(glob).display().to_string()).collect();
    let configuration = root.path().join("logrotate.conf");
    // In the form of a file in /etc/logrotate.d.
    fs::write(&configuration, format!("{} {{\n{directives}\n}}\n", globs.join(" "))).unwrap();
    let mut number = 0;
    for _ in 0..ROTATIONS {
        for _ in 0..ENTRIES_BETWEEN {
            logger.log(format!("entry {number}")).record().unwrap();
            logger.log_security(format!("refused {number}")).success(false).record().unwrap();
            number += 1;
        }
        logger.flush(TIMEOUT).unwrap();
        logrotate(&configuration, &root.path().join("state"));
        // The receipt resolves only after the rotation was noticed: the line must be in the file under this
        // name.
        logger.log("afterwards").record().unwrap().wait_durable().unwrap();
    }
    let metrics = logger.metrics();
    let key = logger.verifier_key().unwrap();
    logger.close(TIMEOUT).unwrap();
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
    assert_eq!(next, ROTATIONS * ENTRIES_BETWEEN, "every entry is recorded, in order");
    (root, logs, metrics)
}

#[test]
fn the_default_configuration_loses_no_line() {
    // Renames the file, creates an empty one, and compresses the previous one.
    let (_root, logs, metrics) = rotated(
        &["audit.jsonl"],
        "daily\nrotate 7\ncompress\ndelaycompress\nmissingok\nnotifempty\ncreate 0640",
    );
    assert!(metrics.restored >= ROTATIONS as u64 && metrics.lost == 0, "{metrics:?}");
    let app_log = fs::read_to_string(logs.join("app.log")).unwrap();
    assert!(
        app_log.contains("segment `audit.jsonl` was replaced by another program (logrotate?)"),
        "{app_log}"
    );
}

#[test]
fn copytruncate_loses_no_line_in_the_journal() {
    let (_root, logs, metrics) = rotated(&["*.jsonl"], "size 1\nrotate 3\ncopytruncate");
    assert!(metrics.restored >= ROTATIONS as u64 && metrics.lost == 0, "{metrics:?}");
    let app_log = fs::read_to_string(logs.join("app.log")).unwrap();
    assert!(app_log.contains("segment `audit.jsonl` was truncated"), "{app_log}");
}

#[test]
fn rotating_the_whole_directory_loses_no_line() {
    // The wildcards match app.log and security.jsonl too.
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
