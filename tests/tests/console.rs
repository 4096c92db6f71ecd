//! Another process reads the console from a pipe: it gets each line of the trail exactly once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use auditx_tests::deadline::wait_until;

fn program(way: &str, console: &str, directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
    command
        .arg(way)
        .env("AUDITX_LOG_DIR", directory)
        .env("AUDITX_CONSOLE", console)
        .env("AUDITX_COMPRESSION", "none")
        .env("AUDITX_MAX_FILE_BYTES", "500000");
    command
}

/// Returns the text of all segments.
fn trail(directory: &Path) -> String {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> =
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("audit-")).collect();
    segments.sort();
    segments.push(directory.join("audit.jsonl"));
    segments.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Returns the output without the lines that the program printed itself.
fn shown(output: &[u8]) -> String {
    let text = std::str::from_utf8(output).unwrap();
    text.split_inclusive('\n').filter(|line| !line.starts_with("own line ")).collect()
}

#[test]
fn a_collector_reads_each_line_exactly_once() {
    for console in ["stdout-json", "stderr-json"] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program("sessions", console, directory.path());
        // Forced colours do not affect JSON.
        let output = command.env("CLICOLOR_FORCE", "1").output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}", &err[..err.len().min(2_000)]);
        let trail = trail(directory.path());
        let lines = if console == "stdout-json" { shown(&output.stdout) } else { shown(&output.stderr) };
        assert!(lines == trail, "{} lines, {} in the trail", lines.lines().count(), trail.lines().count());
        for kind in ["genesis", "open", "rotated", "close"] {
            assert!(lines.contains(&format!("\"kind\":\"{kind}\"")), "{kind}");
        }
        let own = std::str::from_utf8(&output.stdout).unwrap().lines().filter(|line| line.starts_with("own"));
        assert_eq!(own.count(), 2_000, "the program's own lines are complete");
    }
}

#[test]
fn a_nonblocking_pipe_gets_every_byte_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut child =
        program("nonblocking", "stdout-json", directory.path()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut output, mut first) = (child.stdout.take().unwrap(), [0; 1_000]);
    output.read_exact(&mut first).unwrap();
    // The trail is four times as long as the pipe's buffer, so the pipe has been full.
    wait_until("a full pipe", || trail(directory.path()).len() > 260_000);
    let mut lines = first.to_vec();
    output.read_to_end(&mut lines).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(lines == trail(directory.path()).as_bytes());
}

#[test]
fn a_closed_console_is_reported_once_and_blocks_nothing() {
    for console in ["stdout-json", "stdout"] {
        let directory = tempfile::tempdir().unwrap();
        let mut child = program("abandoned", console, directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("read by the collector") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "{console}");
        }
        drop(output);
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.success(), "{stderr}");
        assert_eq!(stderr, "failures 1 lag 0 quick true\n", "{console}");
        let app_log = fs::read_to_string(directory.path().join("app.log")).unwrap();
        let about: Vec<&str> = app_log.lines().filter(|line| line.contains("console")).collect();
        assert_eq!(about.len(), 1, "{app_log}");
        assert!(about[0].contains("Broken pipe") && about[0].contains("writes nothing more"), "{app_log}");
    }
}
