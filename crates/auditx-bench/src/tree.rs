//! `tree`: measures the cost of the Merkle tree, by comparing this program with a build without hashing.
//!
//! It prints a row for each build and number of threads, with medians over interleaved runs and the share of
//! throughput that remains with hashing.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::record::{SubjectName, run_at};
use crate::repetition::Repetition;
use crate::{Outcome, quantile, report};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Build of this program with RUSTFLAGS='--cfg auditx_stub_hashing'
    #[arg(long, value_name = "FILE")]
    stubbed: PathBuf,
    /// Calls in each run, over all threads
    #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u64).range(1..))]
    entries: u64,
    /// Numbers of calling threads
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    threads: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct Row {
    build: &'static str,
    threads: u64,
    p50_ns: f64,
    sealed_per_s: f64,
    share_of_stubbed: f64,
    runs: u32,
}

/// Runs the benchmark and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let parent = options.repetition.parent()?;
    let this = std::env::current_exe()?;
    let mut rows = Vec::new();
    for threads in &options.threads {
        let (mut hashed, mut stubbed) = (Vec::new(), Vec::new());
        for round in 1..=options.repetition.runs {
            eprintln!("run {round} of {}: {threads} threads", options.repetition.runs);
            let one =
                |program: &Path| run_at(program, SubjectName::Auditx, *threads, options.entries, &parent);
            hashed.push(one(&this)?);
            stubbed.push(one(&options.stubbed)?);
        }
        let median =
            |figures: &[(f64, f64)], pick: fn(&(f64, f64)) -> f64| quantile::median(figures.iter().map(pick));
        let baseline = median(&stubbed, |run| run.1);
        for (build, runs) in [("hashing", &hashed), ("stubbed", &stubbed)] {
            let sealed_per_s = median(runs, |run| run.1);
            rows.push(Row {
                build,
                threads: *threads,
                p50_ns: median(runs, |run| run.0).round(),
                sealed_per_s: sealed_per_s.round(),
                share_of_stubbed: (sealed_per_s / baseline * 1_000.0).round() / 1_000.0,
                runs: options.repetition.runs,
            });
        }
    }
    report::print(&rows, options.repetition.json)
}
