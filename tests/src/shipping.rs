//! Helpers for tests of shipping.

use std::path::Path;
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Cadence, Config};
use auditx_ship::{Settings, Shipper, State};
use auditx_store::TrailReader;
use tempfile::TempDir;

use crate::deadline::TIMEOUT;

/// Opens a logger that signs often, so that lines can be shipped soon.
///
/// # Panics
/// If the trail cannot be opened.
#[must_use]
pub fn open(directory: &Path) -> AuditLogger {
    let config = Config::new(directory).checkpoints(Cadence::new(Duration::from_millis(50), 100));
    AuditLogger::open(config).expect("a trail")
}

/// Writes and closes a trail with this many entries.
///
/// # Panics
/// If the trail cannot be written.
#[must_use]
pub fn trail(entries: usize) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let logger = open(directory.path());
    for number in 0..entries {
        let entry = logger.log(format!("Invoice {number} posted"));
        entry.reference_no(format!("SI-{number}")).record().expect("a recorded entry");
    }
    logger.close(TIMEOUT).expect("a closed trail");
    directory
}

/// Returns the lines of a trail.
///
/// # Panics
/// If they cannot be read.
#[must_use]
pub fn lines(directory: &Path) -> Vec<String> {
    let mut reader = TrailReader::new(directory, 0);
    let mut lines = Vec::new();
    while let Some((_, line)) = reader.next_line().expect("a trail that can be read") {
        lines.push(String::from_utf8(line.to_vec()).expect("lines are UTF-8"));
    }
    lines
}

/// Returns settings with short pauses.
#[must_use]
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.poll_interval = Duration::from_millis(5);
    settings.initial_backoff = Duration::from_millis(1);
    settings.max_backoff = Duration::from_millis(50);
    settings
}

/// Waits until this many lines are shipped.
///
/// # Panics
/// If that does not happen in time.
pub fn wait_for_all(shipper: &Shipper, count: usize) {
    let is_done = shipper.wait_until(Instant::now() + TIMEOUT, |progress| {
        progress.state == State::CaughtUp && progress.next == count as u64
    });
    assert!(is_done, "{:?}", shipper.progress());
}

/// Stops the shipper.
///
/// # Panics
/// If it had stopped with an error.
pub fn stop(shipper: Shipper) {
    shipper.stop(Instant::now() + TIMEOUT).expect("the shipper runs until it is stopped");
}
