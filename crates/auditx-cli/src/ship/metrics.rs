//! `--metrics`: a file in the text format of Prometheus, for the textfile collector of node_exporter.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use auditx_ship::{Progress, State};

use crate::failure::Failure;
use crate::save;

/// How often the file is written.
const INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct MetricsFile {
    path: PathBuf,
    written_at: Option<Instant>,
}

/// Name, type, help, and a function that returns the value of a shipper, if it has one.
type Metric = (&'static str, &'static str, &'static str, fn(&Progress) -> Option<f64>);

const METRICS: &[Metric] = &[
    ("up", "gauge", "1 if the last attempt succeeded", |progress| {
        Some(f64::from(u8::from(!matches!(progress.state, State::Waiting | State::Ended))))
    }),
    ("lag_lines", "gauge", "Signed lines that are waiting", |progress| Some(float(progress.lag()))),
    ("lag_bytes", "gauge", "Bytes on disk of the waiting lines", |progress| progress.lag_bytes.map(float)),
    ("lag_seconds", "gauge", "Age of the oldest waiting line", |progress| Some(progress.age().as_secs_f64())),
    (
        "unsaved_lines",
        "gauge",
        "Acknowledged lines that the cursor on disk does not include yet",
        |progress| Some(float(progress.unsaved())),
    ),
    ("sent_lines_total", "counter", "Lines sent", |progress| Some(float(progress.sent))),
    ("sent_bytes_total", "counter", "Bytes of lines sent", |progress| Some(float(progress.sent_bytes))),
    ("parked_lines_total", "counter", "Lines rejected because of their content", |progress| {
        Some(float(progress.parked))
    }),
    (
        "regressions_total",
        "counter",
        "Times the destination was behind what it had acknowledged",
        |progress| Some(float(progress.regressions)),
    ),
    ("fenced_total", "counter", "Times another shipper stored lines first", |progress| {
        Some(float(progress.fenced))
    }),
    ("last_success_timestamp_seconds", "gauge", "When the destination last accepted lines", |progress| {
        let since = progress.last_success?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(since.as_secs_f64())
    }),
];

impl MetricsFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, written_at: None }
    }

    pub(super) fn is_due(&self) -> bool {
        self.written_at.is_none_or(|at| at.elapsed() >= INTERVAL)
    }

    /// Replaces the file with the current metrics.
    pub(super) fn write(&mut self, shippers: &[(&str, Progress)]) -> Result<(), Failure> {
        self.written_at = Some(Instant::now());
        save::publish(&self.path, text_of(shippers).as_bytes())
    }
}

fn text_of(shippers: &[(&str, Progress)]) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in METRICS {
        describe(&mut text, name, kind, help);
        for (destination, progress) in shippers {
            if let Some(value) = value(progress) {
                writeln!(text, "auditx_ship_{name}{{destination=\"{destination}\"}} {value}").ok();
            }
        }
    }
    describe(&mut text, "retries_total", "counter", "Retried attempts, by the kind of failure");
    for (destination, Progress { retries, .. }) in shippers {
        for (kind, count) in [
            ("unreachable", retries.unreachable),
            ("timed_out", retries.timed_out),
            ("refused", retries.refused),
            ("source", retries.source),
        ] {
            let labels = format!("destination=\"{destination}\",kind=\"{kind}\"");
            writeln!(text, "auditx_ship_retries_total{{{labels}}} {count}").ok();
        }
    }
    text
}

fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    write!(text, "# HELP auditx_ship_{name} {help}\n# TYPE auditx_ship_{name} {kind}\n").ok();
}

#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn float(whole: u64) -> f64 {
    whole as f64
}
