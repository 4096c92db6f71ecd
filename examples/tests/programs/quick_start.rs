//! The quick start of the README is a program that runs, and records what it says.

use std::process::Command;

use auditx_tests::trail::lines;

/// Returns the text without white space, which the README has less of.
fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn the_quick_start_of_the_readme_records_its_entries() {
    let readme = include_str!("../../../README.md");
    let program = include_str!("../../src/bin/quick_start.rs");
    let (_, code) = program.split_once("\n\n").unwrap();
    assert!(dense(readme).contains(&dense(code)), "README.md and quick_start.rs differ");

    let directory = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_quick_start")).current_dir(&directory).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let found: Vec<String> = lines(&directory.path().join("logs"))
        .iter()
        .filter(|line| line.json["module"] != "system" || line.json["auditx"].is_null())
        .map(|line| format!("{} by {}", line.json["description"], line.json["user"]))
        .collect();
    let expected = ["User login successful", "Invoice posted", "Limit raised"];
    assert_eq!(found, expected.map(|what| format!("\"{what}\" by \"admin\"")));
}
