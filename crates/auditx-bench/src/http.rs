//! `http`: measures requests per second with one server worker, and the server's CPU time per request.
//!
//! It prints one row for each subject. The server and the load generator are separate processes, and the
//! server reports its CPU time, including that of its log threads.

mod actix;
mod audited;
mod axum;
mod load;
mod logging;
mod server;
mod subject;

use std::path::Path;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::repetition::Repetition;
use crate::{Outcome, child, quantile, report};
use load::Load;
pub(crate) use load::LoadOptions;
use server::ServerProcess;
pub(crate) use subject::ServeOptions;
use subject::SubjectName;

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
}

#[derive(Debug, Serialize)]
struct Row {
    subject: String,
    requests_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    server_cpu_us: f64,
    /// The total over all runs including warm-ups, like `lines`.
    requests: u64,
    lines: u64,
    runs: u32,
}

struct Run {
    load: Load,
    server_cpu_us: f64,
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
            runs.push(one(*subject, options, &directory)?);
        }
    }
    let rows: Vec<Row> = cases.iter().map(|(subject, runs)| row(*subject, runs)).collect();
    report::print(&rows, options.repetition.json)
}

fn one(subject: SubjectName, options: &Options, parent: &Path) -> Outcome<Run> {
    let directory = tempfile::Builder::new().prefix("auditx-bench-").tempdir_in(parent)?;
    let serve = ServeOptions { subject, dir: directory.path().to_owned() };
    let mut server = ServerProcess::start(serve.to_arguments())?;
    let load_for = |seconds| LoadOptions { port: server.port(), connections: options.connections, seconds };
    let (warm_up, measured) = (load_for(WARM_UP_SECONDS), load_for(options.seconds));

    let warm_up: Load = child::report(warm_up.to_arguments())?;
    let cpu_before = server.cpu_so_far()?;
    let load: Load = child::report(measured.to_arguments())?;
    let cpu_used = server.stop()?.saturating_sub(cpu_before);

    let requests = warm_up.requests + load.requests;
    let lines = match subject.lines() {
        Some(lines) => lines.count(directory.path())?,
        None => 0,
    };
    if subject.lines().is_some() && lines != requests {
        return Err(format!("{subject} answered {requests} requests but wrote {lines} lines").into());
    }
    Ok(Run { server_cpu_us: cpu_used.as_secs_f64() * 1e6 / load.requests_as_f64(), load, requests, lines })
}

fn row(subject: SubjectName, runs: &[Run]) -> Row {
    let median = |figure: fn(&Run) -> f64| quantile::median(runs.iter().map(figure));
    Row {
        subject: subject.to_string(),
        requests_per_s: median(|run| run.load.requests_per_s).round(),
        p50_us: rounded(median(|run| run.load.p50_us)),
        p99_us: rounded(median(|run| run.load.p99_us)),
        server_cpu_us: rounded(median(|run| run.server_cpu_us)),
        requests: runs.iter().map(|run| run.requests).sum(),
        lines: runs.iter().map(|run| run.lines).sum(),
        runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
    }
}

/// Rounds to a hundredth of a microsecond; further digits are noise.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}
