//! A recording process whose directory is removed, and app.log with it, reports the error on standard error.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use auditx_tests::deadline::wait_until;

#[test]
fn a_removed_directory_is_reported_on_standard_error() {
    let root = tempfile::tempdir().unwrap();
    let logs = root.path().join("logs");
    let mut child = Command::new(env!("CARGO_BIN_EXE_durable_writer"))
        .arg(&logs)
        .arg("0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..20 {
        output.next().unwrap().unwrap();
    }
    // The process may restore files during the removal; those are removed as well.
    wait_until("the removal", || fs::remove_dir_all(&logs).is_ok());
    let rest: Vec<String> = output.map(Result::unwrap).collect();
    assert!(
        rest.iter().any(|line| line.starts_with("refused: the log directory was moved or removed")),
        "{rest:?}"
    );
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("auditx: the log directory was moved or removed"), "{stderr}");
}
