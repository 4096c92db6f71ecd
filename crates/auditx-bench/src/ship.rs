//! `ship`: measures how fast a trail is shipped to a database or a stream, compared with its own bulk
//! loading.
//!
//! It prints one row for each subject, with medians over interleaved runs, the ratio to bulk loading, and the
//! peak memory of the shipping process. The server is a real one on this machine with its defaults (it syncs
//! each commit). Both subjects fill the same empty partitioned table with the same indexes, and the rows are
//! counted.

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

pub(crate) use recording::Row as RecordingRow;

/// A time limit far longer than any run takes.
const TIMEOUT: Duration = Duration::from_secs(3_600);

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Number of entries of the trail
    #[arg(long, default_value_t = 300_000)]
    entries: u64,
    /// Stop the shipper after this many lines, to measure its memory with a backlog
    #[arg(long)]
    until: Option<u64>,
    /// Run only one part
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Postgres,
    Jetstream,
    /// The cost of shipping for recording calls
    Recording,
    /// How long shipping pauses when a leader is killed
    Failover,
}

/// Options of one run, in a separate process.
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
pub(crate) struct Row {
    pub(crate) subject: String,
    lines: u64,
    median_s: f64,
    pub(crate) lines_per_s: f64,
    ratio: f64,
    peak_mib: f64,
    /// The size at the destination, indexes included.
    stored_bytes_per_line: f64,
    runs: usize,
}

/// Runs the benchmark and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let json = options.repetition.json;
    let is_wanted = |part| options.only.is_none_or(|only| only == part);
    if is_wanted(Part::Postgres) || is_wanted(Part::Jetstream) {
        report::print(&shipped_rows(options)?, json)?;
    }
    if is_wanted(Part::Recording) {
        report::print(&recording_rows(options)?, json)?;
    }
    if is_wanted(Part::Failover) {
        report::print(&[failover::row(&options.repetition)?], json)?;
    }
    Ok(())
}

/// Measures shipping to the wanted destinations and returns the rows.
pub(crate) fn shipped_rows(options: &Options) -> Outcome<Vec<Row>> {
    let runs = options.repetition.runs;
    let is_wanted = |part| options.only.is_none_or(|only| only == part);
    let directory = options.repetition.directory()?;
    let trail = directory.path().join("trail");
    eprintln!("creating a trail of {} entries", options.entries);
    make::make_trail(&make::Options::plain(trail.clone(), options.entries))?;
    let mut rows = Vec::new();
    if is_wanted(Part::Postgres) {
        rows.extend(postgres::rows(&trail, options.until, runs)?);
    }
    if is_wanted(Part::Jetstream) {
        rows.extend(nats::rows(&trail, options.until, runs)?);
    }
    Ok(rows)
}

/// Measures recording with and without an embedded shipper and returns the rows.
pub(crate) fn recording_rows(options: &Options) -> Outcome<Vec<RecordingRow>> {
    recording::rows(&options.repetition)
}

/// Ships the trail and prints the time and memory it took.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    let begin = Instant::now();
    let settings = Settings::default();
    let shipper = if options.to.starts_with("nats") {
        Shipper::spawn(&options.dir, Nats::new(&options.to)?, settings)?
    } else {
        Shipper::spawn(&options.dir, Postgres::new(&options.to)?, settings)?
    };
    let is_there = shipper.wait_until(begin + TIMEOUT, |progress| {
        progress.next >= options.until || progress.state == State::CaughtUp && progress.signed > 0
    });
    let (seconds, progress) = (begin.elapsed().as_secs_f64(), shipper.progress());
    shipper.stop(Instant::now() + TIMEOUT)?;
    if !is_there || progress.retries.sum() > 0 {
        return Err(format!("shipping did not finish without retries: {progress:?}").into());
    }
    let run = Run { lines: progress.next, seconds, peak_kib: crate::verify::peak_kib()? };
    println!("{}", serde_json::to_string(&run)?);
    Ok(())
}

/// Ships the trail in a separate process, after removing the cursor of the previous run.
fn shipped(trail: &Path, url: &str, until: u64) -> Outcome<Run> {
    let cursors = trail.join(".auditx/cursors");
    for (name, _) in auditx_store::shipper_positions(trail)? {
        std::fs::remove_file(cursors.join(format!("ship-{name}")))?;
    }
    child::report(["ship-run", "--dir", &trail.to_string_lossy(), "--to", url, "--until", &until.to_string()])
}

/// Returns the rows of bulk loading and of shipping.
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
