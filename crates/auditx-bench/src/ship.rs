//! `ship`: how fast a trail reaches other engines, beside those engines' own way of loading the same rows in bulk.
//!
//! Comes in: how many entries and how often. Goes out: one row for each subject: medians over interleaved runs, the ratio to the
//! engine's own, and the peak of the shipping process's memory. The server is a real one with its own defaults (it syncs each
//! commit), on this machine; both subjects fill the same empty partitioned table with the same indexes, and the rows are counted.

mod failover;
mod nats;
mod postgres;
mod recording;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use auditx_nats::Nats;
use auditx_postgres::Postgres;
use auditx_ship::{Settings, Shipper, State};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::make;
use crate::repetition::Repetition;
use crate::{Outcome, child, quantile, report};

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
    /// Only one part of it
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Postgres,
    Jetstream,
    /// What shipping costs those who record
    Recording,
    /// How long shipping stands still when a leader is killed
    Failover,
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
    runs: usize,
}

/// Measures and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let (json, runs) = (options.repetition.json, options.repetition.runs);
    let is_wanted = |part| options.only.is_none_or(|only| only == part);
    if is_wanted(Part::Postgres) || is_wanted(Part::Jetstream) {
        let directory = options.repetition.directory()?;
        let trail = directory.path().join("trail");
        eprintln!("making a trail of {} entries", options.entries);
        make::make_trail(&make::Options::plain(trail.clone(), options.entries))?;
        let mut rows = Vec::new();
        if is_wanted(Part::Postgres) {
            rows.extend(postgres::rows(&trail, options.until, runs)?);
        }
        if is_wanted(Part::Jetstream) {
            rows.extend(nats::rows(&trail, options.until, runs)?);
        }
        report::print(&rows, json)?;
    }
    if is_wanted(Part::Recording) {
        report::print(&recording::rows(&options.repetition)?, json)?;
    }
    if is_wanted(Part::Failover) {
        report::print(&[failover::row(&options.repetition)?], json)?;
    }
    Ok(())
}

/// Ships once and prints how long it took and what memory.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    let begin = Instant::now();
    let settings = Settings::default();
    let shipper = if options.to.starts_with("nats") {
        Shipper::spawn(&options.dir, Nats::new(&options.to)?, settings)?
    } else {
        Shipper::spawn(&options.dir, Postgres::new(&options.to)?, settings)?
    };
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

/// One shipping in a process of its own, without the cursor of the one before.
fn shipped(trail: &Path, url: &str, until: u64) -> Outcome<Run> {
    let cursors = trail.join(".auditx/cursors");
    for (name, _) in auditx_core::shipper_positions(trail)? {
        std::fs::remove_file(cursors.join(format!("ship-{name}")))?;
    }
    child::report(["ship-run", "--dir", &trail.to_string_lossy(), "--to", url, "--until", &until.to_string()])
}

/// The engine's own, and ours.
fn compared(names: [&str; 2], theirs: &[f64], ours: &[Run], bytes: u64) -> Vec<Row> {
    let lines = ours.first().map_or(0, |run| run.lines);
    let baseline = quantile::median(theirs.iter().copied());
    let peak = ours.iter().map(|run| run.peak_kib).max().unwrap_or(0);
    let shipping = quantile::median(ours.iter().map(|run| run.seconds));
    [(names[0], baseline, 0), (names[1], shipping, peak)]
        .map(|(subject, median_s, peak_kib)| Row {
            subject: subject.to_owned(),
            lines,
            median_s: rounded(median_s),
            lines_per_s: (float(lines) / median_s).round(),
            ratio: rounded(baseline / median_s),
            peak_mib: rounded(float(peak_kib) / 1024.0),
            stored_bytes_per_line: (float(bytes) / float(lines)).round(),
            runs: ours.len(),
        })
        .into()
}

fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
fn float(whole: u64) -> f64 {
    whole as f64
}
