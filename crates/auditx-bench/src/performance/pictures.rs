//! The pictures of the page.

use super::Results;
use crate::quantile::float;
use crate::record::{Load, Row, SubjectName};
use crate::svg::{self, Bar, Curve};

/// Returns the names and texts of the pictures of what was measured.
pub(super) fn of(results: &Results) -> Vec<(&'static str, String)> {
    let mut pictures = Vec::new();
    let mut add = |name, is_measured: bool, picture: &dyn Fn() -> String| {
        if is_measured {
            pictures.push((name, picture()));
        }
    };
    let Results { recorded, served, queried, verified, shipped, .. } = results;
    add("performance-record.svg", !recorded.is_empty(), &|| record(recorded));
    add("performance-latency.svg", !recorded.is_empty(), &|| latency(recorded));
    add("performance-http.svg", !served.is_empty(), &|| {
        let bar = |row: &crate::http::Row| bar(&row.subject, row.requests_per_s, "/s");
        svg::bars("HTTP: requests per second (more is better)", &served.iter().map(bar).collect::<Vec<_>>())
    });
    add("performance-http-cpu.svg", !served.is_empty(), &|| {
        let bar = |row: &crate::http::Row| bar(&row.subject, row.server_cpu_us, " µs");
        let bars: Vec<Bar> = served.iter().map(bar).collect();
        svg::bars("HTTP: CPU time of the server for each request, all threads", &bars)
    });
    add("performance-read.svg", !queried.is_empty(), &|| {
        let with_peer = |subject: &str| {
            queried.iter().any(|row| row.subject == subject && !row.program.starts_with("auditx"))
        };
        // Beside the bar of jq the others would all look alike.
        let compared = queried.iter().filter(|row| row.program != "jq" && with_peer(row.subject));
        let bar = |row: &crate::read::Row| {
            bar(&format!("{}, {}", row.subject, row.program), row.median_s * 1e3, " ms")
        };
        svg::bars("Reading: duration of a query", &compared.map(bar).collect::<Vec<_>>())
    });
    add("performance-verify.svg", !verified.is_empty(), &|| {
        let name =
            |subject: &str| subject.replace("verify-", "auditx verify, ").replace("-thread", " thread");
        let bar = |row: &crate::verify::Row| bar(&name(&row.subject), row.median_s, " s");
        let size = verified.first().map_or(0, |row| row.megabytes);
        let title = format!("Verifying {size} MB of lines");
        svg::bars(&title, &verified.iter().map(bar).collect::<Vec<_>>())
    });
    add("performance-ship.svg", !shipped.is_empty(), &|| {
        let bar = |row: &crate::ship::Row| bar(&row.subject, row.lines_per_s, "/s");
        svg::bars("Shipping: lines per second", &shipped.iter().map(bar).collect::<Vec<_>>())
    });
    pictures
}

fn record(rows: &[Row]) -> String {
    let bar = |row: &&Row| bar(&row.subject.to_string(), float(row.p50_ns), " ns");
    let bars: Vec<Bar> = alone(rows, Load::Burst).iter().map(bar).collect();
    svg::bars("Recording: median duration of a call, one thread", &bars)
}

fn latency(rows: &[Row]) -> String {
    let curve = |row: &&Row| Curve {
        name: row.subject.to_string(),
        values: [row.p50_ns, row.p99_ns, row.p999_ns, row.max_ns].map(float).into(),
    };
    let wanted = |row: &&&Row| {
        matches!(
            row.subject,
            SubjectName::Auditx
                | SubjectName::AuditxOs
                | SubjectName::TracingAppender
                | SubjectName::SlogAsync
        )
    };
    let rows = alone(rows, Load::FixedRate);
    let curves: Vec<Curve> = rows.iter().filter(wanted).map(curve).collect();
    svg::curves("Recording at a fixed rate: latency of a call", &["p50", "p99", "p99.9", "longest"], &curves)
}

/// Returns the rows of a load with one thread.
fn alone(rows: &[Row], load: Load) -> Vec<&Row> {
    rows.iter().filter(|row| row.load == load && row.threads == 1).collect()
}

fn bar(name: &str, value: f64, unit: &str) -> Bar {
    let text = match value {
        100.0.. => format!("{value:.0}{unit}"),
        10.0.. => format!("{value:.1}{unit}"),
        _ => format!("{value:.2}{unit}"),
    };
    Bar { name: name.to_owned(), value, text }
}
