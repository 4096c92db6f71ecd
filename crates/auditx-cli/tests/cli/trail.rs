//! Trails for the command to read, written by the library in the test's own process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use auditx_core::{ACTIVE, AuditLogger, Config};
use auditx_tests::deadline::PATIENCE;
use serde_json::Value;
use tempfile::TempDir;

/// A directory with the modes a trail has.
pub(crate) fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o750)).expect("a directory of ours");
    directory
}

/// A logger that seals as often as it may.
pub(crate) fn logger(directory: &Path) -> AuditLogger {
    AuditLogger::open(Config::new(directory).max_file_bytes(65_535)).expect("a trail")
}

/// Records that many entries of two thousand bytes.
pub(crate) fn record(logger: &AuditLogger, count: usize) {
    for number in 0..count {
        let description = format!("entry {number} {}", "x".repeat(1_700));
        logger.log(description).user("admin").record().expect("a recorded entry");
    }
}

/// A trail of that many entries, closed.
pub(crate) fn closed(count: usize) -> TempDir {
    let directory = directory();
    let logger = logger(directory.path());
    record(&logger, count);
    logger.close(PATIENCE).expect("a closed trail");
    directory
}

/// The lines of its active segment.
pub(crate) fn active_lines(directory: &Path) -> Vec<Value> {
    parsed(&fs::read_to_string(directory.join(ACTIVE)).expect("an active segment"))
}

pub(crate) fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}
