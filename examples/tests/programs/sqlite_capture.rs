//! The example of a SQLite database records what committed.

use std::process::Command;

use auditx_tests::trail::entries;

#[test]
fn the_example_records_what_committed_and_what_was_refused() {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("logs");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sqlite_capture"));
    command.arg("--database").arg(directory.path().join("shop.db")).arg("--log-dir").arg(&logs);
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let about = entries(&logs).into_iter().filter(|line| line.json["entity_id"] == "42");
    let mut found: Vec<String> = about.map(|line| line.description().to_owned()).collect();
    // The refusal is recorded at once, and the changes when they are collected.
    found.sort_unstable();
    assert_eq!(found, ["Credit limit raised", "Credit limit refused", "Customer added"]);
    let printed = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(printed.matches("thida").count(), 3, "{printed}");
}
