//! `--metrics`: a file in the text format of Prometheus, for the textfile collector of node_exporter.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::save;

/// How often the file is written.
const INTERVAL: Duration = Duration::from_secs(5);

pub(crate) struct MetricsFile {
    path: PathBuf,
    written_at: Option<Instant>,
}

impl MetricsFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, written_at: None }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.written_at.is_none_or(|at| at.elapsed() >= INTERVAL)
    }

    /// Replaces the file with this text.
    pub(crate) fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.written_at = Some(Instant::now());
        save::publish(&self.path, text.as_bytes())
    }
}

/// Writes the two lines that precede the values of a metric.
pub(crate) fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
}

#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
pub(crate) fn float(whole: u64) -> f64 {
    whole as f64
}
