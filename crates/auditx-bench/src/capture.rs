//! `capture`: measures how soon and how fast changes of a database are collected, and what the trigger costs.
//!
//! It prints three tables. The first has the time from when a commit returns until the collector has recorded
//! the change, durably, and removed it from the outbox. The second has the changes that a collector moves in
//! a second, from a backlog. The third has the throughput of an UPDATE of one row, measured with pgbench,
//! with the trigger and without, beside a trigger written by hand; nothing collects meanwhile. The servers
//! are real ones on this machine with their defaults, so that they sync each commit. Goals are printed on
//! standard error.

mod postgres;
mod sqlite;
mod trigger;

use std::time::{Duration, Instant};

use auditx_capture::Collector;
use auditx_core::{AuditAction, AuditLogger, BusinessModule, EncodedEntry};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use crate::goal::Goal;
use crate::repetition::Repetition;
use crate::{Outcome, quantile, report};

/// A time limit far longer than any run takes.
const TIMEOUT: Duration = Duration::from_secs(3_600);

/// The columns of a table as applications have them.
const CUSTOMER: &str = "id int PRIMARY KEY, name text NOT NULL, company text, street text, city text, \
     phone text, email text, credit numeric(14,2), balance numeric(14,2), is_active boolean NOT NULL, \
     created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL";

/// The rows of such a table with the numbers from 1 to `n`.
const CUSTOMERS: &str = "n, 'Customer ' || n, 'Golden Trading Co. ' || n % 97, n || ' Merchant Road', \
     'Yangon', '+95 9 ' || n * 7919::bigint % 10000000, 'customer' || n || '@example.com', n * 1000, \
     n * 10.5, true, now(), now()";

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Number of changes that wait when a collector starts
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    changes: u32,
    /// Seconds of each run of pgbench
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Connections of pgbench
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Run only one part
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From the commit to the trail
    Delay,
    /// Changes collected in a second
    Rate,
    /// What the trigger costs an UPDATE
    Trigger,
}

/// How soon a change is in the trail.
#[derive(Debug, Serialize)]
struct DelayRow {
    subject: &'static str,
    median_ms: f64,
    p99_ms: f64,
    commits: usize,
}

/// How many changes are collected.
#[derive(Debug, Serialize)]
struct RateRow {
    subject: &'static str,
    changes: u32,
    median_s: f64,
    changes_per_s: f64,
    runs: usize,
}

/// Runs the benchmark and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let json = options.repetition.json;
    let is_wanted = |part| options.only.is_none_or(|only| only == part);
    let mut goals = Vec::new();
    if is_wanted(Part::Delay) {
        let mut rows = postgres::delays(options)?;
        rows.extend(sqlite::delays(options)?);
        let slowest = rows.iter().map(|row| row.median_ms).fold(0.0, f64::max);
        goals.push(Goal {
            what: "a change in the trail at most 50 ms after its commit",
            measured: format!("{slowest} ms"),
            reached: slowest <= 50.0,
        });
        report::print(&rows, json)?;
    }
    if is_wanted(Part::Rate) {
        let mut rows = postgres::rates(options)?;
        rows.extend(sqlite::rates(options)?);
        let slowest = rows.iter().map(|row| row.changes_per_s).fold(f64::INFINITY, f64::min);
        goals.push(Goal {
            what: "at least 20,000 changes/s collected",
            measured: format!("{slowest}/s"),
            reached: slowest >= 20_000.0,
        });
        report::print(&rows, json)?;
    }
    if is_wanted(Part::Trigger) {
        let rows = trigger::rows(options)?;
        goals.push(trigger::goal(&rows));
        report::print(&rows, json)?;
    }
    for goal in goals {
        let reached = if goal.reached { "reached" } else { "not reached" };
        eprintln!("{reached}: {}: {}", goal.what, goal.measured);
    }
    Ok(())
}

fn change(logger: &AuditLogger, number: u32) -> Outcome<EncodedEntry> {
    let (module, action) = (BusinessModule::Crm, AuditAction::Update);
    let change = logger.log_change("Limit raised", module, action, "customer", number.to_string());
    let change = change.user("thida").old_values(json!({ "limit": 500_000 }));
    Ok(change.new_values(json!({ "limit": 1_000_000 })).encode()?)
}

/// Commits changes one after the other and waits for each. Returns the delays.
fn delays(
    subject: &'static str,
    collector: &Collector,
    mut commit: impl FnMut(u32) -> Outcome<()>,
) -> Outcome<DelayRow> {
    const COMMITS: u32 = 300;
    eprintln!("{subject}: {COMMITS} commits");
    let mut times = Vec::new();
    for number in 1..=COMMITS {
        let before = collector.progress().collected;
        commit(number)?;
        let begin = Instant::now();
        if !collector.wait_until(TIMEOUT, |progress| progress.collected > before) {
            return Err(format!("a change is not collected: {:?}", collector.progress()).into());
        }
        times.push(quantile::nanoseconds(begin.elapsed()));
    }
    times.sort_unstable();
    let [median_ms, p99_ms] =
        [500, 990].map(|at| rounded(quantile::float(quantile::per_mille(&times, at)) / 1e6));
    Ok(DelayRow { subject, median_ms, p99_ms, commits: times.len() })
}

/// Waits until a collector has recorded so many changes. Returns how long that took.
fn collected(collector: &Collector, changes: u32, begin: Instant) -> Outcome<f64> {
    let is_done = |collected: u64, refused| collected == u64::from(changes) || refused > 0;
    let is_over = collector.wait_until(TIMEOUT, |progress| is_done(progress.collected, progress.refused));
    let progress = collector.progress();
    if is_over && progress.refused == 0 && progress.error.is_empty() {
        Ok(begin.elapsed().as_secs_f64())
    } else {
        Err(format!("not all of {changes} changes were collected: {progress:?}").into())
    }
}

fn rate(subject: &'static str, changes: u32, seconds: &[f64]) -> RateRow {
    let median = quantile::median(seconds.iter().copied());
    let (median_s, changes_per_s) = (rounded(median), (f64::from(changes) / median).round());
    RateRow { subject, changes, median_s, changes_per_s, runs: seconds.len() }
}

/// Rounds to a hundredth.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}
