//! `read`: how long the command `auditx` takes to answer, beside ripgrep, grep, jq and DuckDB on the same files.
//!
//! Comes in: a trail or how large to make one, and how often. Goes out: one row for each question and program: medians over
//! interleaved runs of whole processes, and the most memory any run took; on standard error, which goals were reached. The files
//! are warm: they are read once to count plainly what each program must find, and every program runs once before it is measured.
//! A run that finds anything else fails the whole measurement; a peer that is not installed is left out.

mod call;
mod goals;
mod plain;
mod run;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;
use serde::Serialize;

use crate::make::{self, make_trail};
use crate::repetition::Repetition;
use crate::{Outcome, quantile, report};

use call::Call;
use plain::Trail;

pub(crate) use run::{RunOptions, run};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Entries of the trail that is made
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    entries: u64,
    /// A trail that `make` made, instead of a new one
    #[arg(long, value_name = "DIR", conflicts_with = "entries")]
    trail: Option<PathBuf>,
    /// The command [default: the `auditx` beside this program]
    #[arg(long, value_name = "FILE")]
    auditx: Option<PathBuf>,
    /// A Python that has the package `duckdb`
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
}

/// The programs that are there.
#[derive(Debug)]
struct Programs {
    auditx: PathBuf,
    rg: bool,
    grep: bool,
    jq: bool,
    duckdb: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Row {
    subject: &'static str,
    program: &'static str,
    median_s: f64,
    /// To the peer that the question is held against.
    ratio: Option<f64>,
    /// What the query took within the program, where it says so.
    inside_s: Option<f64>,
    /// Text of the trail per second, where all of it is shown.
    gb_per_s: Option<f64>,
    peak_mib: f64,
    found: u64,
    runs: usize,
}

/// Measures and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let rows = rows(options)?;
    for goal in goals::of(&rows) {
        let reached = if goal.reached { "reached" } else { "not reached" };
        eprintln!("{reached}: {}: {}", goal.what, goal.measured);
    }
    report::print(&rows, options.repetition.json)
}

fn rows(options: &Options) -> Outcome<Vec<Row>> {
    let programs = options.programs()?;
    let made = options.repetition.directory()?;
    let directory = match &options.trail {
        Some(trail) => trail.clone(),
        None => {
            eprintln!("making a trail of {} entries", options.entries);
            make_trail(&make::Options::plain(made.path().to_owned(), options.entries))?;
            made.path().to_owned()
        }
    };
    let trail = Trail::read(&directory)?;
    eprintln!("{trail}");
    let calls = call::all(&trail, &programs);
    for call in calls.iter().filter(|call| !call.once) {
        call.run()?;
    }
    let mut measured: Vec<Vec<run::Run>> = calls.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.repetition.runs {
        eprintln!("run {round} of {}", options.repetition.runs);
        for (call, runs) in calls.iter().zip(&mut measured) {
            if round == 1 || !call.once {
                runs.push(call.run()?);
            }
        }
    }
    let rows = calls.iter().zip(&measured).map(|(call, runs)| row(call, runs, trail.bytes));
    Ok(with_ratios(rows.collect()))
}

fn row(call: &Call, runs: &[run::Run], bytes: u64) -> Row {
    let median_s = quantile::median(runs.iter().map(|run| run.seconds));
    let inside: Vec<f64> = runs.iter().filter_map(call::inside_s).collect();
    let peak = runs.iter().map(|run| run.peak_kib).max().unwrap_or(0);
    Row {
        subject: call.subject,
        program: call.program,
        median_s: rounded(median_s),
        ratio: None,
        inside_s: (!inside.is_empty()).then(|| rounded(quantile::median(inside))),
        gb_per_s: (call.subject == "table-all").then(|| rounded(quantile::float(bytes) / 1e9 / median_s)),
        peak_mib: (quantile::float(peak) / 1024.0 * 10.0).round() / 10.0,
        found: call.expected.found(),
        runs: runs.len(),
    }
}

/// Each row held against the peer of its subject, where that was measured.
fn with_ratios(mut rows: Vec<Row>) -> Vec<Row> {
    let baselines: Vec<Option<f64>> = rows
        .iter()
        .map(|row| {
            let peer = if row.subject == "count-by-user" { "duckdb" } else { "rg" };
            rows.iter().find(|other| other.subject == row.subject && other.program == peer)
        })
        .map(|peer| peer.map(|row| row.median_s))
        .collect();
    for (row, baseline) in rows.iter_mut().zip(baselines) {
        row.ratio = baseline.map(|baseline| rounded(row.median_s / baseline));
    }
    rows
}

impl Options {
    fn programs(&self) -> Outcome<Programs> {
        let auditx = match &self.auditx {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("auditx"),
        };
        if !auditx.exists() {
            let advice = "`cargo build --release -p auditx-cli` builds it; --auditx says where it is";
            return Err(format!("there is no {}: {advice}", auditx.display()).into());
        }
        let is_there = |name: &str| answers(name, Command::new(name).arg("--version"));
        let has_duckdb =
            answers("duckdb (see --python)", Command::new(&self.python).args(["-c", "import duckdb"]));
        Ok(Programs {
            auditx,
            rg: is_there("rg"),
            grep: is_there("grep"),
            jq: is_there("jq"),
            duckdb: has_duckdb.then(|| self.python.clone()),
        })
    }
}

fn answers(name: &str, command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = status.is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("left out, as it is not installed: {name}");
    }
    is_there
}

/// To a tenth of a millisecond.
fn rounded(figure: f64) -> f64 {
    (figure * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_is_held_against_the_peer_of_its_question() {
        let row = |(subject, program, median_s)| Row {
            subject,
            program,
            median_s,
            ratio: None,
            inside_s: None,
            gb_per_s: None,
            peak_mib: 1.0,
            found: 1,
            runs: 1,
        };
        let rows = [
            ("entity", "auditx", 0.1),
            ("entity", "rg", 0.2),
            ("count-by-user", "auditx", 3.0),
            ("count-by-user", "duckdb", 1.5),
            ("tail-50", "auditx", 0.1),
        ];
        let ratios: Vec<_> = with_ratios(rows.map(row).into()).iter().map(|row| row.ratio).collect();
        assert_eq!(ratios, [Some(0.5), Some(1.0), Some(2.0), Some(1.0), None]);
    }
}
