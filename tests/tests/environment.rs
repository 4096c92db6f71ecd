//! The process-wide logger of a program that configures nothing: the environment says where, and whether to show it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Output};

use auditx_tests::trail::{Line, entries, lines};

const PROGRAM: &str = env!("CARGO_BIN_EXE_environment");

fn run(directory: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.current_dir(directory).env_remove("AUDITX_LOG_DIR").env_remove("NO_COLOR");
    command.envs(variables.iter().copied()).output().unwrap()
}

/// What the console shows of callers' entries, without the time each begins with.
fn shown(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8(output.to_vec()).unwrap();
    let callers = text.lines().filter(|line| line.contains("user=admin"));
    callers.map(|line| line.split_once("Z ").unwrap().1.to_owned()).collect()
}

#[test]
fn without_any_setting_entries_go_to_logs_in_the_working_directory_and_to_no_console() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &[]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(entries(&directory.path().join("logs")).len(), 2);
}

#[test]
fn the_console_shows_each_line_as_harmless_text() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("AUDITX_LOG_DIR", "erp"), ("AUDITX_INSTANCE", "worker-1"), ("AUDITX_CONSOLE", "stdout")];
    let output = run(directory.path(), &settings);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(
        shown(&output.stdout),
        [
            "NORMAL   system.READ  Goods \\u001b[2Jreceived\\nby \\u202enight  user=admin",
            "SECURITY auth.LOGIN  Login failed  user=admin FAILED",
        ]
    );
    let all = lines(&directory.path().join("erp/worker-1"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), all.len(), "a line each, the trail's own and `close` too");
    assert_eq!(all.last().and_then(Line::kind), Some("close"));
}

#[test]
fn the_console_is_coloured_where_colours_are_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &[("AUDITX_CONSOLE", "stderr"), ("CLICOLOR_FORCE", "1")]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("\u{1b}[35mSECURITY\u{1b}[0m auth.LOGIN"), "{text:?}");
    assert!(!text.contains("\u{1b}[2J"), "{text:?}");
}

#[test]
fn a_setting_that_cannot_be_read_is_named_and_nothing_is_recorded_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &[("AUDITX_MAX_FILE_BYTES", "ten")]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("AUDITX_MAX_FILE_BYTES"), "{text}");
    assert!(!directory.path().join("logs").exists());
}
