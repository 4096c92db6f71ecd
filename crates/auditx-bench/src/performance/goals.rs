//! The goals for recording, compared with the results of a run.

use crate::durable;
use crate::goal::Goal;
use crate::quantile::float;
use crate::record::{Load, Row, SubjectName};

pub(super) fn of(recorded: &[Row], resolved: &[durable::Row]) -> Vec<Goal> {
    use SubjectName::{Auditx, AuditxOs, TracingAppender};
    let row = |load, subject, threads| {
        recorded.iter().find(|row| row.load == load && row.subject == subject && row.threads == threads)
    };
    let burst = |subject, threads, of: fn(&Row) -> u64| row(Load::Burst, subject, threads).map_or(0, of);
    let (p50, p99) = (burst(Auditx, 1, |row| row.p50_ns), burst(Auditx, 1, |row| row.p99_ns));
    let faster = ratio(burst(TracingAppender, 1, |row| row.p50_ns), p50);
    let late = row(Load::FixedRate, Auditx, 1).map_or(0, |row| row.p999_ns);
    let sealed = burst(AuditxOs, 2, |row| row.sealed_per_s);
    let default = burst(Auditx, 2, |row| row.sealed_per_s);
    let beside = ratio(sealed, burst(TracingAppender, 2, |row| row.sealed_per_s));
    let durable =
        |outstanding| resolved.iter().find(|row| row.subject == "auditx" && row.outstanding == outstanding);
    let many = durable(256).map_or(0, |row| row.entries_per_s);
    let one = durable(1).map_or(0.0, |row| row.ratio);
    let known = |figure: u64| figure > 0;
    vec![
        Goal {
            what: "`record()` p50 ≤ 300 ns (one thread, burst)",
            measured: format!("{p50} ns"),
            reached: known(p50) && p50 <= 300,
        },
        Goal {
            what: "p50 ≥ 8 × faster than tracing-appender",
            measured: format!("{faster:.1} ×"),
            reached: faster >= 8.0,
        },
        Goal { what: "p99 ≤ 1 µs", measured: format!("{p99} ns"), reached: known(p99) && p99 <= 1_000 },
        Goal {
            what: "p99.9 ≤ 10 µs at the fixed rate, from the schedule",
            measured: format!("{late} ns"),
            reached: known(late) && late <= 10_000,
        },
        Goal {
            what: "sealed ≥ 1.5 million entries/s with two producers (`Os`, as the peers)",
            measured: format!("{sealed}/s (default: {default}/s)"),
            reached: sealed >= 1_500_000,
        },
        Goal {
            what: "sealed ≥ 4 × tracing-appender",
            measured: format!("{beside:.1} ×"),
            reached: beside >= 4.0,
        },
        Goal {
            what: "durable, 256 receipts open: ≥ 300,000 entries/s",
            measured: format!("{many}/s"),
            reached: many >= 300_000,
        },
        Goal {
            what: "one receipt open: p50 ≤ 2.5 × one fdatasync",
            measured: format!("{one} ×"),
            reached: one > 0.0 && one <= 2.5,
        },
    ]
}

fn ratio(one: u64, other: u64) -> f64 {
    float(one) / float(other.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_goal_is_reached_without_measurements() {
        let goals = of(&[], &[]);
        assert_eq!(goals.len(), 8);
        assert!(goals.iter().all(|goal| !goal.reached), "{goals:?}");
    }

    fn row(load: Load, subject: SubjectName, threads: u64, p50_ns: u64, sealed_per_s: u64) -> Row {
        Row {
            load,
            subject,
            threads,
            p50_ns,
            p99_ns: 1_000,
            p999_ns: 10_000,
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
        let rows = |p50, sealed| {
            [
                row(Load::Burst, SubjectName::Auditx, 1, p50, 1),
                row(Load::FixedRate, SubjectName::Auditx, 1, 1, 1),
                row(Load::Burst, SubjectName::AuditxOs, 2, 1, sealed),
                row(Load::Burst, SubjectName::TracingAppender, 1, 2_400, 1),
                row(Load::Burst, SubjectName::TracingAppender, 2, 1, 375_000),
            ]
        };
        let reached = |rows: &[Row]| of(rows, &[]).iter().map(|goal| goal.reached).collect::<Vec<_>>();
        assert_eq!(reached(&rows(300, 1_500_000)), [true, true, true, true, true, true, false, false]);
        assert_eq!(reached(&rows(301, 1_499_999)), [false, false, true, true, false, false, false, false]);
    }

    #[test]
    fn a_ratio_is_the_first_divided_by_the_second() {
        assert!((ratio(8, 2) - 4.0).abs() < f64::EPSILON);
    }
}
