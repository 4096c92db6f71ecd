//! The goals, compared with the results of a run.

use super::Results;
use crate::goal::Goal;
use crate::quantile::float;
use crate::record::{Load, Row, SubjectName};
use crate::{http, read};

/// Evaluates the goals of all sections. A goal of a section that was not measured is not reached.
pub(super) fn of(results: &Results) -> Vec<Goal> {
    let mut goals = recording(&results.recorded);
    let ratio = results.recorded_while_shipping.get(1).map(|row| row.ratio);
    goals.push(at_most("with an embedded shipper p50 ≤ 1.1 × alone", ratio, 1.1, "×"));
    let durable = |outstanding| {
        results.resolved.iter().find(|row| row.subject == "auditx" && row.outstanding == outstanding)
    };
    let many = durable(256).map(|row| float(row.entries_per_s));
    goals.push(at_least("durable with 256 receipts open ≥ 300,000/s", many, 300_000.0, "/s"));
    let one = durable(1).map(|row| row.ratio);
    goals.push(at_most("durable with one receipt open: p50 ≤ 2.5 × one fdatasync", one, 2.5, "×"));
    let trace = added(&results.served, "axum", "axum+trace");
    for (bare, audited, what) in [
        (
            "axum",
            "axum+auditx",
            [
                "axum ≥ 0.88 of bare",
                "axum: CPU ≤ +1.8 µs a request",
                "axum: p99 ≤ 1.5 × bare",
                "axum: CPU ≤ ¼ of what TraceLayer adds",
            ],
        ),
        (
            "actix",
            "actix+auditx",
            [
                "actix-web ≥ 0.88 of bare",
                "actix-web: CPU ≤ +1.8 µs a request",
                "actix-web: p99 ≤ 1.5 × bare",
                "actix-web: CPU ≤ ¼ of what TraceLayer adds to axum",
            ],
        ),
    ] {
        goals.extend(serving(&results.served, (bare, audited), what, trace));
    }
    goals.extend(read::goals(&results.queried));
    let verified = results.verified.iter().find(|row| row.subject == "verify-2-threads");
    goals.push(at_most("verify ≤ 0.6 × openssl", verified.map(|row| row.ratio), 0.6, "×"));
    goals
}

fn recording(rows: &[Row]) -> Vec<Goal> {
    use SubjectName::{Auditx, AuditxOs, TracingAppender};
    let figure = |load, subject, threads, of: fn(&Row) -> u64| {
        let is_wanted = |row: &&Row| (row.load, row.subject, row.threads) == (load, subject, threads);
        rows.iter().find(is_wanted).map(|row| float(of(row)))
    };
    let p50 = |load, subject| figure(load, subject, 1, |row| row.p50_ns);
    let sealed = |subject, threads| figure(Load::Burst, subject, threads, |row| row.sealed_per_s);
    let faster = |load| ratio(p50(load, TracingAppender), p50(load, Auditx));
    let p99 = figure(Load::Burst, Auditx, 1, |row| row.p99_ns);
    vec![
        at_most("`record()` p50 ≤ 200 ns (one thread, burst)", p50(Load::Burst, Auditx), 200.0, "ns"),
        at_least("≥ 14 × faster than tracing-appender", faster(Load::Burst), 14.0, "×"),
        at_most("p99 ≤ 400 ns", p99, 400.0, "ns"),
        at_most("cold, 5,000 calls a second: p50 ≤ 600 ns", p50(Load::Cold, Auditx), 600.0, "ns"),
        at_least("cold: ≥ 3 × faster than tracing-appender", faster(Load::Cold), 3.0, "×"),
        at_least("sealed ≥ 2.0 million/s (`Os`, two producers)", sealed(AuditxOs, 2), 2_000_000.0, "/s"),
        at_least(
            "sealed ≥ 5 × tracing-appender (two producers)",
            ratio(sealed(AuditxOs, 2), sealed(TracingAppender, 2)),
            5.0,
            "×",
        ),
        at_least("sealed ≥ 1.5 million/s (default, one producer)", sealed(Auditx, 1), 1_500_000.0, "/s"),
    ]
}

