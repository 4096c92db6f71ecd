//! `durable`: measures how many receipts resolve per second, and how long each takes, with a given number
//! outstanding.
//!
//! It prints one row for each number of receipts, one for a plain write and fdatasync after each line, and
//! one for fdatasync alone. Runs are interleaved, because the speed of a disk varies over time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config, Receipt};
use clap::Args;
use serde::Serialize;

use crate::facts::{self, Facts};
use crate::output::FILE;
use crate::quantile::{self, float, nanoseconds, whole};
use crate::repetition::Repetition;
use crate::{Outcome, report};

/// A time limit far longer than a journal takes to drain.
const CLOSE_LIMIT: Duration = Duration::from_secs(120);

/// About the length of a line.
const LINE: usize = 600;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Numbers of outstanding receipts
    #[arg(long, value_delimiter = ',', default_value = "1,16,256")]
    outstanding: Vec<u64>,
    /// Waits in each run, multiplied by the number of receipts
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..))]
    waits: u64,
}

/// The medians over the runs of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) subject: String,
    pub(crate) outstanding: u64,
    pub(crate) entries_per_s: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// The ratio of the median to that of fdatasync alone.
    pub(crate) ratio: f64,
    pub(crate) entries: u64,
    pub(crate) runs: u32,
}

#[derive(Debug, Clone, Copy)]
enum Case {
    Receipts(u64),
    ByHand,
    Fdatasync,
}

struct Run {
    latencies: Vec<u64>,
    elapsed: Duration,
}

/// Runs the benchmark and prints the rows.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    report::print(&rows(options)?, options.repetition.json)
}

/// Runs the benchmark and returns the rows.
pub(crate) fn rows(options: &Options) -> Outcome<Vec<Row>> {
    let mut cases: Vec<(Case, Vec<Run>)> = options
        .outstanding
        .iter()
        .map(|outstanding| Case::Receipts(*outstanding))
        .chain([Case::ByHand, Case::Fdatasync])
        .map(|case| (case, Vec::new()))
        .collect();
    for round in 1..=options.repetition.runs {
        for (case, runs) in &mut cases {
            eprintln!("run {round} of {}: {case:?}", options.repetition.runs);
            let directory = options.repetition.directory()?;
            runs.push(case.run(directory.path(), options.waits)?);
        }
    }
    let alone = cases.last().map_or(0.0, |(_, runs)| median(runs, 500));
    Ok(cases.iter().map(|(case, runs)| row(*case, runs, alone)).collect())
}

impl Case {
    fn run(self, directory: &Path, waits: u64) -> Outcome<Run> {
        match self {
            Self::Receipts(outstanding) => receipts(directory, outstanding, waits * outstanding),
            Self::ByHand => by_hand(directory, waits),
            Self::Fdatasync => fdatasync(directory, waits),
        }
    }
}

/// Runs one producer: with this number of receipts outstanding, it waits for the oldest before it records the
/// next entry.
fn receipts(directory: &Path, outstanding: u64, entries: u64) -> Outcome<Run> {
    let logger = AuditLogger::open(Config::new(directory).hostname(facts::HOSTNAME))?;
    let _scope = facts::context()?.enter();
    let mut latencies = Vec::with_capacity(usize::try_from(entries)?);
    let mut waiting: VecDeque<(Instant, Receipt)> = VecDeque::new();
    let resolve = |waiting: &mut VecDeque<(Instant, Receipt)>, latencies: &mut Vec<u64>| -> Outcome<()> {
        if let Some((begin, receipt)) = waiting.pop_front() {
            receipt.wait_durable()?;
            latencies.push(nanoseconds(begin.elapsed()));
        }
        Ok(())
    };
    let start = Instant::now();
    for call in 0..entries {
        if waiting.len() as u64 == outstanding {
            resolve(&mut waiting, &mut latencies)?;
        }
        let begin = Instant::now();
        waiting.push_back((begin, facts::receipt(&logger, call)?));
    }
    while !waiting.is_empty() {
        resolve(&mut waiting, &mut latencies)?;
    }
    let elapsed = start.elapsed();
    logger.close(CLOSE_LIMIT)?;
    Ok(Run { latencies, elapsed })
}

/// Runs the straightforward implementation of durable lines: write and fdatasync for each line.
fn by_hand(directory: &Path, entries: u64) -> Outcome<Run> {
    let mut file = File::options().create(true).append(true).open(directory.join(FILE))?;
    let (mut latencies, mut line) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for call in 0..entries {
        let begin = Instant::now();
        line.clear();
        serde_json::to_writer(&mut line, &Facts::of(call))?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_data()?;
        latencies.push(nanoseconds(begin.elapsed()));
    }
    Ok(Run { latencies, elapsed: start.elapsed() })
}

/// Runs fdatasync alone, each after appending as many bytes as a line has.
fn fdatasync(directory: &Path, count: u64) -> Outcome<Run> {
    let mut file = File::options().create(true).append(true).open(directory.join(FILE))?;
    let mut latencies = Vec::new();
    let start = Instant::now();
    for _ in 0..count {
        file.write_all(&[b'x'; LINE])?;
        let begin = Instant::now();
        file.sync_data()?;
        latencies.push(nanoseconds(begin.elapsed()));
    }
    Ok(Run { latencies, elapsed: start.elapsed() })
}

fn row(case: Case, runs: &[Run], alone: f64) -> Row {
    let (subject, outstanding) = match case {
        Case::Receipts(outstanding) => ("auditx", outstanding),
        Case::ByHand => ("write + fdatasync", 1),
        Case::Fdatasync => ("fdatasync alone", 1),
    };
    let rate = |run: &Run| float(run.latencies.len() as u64) / run.elapsed.as_secs_f64();
    let p50 = median(runs, 500);
    Row {
        subject: subject.to_owned(),
        outstanding,
        entries_per_s: whole(quantile::median(runs.iter().map(rate))),
        p50_us: rounded(p50 / 1_000.0),
        p99_us: rounded(median(runs, 990) / 1_000.0),
        ratio: rounded(p50 / alone.max(1.0)),
        entries: runs.first().map_or(0, |run| run.latencies.len() as u64),
        runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
    }
}

/// Returns the median of a quantile over the runs.
fn median(runs: &[Run], per_mille: usize) -> f64 {
    quantile::median(runs.iter().map(|run| {
        let mut sorted = run.latencies.clone();
        sorted.sort_unstable();
        float(quantile::per_mille(&sorted, per_mille))
    }))
}

fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_receipt_resolves_and_its_latency_is_counted() {
        for outstanding in [1, 7] {
            let directory = tempfile::tempdir().unwrap();
            let run = Case::Receipts(outstanding).run(directory.path(), 5).unwrap();
            assert_eq!(run.latencies.len() as u64, 5 * outstanding);
            assert!(run.latencies.iter().all(|latency| *latency > 0));
        }
    }

    #[test]
    fn a_ratio_is_of_medians() {
        let run = |latencies: &[u64]| Run { latencies: latencies.to_vec(), elapsed: Duration::from_secs(1) };
        let row = row(Case::Receipts(1), &[run(&[4_000, 1]), run(&[8_000, 2, 9_000])], 2_000.0);
        assert_eq!((row.p50_us, row.ratio, row.entries), (4.0, 2.0, 2));
    }
}
