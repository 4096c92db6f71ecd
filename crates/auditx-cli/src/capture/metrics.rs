//! The metrics of a collector.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use auditx_capture::Progress;

use crate::metrics_file::{describe, float};

/// Name, type, help, and a function that returns the value, if there is one.
type Metric = (&'static str, &'static str, &'static str, fn(&Progress) -> Option<f64>);

const METRICS: &[Metric] = &[
    ("up", "gauge", "1 if the last attempt succeeded", |progress| {
        Some(f64::from(u8::from(progress.error.is_empty())))
    }),
    ("lag_seconds", "gauge", "Age of the oldest change that waits, as of the last look", |progress| {
        // Not negative if the clocks of the database and of this machine differ.
        let age = progress.oldest.map(|oldest| SystemTime::now().duration_since(oldest).unwrap_or_default());
        Some(age.unwrap_or(Duration::ZERO).as_secs_f64())
    }),
    ("collected_total", "counter", "Changes recorded in the trail", |progress| {
        Some(float(progress.collected))
    }),
    ("refused_total", "counter", "Rows that could not become entries", |progress| {
        Some(float(progress.refused))
    }),
    ("failures_total", "counter", "Failed attempts", |progress| Some(float(progress.failures))),
    ("last_failure_timestamp_seconds", "gauge", "When an attempt last failed", |progress| {
        let since = progress.failed_at?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(since.as_secs_f64())
    }),
];

/// Returns the text of the metrics file.
pub(super) fn text_of(progress: &Progress) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in METRICS {
        let name = format!("auditx_capture_{name}");
        describe(&mut text, &name, kind, help);
        if let Some(value) = value(progress) {
            writeln!(text, "{name} {value}").ok();
        }
    }
    text
}