/// Evaluates rate, CPU time and latency of an audited server beside the bare one.
fn serving(
    rows: &[http::Row],
    (bare, audited): (&str, &str),
    [rate, cpu, late, beside]: [&'static str; 4],
    trace: Option<f64>,
) -> Vec<Goal> {
    let figure = |subject: &str, of: fn(&http::Row) -> f64| row(rows, subject).map(of);
    let of_bare = |of| ratio(figure(audited, of), figure(bare, of));
    let added = added(rows, bare, audited);
    vec![
        at_least(rate, of_bare(|row| row.requests_per_s), 0.88, "×"),
        at_most(cpu, added, 1.8, "µs"),
        at_most(late, of_bare(|row| row.p99_us), 1.5, "×"),
        at_most(beside, ratio(added, trace), 0.25, "×"),
    ]
}

/// Returns the CPU time that a middleware adds to a request, in microseconds.
fn added(rows: &[http::Row], bare: &str, with: &str) -> Option<f64> {
    Some(row(rows, with)?.server_cpu_us - row(rows, bare)?.server_cpu_us)
}

fn row<'r>(rows: &'r [http::Row], subject: &str) -> Option<&'r http::Row> {
    rows.iter().find(|row| row.subject == subject)
}

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?)
}

fn at_most(what: &'static str, figure: Option<f64>, limit: f64, unit: &str) -> Goal {
    goal(what, figure, unit, |figure| figure <= limit)
}

fn at_least(what: &'static str, figure: Option<f64>, limit: f64, unit: &str) -> Goal {
    goal(what, figure, unit, |figure| figure >= limit)
}

fn goal(what: &'static str, figure: Option<f64>, unit: &str, reaches: impl FnOnce(f64) -> bool) -> Goal {
    let shown = |figure: f64| {
        if figure < 100.0 { format!("{figure:.2} {unit}") } else { format!("{figure:.0} {unit}") }
    };
    Goal {
        what,
        measured: figure.map_or_else(|| "not measured".to_owned(), shown),
        reached: figure.is_some_and(reaches),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_goal_is_reached_without_measurements() {
        let goals = of(&Results::default());
        assert!(goals.len() > 20);
        assert!(goals.iter().all(|goal| !goal.reached && goal.measured == "not measured"), "{goals:?}");
    }

    fn row(load: Load, subject: SubjectName, threads: u64, p50_ns: u64, sealed_per_s: u64) -> Row {
        Row {
            load,
            subject,
            threads,
            p50_ns,
            p99_ns: 400,
            p999_ns: 0,
            max_ns: 0,
            call_p999_ns: 0,
            sealed_per_s,
            resident_kib: 0,
            file_kib: 0,
            stolen_ms: 0,
            entries: 1,
            lines: 1,
            runs: 1,
        }
    }

    #[test]
    fn goals_are_reached_up_to_their_limits() {
        let reached = |p50, cold, sealed| {
            let rows = [
                row(Load::Burst, SubjectName::Auditx, 1, p50, 1_500_000),
                row(Load::Cold, SubjectName::Auditx, 1, cold, 1),
                row(Load::Burst, SubjectName::AuditxOs, 2, 1, sealed),
                row(Load::Burst, SubjectName::TracingAppender, 1, 2_800, 1),
                row(Load::Cold, SubjectName::TracingAppender, 1, 1_800, 1),
                row(Load::Burst, SubjectName::TracingAppender, 2, 1, 400_000),
            ];
            recording(&rows).iter().map(|goal| goal.reached).collect::<Vec<_>>()
        };
        assert_eq!(reached(200, 600, 2_000_000), [true; 8]);
        assert_eq!(reached(201, 601, 1_999_999), [false, false, true, false, false, false, false, true],);
    }
}
