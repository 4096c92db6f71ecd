//! `record`: what one call costs its caller, and how many entries a second reach the file.
//!
//! Comes in: how many entries, threads and runs. Goes out: one row for each subject and number of threads.
//! Rounds are interleaved (the first run of each subject, then the second of each), so that a machine that
//! grows slower does so for all of them.

mod auditx;
mod run;
mod slog_async;
mod subject;
mod tracing_appender;
mod write;

use std::path::Path;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::repetition::Repetition;
use crate::{Outcome, child, quantile, report};
use run::Run;
pub(crate) use run::RunOptions;
pub(crate) use subject::SubjectName;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Calls in each run, over all its threads
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    entries: u64,
    /// Numbers of calling threads
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    threads: Vec<u64>,
    /// Only these subjects
    #[arg(long, value_delimiter = ',')]
    subjects: Vec<SubjectName>,
}

#[derive(Debug, Serialize)]
struct Row {
    subject: String,
    threads: u64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    sealed_per_s: u64,
    entries: u64,
    lines: u64,
    runs: u32,
}

/// Runs a measurement.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    run::run(options)
}

/// Measures every subject and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let subjects = match options.subjects.as_slice() {
        [] => SubjectName::value_variants(),
        chosen => chosen,
    };
    let mut cases: Vec<(u64, SubjectName, Vec<Run>)> = Vec::new();
    for threads in &options.threads {
        cases.extend(subjects.iter().map(|subject| (*threads, *subject, Vec::new())));
    }
    let directory = options.repetition.parent()?;
    for round in 1..=options.repetition.runs {
        for (threads, subject, runs) in &mut cases {
            eprintln!("run {round} of {}: {subject}, {threads} threads", options.repetition.runs);
            runs.push(one(*subject, *threads, options.entries, &directory)?);
        }
    }
    let rows: Vec<Row> = cases.iter().map(|(threads, subject, runs)| row(*subject, *threads, runs)).collect();
    report::print(&rows, options.repetition.json)
}

/// One run by another build of this program: median nanoseconds of a call, entries a second.
pub(crate) fn run_at(
    program: &Path,
    subject: SubjectName,
    threads: u64,
    entries: u64,
    parent: &Path,
) -> Outcome<(f64, f64)> {
    let run = one_by(program, subject, threads, entries, parent)?;
    Ok((run.p50_ns, run.sealed_per_s))
}

fn one(subject: SubjectName, threads: u64, entries: u64, parent: &Path) -> Outcome<Run> {
    one_by(&std::env::current_exe()?, subject, threads, entries, parent)
}

fn one_by(program: &Path, subject: SubjectName, threads: u64, entries: u64, parent: &Path) -> Outcome<Run> {
    let directory = tempfile::Builder::new().prefix("auditx-bench-").tempdir_in(parent)?;
    let options = RunOptions { subject, threads, entries, dir: directory.path().to_owned() };
    let mut run: Run = child::report_of(child::command_of(program, options.to_arguments()))?;
    run.lines = subject.lines().count(directory.path())?;
    if run.lines == entries {
        return Ok(run);
    }
    Err(format!("{subject} was called {entries} times and left {} lines", run.lines).into())
}

fn row(subject: SubjectName, threads: u64, runs: &[Run]) -> Row {
    let median = |figure: fn(&Run) -> f64| whole(quantile::median(runs.iter().map(figure)));
    Row {
        subject: subject.to_string(),
        threads,
        p50_ns: median(|run| run.p50_ns),
        p99_ns: median(|run| run.p99_ns),
        p999_ns: median(|run| run.p999_ns),
        sealed_per_s: median(|run| run.sealed_per_s),
        entries: runs.first().map_or(0, |run| run.entries),
        lines: runs.first().map_or(0, |run| run.lines),
        runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are positive and far from the limit"
)]
fn whole(figure: f64) -> u64 {
    figure.round() as u64
}
