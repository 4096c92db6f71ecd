//! Runs the whole `read` benchmark with a small trail and the installed peers.
//!
//! It needs the command, which cargo does not build for this test: `cargo build -p auditx-cli`.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_program_finds_the_expected_entries() {
    let bench = env!("CARGO_BIN_EXE_auditx-bench");
    let output =
        Command::new(bench).args(["read", "--entries", "3000", "--runs", "1", "--json"]).output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{messages}");
    let rows: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    let found = |subject: &str| -> Vec<u64> {
        let rows = rows.iter().filter(|row| row["subject"] == subject);
        rows.map(|row| row["found"].as_u64().unwrap()).collect()
    };
    for subject in ["entity", "count-by-user", "last-100-of-user", "one-hour", "word"] {
        let found = found(subject);
        assert!(found[0] > 0 && found.iter().all(|count| *count == found[0]), "{subject}: {found:?}");
    }
    assert!(found("table-all")[0] > 3_000);
    assert_eq!(found("tail-50"), [50]);
    let rows_of_auditx = rows.iter().filter(|row| row["program"].as_str().unwrap().starts_with("auditx"));
    assert_eq!(rows_of_auditx.count(), 9);
    assert!(messages.contains("reached: one entity's entries"), "{messages}");
}

#[test]
fn a_missing_command_is_reported_with_how_to_build_it() {
    let bench = env!("CARGO_BIN_EXE_auditx-bench");
    let output = Command::new(bench).args(["read", "--auditx", "/nowhere/auditx"]).output().unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("cargo build --release -p auditx-cli"), "{message}");
}
