//! The process-wide logger, configured only by environment variables.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use auditx_core::{Signer, SigningKey, VerifierKey};
use auditx_store::checkpoint_path;
use auditx_tests::trail::{Line, entries, lines};
use auditx_tlog::SignedCheckpoint;

const PROGRAM: &str = env!("CARGO_BIN_EXE_environment");

fn run(directory: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.current_dir(directory).env_remove("AUDITX_LOG_DIR").env_remove("NO_COLOR");
    command.envs(variables.iter().copied()).output().unwrap()
}

/// Returns the console's lines for callers' entries, without the time.
fn shown(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8(output.to_vec()).unwrap();
    let callers = text.lines().filter(|line| line.contains("user=admin"));
    callers.map(|line| line.split_once("Z ").unwrap().1.to_owned()).collect()
}

#[test]
fn the_default_is_logs_in_the_working_directory() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &[]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(entries(&directory.path().join("logs")).len(), 2);
}

#[test]
fn the_console_escapes_control_characters() {
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
    assert_eq!(text.lines().count(), all.len(), "one line per entry, including control records");
    assert_eq!(all.last().and_then(Line::kind), Some("close"));
}

#[test]
fn the_console_uses_colours_if_they_are_forced() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &[("AUDITX_CONSOLE", "stderr"), ("CLICOLOR_FORCE", "1")]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("\u{1b}[35mSECURITY\u{1b}[0m auth.LOGIN"), "{text:?}");
    assert!(!text.contains("\u{1b}[2J"), "{text:?}");
}

#[test]
fn an_invalid_setting_is_named_and_nothing_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &[("AUDITX_MAX_FILE_BYTES", "ten")]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("AUDITX_MAX_FILE_BYTES"), "{text}");
    assert!(!directory.path().join("logs").exists());
}

#[test]
fn the_environment_selects_the_source_of_the_signing_key() {
    let directory = tempfile::tempdir().unwrap();
    let key = SigningKey::generate();
    let credentials = directory.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("auditx"), key.to_pem()).unwrap();
    let one_line: String = key.to_pem().lines().filter(|line| !line.starts_with('-')).collect();
    let variables = [
        ("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap()),
        ("KEY_PEM", &key.to_pem()),
        ("KEY_DER", &one_line),
        ("KEY_BAD", "none"),
    ];
    let with = |source: &str, log_dir: &str| {
        let settings = [("AUDITX_SIGNING_KEY", source), ("AUDITX_LOG_DIR", log_dir)];
        run(directory.path(), &[&variables[..], &settings].concat())
    };
    let sources = ["env:KEY_PEM", "env:KEY_DER", "credential:auditx", "file:credentials/auditx"];
    for (number, source) in sources.iter().enumerate() {
        let log_dir = format!("trail-{number}");
        let output = with(source, &log_dir);
        assert!(output.status.success(), "{source}: {output:?}");
        let trail = directory.path().join(log_dir);
        let genesis = lines(&trail)[0].json["auditx"]["key"].as_str().unwrap().to_owned();
        let verifier: VerifierKey = genesis.parse().unwrap();
        assert_eq!(verifier.public_key(), key.public_key(), "{source}");
        let note = SignedCheckpoint::parse(&fs::read(checkpoint_path(&trail)).unwrap()).unwrap();
        note.verify(&[verifier]).unwrap();
        assert!(!trail.join(".auditx/keys").exists(), "the trail has no key of its own");
    }
    for (source, named) in [
        ("env:KEY_BAD", "KEY_BAD"),
        ("env:KEY_NONE", "KEY_NONE"),
        ("credential:none", "none"),
        ("file:none.pem", "none.pem"),
        ("somewhere", "AUDITX_SIGNING_KEY"),
    ] {
        let output = with(source, "refused");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(named), "{source}: {text}");
    }
}
