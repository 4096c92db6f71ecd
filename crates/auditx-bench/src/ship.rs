//! `ship`: how fast a trail reaches other engines, beside those engines' own way of loading the same rows in bulk.
//!
//! Comes in: how many entries and how often. Goes out: one row for each subject: medians over interleaved runs, the ratio to the
//! engine's own, and the peak of the shipping process's memory. The server is a real one with its own defaults (it syncs each
//! commit), on this machine; both subjects fill the same empty partitioned table with the same indexes, and the rows are counted.

mod postgres;
mod recording;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use auditx_postgres::Postgres;
use auditx_ship::{Settings, Shipper, State};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::make;
use crate::repetition::Repetition;
use crate::{Outcome, report};

/// Far longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Entries of the trail
    #[arg(long, default_value_t = 300_000)]
    entries: u64,
    /// Ends a shipper after so many lines: its memory is measured with the rest as a backlog
    #[arg(long)]
    until: Option<u64>,
    /// Only what shipping costs those who record
    #[arg(long)]
    only_recording: bool,
}

/// One shipping, in a process of its own.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    to: String,
    #[arg(long)]
    until: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Run {
    lines: u64,
    seconds: f64,
    peak_kib: u64,
}

#[derive(Debug, Serialize)]
struct Row {
    subject: String,
    lines: u64,
    median_s: f64,
    lines_per_s: f64,
    ratio: f64,
    peak_mib: f64,
    /// In the engine, indexes included.
    stored_bytes_per_line: f64,
    runs: u32,
}

/// Measures and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let json = options.repetition.json;
    if !options.only_recording {
        let directory = options.repetition.directory()?;
        let trail = directory.path().join("trail");
        eprintln!("making a trail of {} entries", options.entries);
        make::make_trail(&make::Options::plain(trail.clone(), options.entries))?;
        report::print(&postgres::rows(&trail, options.until, options.repetition.runs)?, json)?;
    }
    report::print(&recording::rows(&options.repetition)?, json)
}

/// Ships once and prints how long it took and what memory.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    let begin = Instant::now();
    let shipper = Shipper::spawn(&options.dir, Postgres::new(&options.to)?, Settings::default())?;
    let is_there = shipper.wait_until(begin + PATIENCE, |progress| {
        progress.next >= options.until || progress.state == State::CaughtUp && progress.signed > 0
    });
    let (seconds, progress) = (begin.elapsed().as_secs_f64(), shipper.progress());
    shipper.stop(Instant::now() + PATIENCE)?;
    if !is_there || progress.retries.sum() > 0 {
        return Err(format!("shipping was disturbed: {progress:?}").into());
    }
    let run = Run { lines: progress.next, seconds, peak_kib: crate::verify::peak_kib()? };
    println!("{}", serde_json::to_string(&run)?);
    Ok(())
}

fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
fn float(whole: u64) -> f64 {
    whole as f64
}
