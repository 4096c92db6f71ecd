//! `http`: measures requests per second with one server worker, and what the server uses for each request: CPU
//! time, also of each of its threads, and allocations.
//!
//! It prints one row for each subject. The server and the load generator are separate processes, and the
//! server reports what it used, including its log threads.

mod actix;
mod audited;
mod axum;
mod load;
mod logging;
mod profile;
mod server;
mod subject;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::repetition::Repetition;
use crate::{Outcome, child, quantile, report};
use load::Load;
pub(crate) use load::LoadOptions;
use profile::Profile;
use server::ServerProcess;
pub(crate) use subject::ServeOptions;
use subject::SubjectName;
use usage::{PerRequest, Usage};

/// The length of a warm-up: long enough for connections, allocators and branch predictors to reach a steady
/// state.
const WARM_UP_SECONDS: f64 = 0.5;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Length of each run
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Keep-alive connections, each with one outstanding request
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Subjects to measure [default: all]
    #[arg(long, value_delimiter = ',')]
    subjects: Vec<SubjectName>,
    /// Then profile one more run of each subject with perf(1), and write a flame graph of its server into
    /// this directory
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) subject: String,
    pub(crate) requests_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// CPU time of the whole server until its log is complete, for each request.
    pub(crate) server_cpu_us: f64,
    allocations: f64,
    resident_mib: f64,
    /// CPU time of each thread under load, for each request.
    threads_us: BTreeMap<String, f64>,
    /// The total over all runs including warm-ups, like `lines`.
    requests: u64,
    lines: u64,
    runs: u32,
}

struct Run {
    load: Load,
    used: PerRequest,
    requests: u64,
    lines: u64,
}

/// Serves one subject until the parent process stops it.
pub(crate) fn serve(options: &ServeOptions) -> Outcome<()> {
    options.subject.serve(&options.dir)
}

/// Generates load on a server and prints the result.
pub(crate) fn load(options: &LoadOptions) -> Outcome<()> {
    load::run(options)
}

/// Runs the benchmark for every subject and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    report::print(&rows(options)?, options.repetition.json)
}

/// Runs the benchmark for every subject and returns the rows.
pub(crate) fn rows(options: &Options) -> Outcome<Vec<Row>> {
    let subjects = match options.subjects.as_slice() {
        [] => SubjectName::value_variants(),
        chosen => chosen,
    };
    let mut cases: Vec<(SubjectName, Vec<Run>)> =
        subjects.iter().map(|subject| (*subject, Vec::new())).collect();
    let directory = options.repetition.parent()?;
    for round in 1..=options.repetition.runs {
        for (subject, runs) in &mut cases {
            eprintln!("run {round} of {}: {subject}", options.repetition.runs);
            runs.push(one(*subject, options, &directory, None)?);
        }
    }
    if let Some(target) = &options.profile {
        std::fs::create_dir_all(target)?;
        for subject in subjects {
            eprintln!("profile: {subject}");
            one(*subject, options, &directory, Some(target))?;
        }
    }
    Ok(cases.iter().map(|(subject, runs)| row(*subject, runs)).collect())
}

fn one(subject: SubjectName, options: &Options, parent: &Path, profile: Option<&Path>) -> Outcome<Run> {
    let directory = tempfile::Builder::new().prefix("auditx-bench-").tempdir_in(parent)?;
    let serve = ServeOptions { subject, dir: directory.path().to_owned() };
    let mut server = ServerProcess::start(serve.to_arguments())?;
    let load_for = |seconds| LoadOptions { port: server.port(), connections: options.connections, seconds };
    let (warm_up, measured) = (load_for(WARM_UP_SECONDS), load_for(options.seconds));

    let warm_up: Load = child::report(warm_up.to_arguments())?;
    let profile = profile.map(|target| Profile::start(server.id(), target)).transpose()?;
    let before = server.usage()?;
    let load: Load = child::report(measured.to_arguments())?;
    let after = server.usage()?;
    if let Some(profile) = profile {
        profile.finish(&subject.to_string())?;
    }
    let end = server.stop()?;
    let used = Usage::per_request(&before, &after, &end, load.requests_as_f64());

    let requests = warm_up.requests + load.requests;
    let lines = match subject.lines() {
        Some(lines) => lines.count(directory.path())?,
        None => 0,
    };
    if subject.lines().is_some() && lines != requests {
        return Err(format!("{subject} answered {requests} requests but wrote {lines} lines").into());
    }
    Ok(Run { load, used, requests, lines })
}

fn row(subject: SubjectName, runs: &[Run]) -> Row {
    let median = |figure: fn(&Run) -> f64| quantile::median(runs.iter().map(figure));
    Row {
        subject: subject.to_string(),
        requests_per_s: median(|run| run.load.requests_per_s).round(),
        p50_us: rounded(median(|run| run.load.p50_us)),
        p99_us: rounded(median(|run| run.load.p99_us)),
        server_cpu_us: rounded(median(|run| run.used.cpu_us)),
        allocations: rounded(median(|run| run.used.allocations)),
        resident_mib: rounded(median(|run| run.used.resident_mib)),
        threads_us: threads(runs),
        requests: runs.iter().map(|run| run.requests).sum(),
        lines: runs.iter().map(|run| run.lines).sum(),
        runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
    }
}

/// Returns the median for each thread that uses a measurable time.
fn threads(runs: &[Run]) -> BTreeMap<String, f64> {
    let names = runs.iter().flat_map(|run| run.used.threads_us.keys());
    let of = |run: &Run, name: &String| run.used.threads_us.get(name).copied().unwrap_or_default();
    names
        .map(|name| (shown(name), rounded(quantile::median(runs.iter().map(|run| of(run, name))))))
        .filter(|(_, time)| *time > 0.0)
        .collect()
}

/// Returns the name of a thread without that of the program or the library.
fn shown(name: &str) -> String {
    let name = if name == env!("CARGO_PKG_NAME") { "main" } else { name };
    name.strip_prefix("auditx-").unwrap_or(name).to_owned()
}

/// Rounds to a hundredth of a microsecond; further digits are noise.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}
