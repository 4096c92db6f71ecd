//! `open`: measures how long it takes to open a trail that was closed normally, by its number of entries.
//!
//! It prints a row for each number of entries, with the median over interleaved runs, each in a separate
//! process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::repetition::Repetition;
use crate::{Outcome, child, facts, quantile, report};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Numbers of entries
    #[arg(long, value_delimiter = ',', default_value = "10000,1000000")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    entries: Vec<u64>,
}

/// Options of one run, in a separate process.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[arg(long)]
    dir: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Run {
    open_ms: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    entries: u64,
    open_ms: f64,
    runs: u32,
}

/// Runs the benchmark and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let mut trails = Vec::new();
    for entries in &options.entries {
        eprintln!("creating a trail of {entries} entries");
        let directory = options.repetition.directory()?;
        make(directory.path(), *entries)?;
        trails.push((*entries, directory, Vec::new()));
    }
    for _ in 0..options.repetition.runs {
        for (_, directory, times) in &mut trails {
            let arguments: [OsString; 3] = ["open-run".into(), "--dir".into(), directory.path().into()];
            let run: Run = child::report(arguments)?;
            times.push(run.open_ms);
        }
    }
    let row = |(entries, _, times): &(u64, tempfile::TempDir, Vec<f64>)| Row {
        entries: *entries,
        open_ms: (quantile::median(times.iter().copied()) * 100.0).round() / 100.0,
        runs: options.repetition.runs,
    };
    report::print(&trails.iter().map(row).collect::<Vec<_>>(), options.repetition.json)
}

fn make(directory: &Path, entries: u64) -> Outcome<()> {
    let logger = AuditLogger::open(Config::new(directory).hostname(facts::HOSTNAME))?;
    let _scope = facts::context()?.enter();
    for call in 0..entries {
        facts::record(&logger, call)?;
    }
    Ok(logger.close(Duration::from_secs(120))?)
}

/// Opens a trail, prints the time that took, and closes it.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    let begin = Instant::now();
    let logger = AuditLogger::open(Config::new(&options.dir).hostname(facts::HOSTNAME))?;
    let open_ms = begin.elapsed().as_secs_f64() * 1_000.0;
    logger.close(Duration::from_secs(120))?;
    println!("{}", serde_json::to_string(&Run { open_ms })?);
    Ok(())
}
