//! A process whose directory is removed: it says so where somebody still hears it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use auditx_tests::deadline::wait_until;

#[test]
fn where_app_log_is_gone_with_the_directory_standard_error_says_why_entries_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let logs = root.path().join("logs");
    let mut child = Command::new(env!("CARGO_BIN_EXE_durable_writer"))
        .arg(&logs)
        .arg("0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..20 {
        said.next().unwrap().unwrap();
    }
    // What is restored meanwhile is removed as well.
    wait_until("the removal", || fs::remove_dir_all(&logs).is_ok());
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert!(
        rest.iter().any(|line| line.starts_with("refused: the log directory was moved or removed")),
        "{rest:?}"
    );
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("auditx: the log directory was moved or removed"), "{complaint}");
}
