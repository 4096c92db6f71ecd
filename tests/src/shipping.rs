//! Trails that are shipped somewhere, and what waits for that.

use std::path::Path;
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Cadence, Config, TrailReader};
use auditx_ship::{Settings, Shipper, State};
use tempfile::TempDir;

use crate::deadline::PATIENCE;

/// A logger that signs often, so that lines may be shipped soon.
///
/// # Panics
/// Where the trail cannot be opened.
#[must_use]
pub fn open(directory: &Path) -> AuditLogger {
    let config = Config::new(directory).checkpoints(Cadence::new(Duration::from_millis(50), 100));
    AuditLogger::open(config).expect("a trail")
}

/// A closed trail of so many entries, and a few lines of its own.
///
/// # Panics
/// Where it cannot be written.
#[must_use]
pub fn trail(entries: usize) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let logger = open(directory.path());
    for number in 0..entries {
        let entry = logger.log(format!("Invoice {number} posted"));
        entry.reference_no(format!("SI-{number}")).record().expect("a recorded entry");
    }
    logger.close(PATIENCE).expect("a closed trail");
    directory
}

/// Its lines.
///
/// # Panics
/// Where they cannot be read.
#[must_use]
pub fn lines(directory: &Path) -> Vec<String> {
    let mut reader = TrailReader::new(directory, 0);
    let mut lines = Vec::new();
    while let Some((_, line)) = reader.next_line().expect("a trail that can be read") {
        lines.push(String::from_utf8(line.to_vec()).expect("lines are UTF-8"));
    }
    lines
}

/// Without long pauses.
#[must_use]
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.look = Duration::from_millis(5);
    settings.first_pause = Duration::from_millis(1);
    settings.longest_pause = Duration::from_millis(50);
    settings
}

/// Until so many lines are there.
///
/// # Panics
/// Where that does not happen.
pub fn wait_for_all(shipper: &Shipper, count: usize) {
    let is_done = shipper.wait_until(Instant::now() + PATIENCE, |progress| {
        progress.state == State::CaughtUp && progress.next == count as u64
    });
    assert!(is_done, "{:?}", shipper.progress());
}

/// Ends it in order.
///
/// # Panics
/// Where it had ended by itself.
pub fn stop(shipper: Shipper) {
    shipper.stop(Instant::now() + PATIENCE).expect("it went on until now");
}
