//! Creates trails in the test process, for the command to read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use auditx_core::{AuditLogger, Config};
use auditx_store::ACTIVE;
use auditx_tests::deadline::{TIMEOUT, wait_until};
use serde_json::Value;
use tempfile::TempDir;

/// Creates a directory with the mode of a trail.
pub(crate) fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o750)).expect("a directory of ours");
    directory
}

/// Opens a logger with the smallest segment size.
pub(crate) fn logger(directory: &Path) -> AuditLogger {
    AuditLogger::open(Config::new(directory).max_file_bytes(65_535)).expect("a trail")
}

/// Records `count` entries of about two thousand bytes.
pub(crate) fn record(logger: &AuditLogger, count: usize) {
    for number in 0..count {
        let description = format!("entry {number} {}", "x".repeat(1_700));
        logger.log(description).user("admin").record().expect("a recorded entry");
    }
}

/// Waits until every sealed segment is compressed.
pub(crate) fn compressed(logger: &AuditLogger) {
    logger.flush(TIMEOUT).expect("a durable trail");
    wait_until("the compression of every sealed segment", || {
        logger.metrics().compressed == logger.metrics().seals
    });
}

/// Creates a closed trail of `count` entries.
pub(crate) fn closed(count: usize) -> TempDir {
    let directory = directory();
    let logger = logger(directory.path());
    record(&logger, count);
    compressed(&logger);
    logger.close(TIMEOUT).expect("a closed trail");
    directory
}

/// Copies the files to another directory.
pub(crate) fn copied(from: &Path) -> TempDir {
    let directory = directory();
    copy(from, directory.path());
    directory
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry of it");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            fs::create_dir(&target).expect("a directory beside");
            let permissions = entry.metadata().expect("a directory").permissions();
            fs::set_permissions(&target, permissions).expect("a directory of ours");
            copy(&source, &target);
        } else {
            fs::copy(source, target).expect("a copy");
        }
    }
}

/// Returns every file below a directory with its bytes; compressed files also decompressed.
pub(crate) fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            found.extend(files(&path));
            continue;
        }
        let bytes = fs::read(&path).expect("a file of ours");
        if path.extension().is_some_and(|extension| extension == "zst") {
            found.push((path.clone(), zstd::decode_all(&*bytes).expect("a compressed segment")));
        }
        found.push((path, bytes));
    }
    found
}

/// Changes one letter of the description of a line, so that the line stays readable.
pub(crate) fn tamper(path: &Path, line: usize) {
    let text = fs::read_to_string(path).expect("a plain segment");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[line] = lines[line].replacen("\"description\":\"e", "\"description\":\"E", 1);
    fs::write(path, lines.join("\n") + "\n").expect("a changed segment");
    assert_ne!(fs::read_to_string(path).expect("the same"), text, "something was changed");
}

/// Returns the lines of the active segment.
pub(crate) fn active_lines(directory: &Path) -> Vec<Value> {
    parsed(&fs::read_to_string(directory.join(ACTIVE)).expect("an active segment"))
}

pub(crate) fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}
