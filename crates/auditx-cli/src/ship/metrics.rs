//! The metrics of the shippers.

use std::fmt::Write as _;
use std::time::SystemTime;

use auditx_ship::{Progress, State};

use crate::metrics_file::{describe, float};

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

/// Returns the text of the metrics file.
pub(super) fn text_of(shippers: &[(&str, Progress)]) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in METRICS {
        describe(&mut text, &format!("auditx_ship_{name}"), kind, help);
        for (destination, progress) in shippers {
            if let Some(value) = value(progress) {
                writeln!(text, "auditx_ship_{name}{{destination=\"{destination}\"}} {value}").ok();
            }
        }
    }
    let help = "Retried attempts, by the kind of failure";
    describe(&mut text, "auditx_ship_retries_total", "counter", help);
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
