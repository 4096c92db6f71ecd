//! `record`: measures the cost of a call to its caller, and how many entries per second reach the file.
//!
//! It prints one row for each subject and number of threads. Runs are interleaved (the first run of each
//! subject, then the second of each), so that a machine that becomes slower affects all of them.

mod auditx;
mod run;
mod slog_async;
mod stolen;
mod subject;
mod tracing_appender;
mod write;

use std::path::Path;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::quantile::{self, whole};
use crate::repetition::Repetition;
use crate::{Outcome, child, report};
use run::Run;
pub(crate) use run::RunOptions;
pub(crate) use subject::SubjectName;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Loads to run
    #[arg(long, value_delimiter = ',', default_value = "burst")]
    load: Vec<Load>,
    /// Calls in each burst, over all threads
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    entries: u64,
    /// Calls in each sustained run
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..))]
    sustained_entries: u64,
    /// Calls per second at a fixed rate, over all threads [default: 100000, with cold caches 5000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Duration of a fixed rate in seconds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Numbers of calling threads
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    threads: Vec<u64>,
    /// Subjects to measure [default: all]
    #[arg(long, value_delimiter = ',')]
    subjects: Vec<SubjectName>,
}

/// When calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Load {
    /// As fast as possible, for less than a second
    Burst,
    /// As fast as possible, for longer than any buffer lasts
    Sustained,
    /// At a fixed rate; latencies are counted from the time at which a call was due
    FixedRate,
    /// The same, with other work between calls, which leaves nothing of a call in the caches of the
    /// processor
    Cold,
}

/// The medians over the runs of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) load: Load,
    pub(crate) subject: SubjectName,
    pub(crate) threads: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
    /// The duration of the calls themselves, at a fixed rate.
    pub(crate) call_p999_ns: u64,
    pub(crate) sealed_per_s: u64,
    pub(crate) resident_kib: u64,
    pub(crate) file_kib: u64,
    /// The time stolen by the machine's host, from all processors together.
    pub(crate) stolen_ms: u64,
    pub(crate) entries: u64,
    pub(crate) lines: u64,
    pub(crate) runs: u32,
}

/// A combination of subject, load and threads.
#[derive(Debug, Clone, Copy)]
struct Case {
    load: Load,
    threads: u64,
    subject: SubjectName,
    entries: u64,
    rate: Option<u64>,
}

impl Options {
    fn cases(&self) -> Vec<Case> {
        let subjects = match self.subjects.as_slice() {
            [] => SubjectName::value_variants(),
            chosen => chosen,
        };
        let mut cases = Vec::new();
        for load in &self.load {
            let (entries, rate) = match load {
                Load::Burst => (self.entries, None),
                Load::Sustained => (self.sustained_entries, None),
                Load::FixedRate | Load::Cold => {
                    let usual = if *load == Load::Cold { 5_000 } else { 100_000 };
                    let rate = self.rate.unwrap_or(usual);
                    (rate * self.seconds, Some(rate))
                }
            };
            for threads in &self.threads {
                let case = |subject: &SubjectName| Case {
                    load: *load,
                    threads: *threads,
                    subject: *subject,
                    entries,
                    rate,
                };
                cases.extend(subjects.iter().map(case));
            }
        }
        cases
    }
}

/// Runs one measurement.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    run::run(options)
}

/// Runs the benchmark for every subject and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    report::print(&rows(options)?, options.repetition.json)
}

/// Runs the benchmark for every subject and returns the rows.
pub(crate) fn rows(options: &Options) -> Outcome<Vec<Row>> {
    let mut cases: Vec<(Case, Vec<Run>)> =
        options.cases().into_iter().map(|case| (case, Vec::new())).collect();
    let directory = options.repetition.parent()?;
    for round in 1..=options.repetition.runs {
        for (case, runs) in &mut cases {
            let Case { load, threads, subject, .. } = case;
            eprintln!("run {round} of {}: {subject}, {load:?}, {threads} threads", options.repetition.runs);
            runs.push(one(case, &directory)?);
        }
    }
    Ok(cases.iter().map(|(case, runs)| row(case, runs)).collect())
}

fn one(case: &Case, parent: &Path) -> Outcome<Run> {
    let directory = tempfile::Builder::new().prefix("auditx-bench-").tempdir_in(parent)?;
    let Case { load, subject, threads, entries, rate } = *case;
    let (cold, dir) = (load == Load::Cold, directory.path().to_owned());
    let options = RunOptions { subject, threads, entries, rate, cold, dir };
    let mut run: Run =
        child::report_of(child::command_of(&std::env::current_exe()?, options.to_arguments()))?;
    run.lines = subject.lines().count(directory.path())?;
    if run.lines == entries {
        return Ok(run);
    }
    Err(format!("{subject} was called {entries} times but wrote {} lines", run.lines).into())
}

fn row(case: &Case, runs: &[Run]) -> Row {
    let median = |figure: fn(&Run) -> f64| whole(quantile::median(runs.iter().map(figure)));
    let middle = |figure: fn(&Run) -> u64| {
        let mut figures: Vec<u64> = runs.iter().map(figure).collect();
        figures.sort_unstable();
        quantile::per_mille(&figures, 500)
    };
    Row {
        load: case.load,
        subject: case.subject,
        threads: case.threads,
        p50_ns: median(|run| run.p50_ns),
        p99_ns: median(|run| run.p99_ns),
        p999_ns: median(|run| run.p999_ns),
        max_ns: median(|run| run.max_ns),
        call_p999_ns: median(|run| run.call_p999_ns),
        sealed_per_s: median(|run| run.sealed_per_s),
        resident_kib: middle(|run| run.memory.resident),
        file_kib: middle(|run| run.memory.file),
        stolen_ms: middle(|run| run.stolen_ms),
        entries: runs.first().map_or(0, |run| run.entries),
        lines: runs.first().map_or(0, |run| run.lines),
        runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
    }
}
