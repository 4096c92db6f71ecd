//! The script and the programs that record through the command run as documented.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use auditx_tests::deadline::TIMEOUT;
use serde_json::json;

use super::{descriptions, entries, trail};
use crate::program::{VARIABLES, ended};
use crate::trail::{directory, logger};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns a program that finds the built command in its search path.
fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let built = Path::new(env!("CARGO_BIN_EXE_auditx")).parent().unwrap().to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", env::join_paths([built].into_iter().chain(env::split_paths(&path))).unwrap());
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

/// Returns the script for cron, to be run on this trail.
fn cron(directory: &Path) -> Command {
    let path = project().join("examples/cron.sh");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o111, 0o111, "executable");
    let mut command = program(path);
    command.env("AUDITX_LOG_DIR", directory).env("LOGNAME", "backup");
    command
}

/// Returns the code of the only block of a document in this language.
fn code(document: &str, language: &str) -> String {
    let text = fs::read_to_string(project().join(document)).unwrap();
    let (_, code) = text.split_once(&format!("```{language}\n")).expect("a block");
    code.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_script_for_cron_records_start_and_end() {
    let trail = trail();
    let ran = ended(cron(trail.path()).args(["sh", "-c", "echo done"]));
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (Some(0), "done\n", ""));
    assert_eq!(descriptions(trail.path()), ["Backup started", "Backup finished"]);
    let [started, finished] = &entries(trail.path())[..] else { panic!("two entries") };
    assert_eq!(finished["request_id"], started["id"]);
    assert_eq!([&started["user"], &started["action"]], ["backup", "EXPORT"]);
    assert_eq!(started["metadata"], json!({"command": "sh"}));
}

#[test]
fn the_script_for_cron_records_a_failure_and_returns_its_status() {
    let trail = trail();
    let ran = ended(cron(trail.path()).args(["sh", "-c", "exit 7"]));
    assert_eq!((ran.status, ran.err.as_str()), (Some(7), ""));
    let failed = entries(trail.path()).pop().expect("an entry");
    assert_eq!([&failed["description"], &failed["level"]], ["Backup failed", "ERROR"]);
    assert_eq!([&failed["success"], &failed["metadata"]["exit_status"]], [&json!(false), &json!(7)]);
}

#[test]
fn the_script_for_cron_runs_the_backup_without_a_trail() {
    let empty = directory();
    let ran = ended(cron(empty.path()).args(["echo", "done"]));
    assert_eq!((ran.status, ran.out.as_str()), (Some(1), "done\n"));
    assert_eq!(ran.err.matches("no audit trail").count(), 2, "{}", ran.err);
}

#[test]
fn the_python_program_of_the_document_records() {
    let directory = directory();
    let logs = directory.path().join("logs");
    logger(&logs).close(TIMEOUT).unwrap();
    let code = code("docs/RECORDING.md", "python");
    let refused = "\naudit = Audit(\"logs\")\ntry:\n    audit.record(\"x\", usr=\"y\")\n\
                   except RuntimeError as error:\n    print(error)\naudit.close()\n";
    let ran = ended(program("python3").args(["-c", &(code + refused)]).current_dir(directory.path()));
    assert_eq!((ran.status, ran.out.as_str()), (Some(0), "not recorded: x\n"), "{}", ran.err);
    assert!(ran.err.starts_with("auditx: line 1: unknown field \"usr\""), "{}", ran.err);
    assert_eq!(descriptions(&logs), ["Report exported", "Invoice posted"]);
    let text = fs::read_to_string(logs.join("audit.jsonl")).unwrap();
    assert!(text.contains("\"amount\":1250000.10,\"currency\":\"MMK\""), "{text}");
}
