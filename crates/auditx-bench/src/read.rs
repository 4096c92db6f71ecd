//! `read`: measures queries of the command `auditx`, compared with ripgrep, grep, jq and DuckDB on the same
//! files.
//!
//! It prints one row for each query and program, with medians over interleaved runs of whole processes and
//! the peak memory of any run; the goals go to standard error. The files are in the page cache: they are read
//! once to count what each program must find, and every program runs once before it is measured. If a run
//! finds anything else, the whole benchmark fails. Programs that are not installed are skipped.

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

pub(crate) use goals::of as goals;
pub(crate) use run::{RunOptions, run};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Number of entries of the trail to create
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    entries: u64,
    /// Trail created with `make`, to use instead of a new one
    #[arg(long, value_name = "DIR", conflicts_with = "entries")]
    trail: Option<PathBuf>,
    /// Path of the command [default: the `auditx` in the directory of this program]
    #[arg(long, value_name = "FILE")]
    auditx: Option<PathBuf>,
    /// Python with the package `duckdb`
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
}

/// The installed programs.
#[derive(Debug)]
struct Programs {
    auditx: PathBuf,
    rg: bool,
    grep: bool,
    jq: bool,
    duckdb: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) subject: &'static str,
    pub(crate) program: &'static str,
    pub(crate) median_s: f64,
    /// The ratio to the program with which this query is compared.
    ratio: Option<f64>,
    /// The duration of the query itself, if the program reports it.
    inside_s: Option<f64>,
    /// Text of the trail per second, for queries that print all of it.
    gb_per_s: Option<f64>,
    peak_mib: f64,
    found: u64,
    runs: usize,
}

/// Runs the benchmark and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let rows = rows(options)?;
    for goal in goals(&rows) {
        let reached = if goal.reached { "reached" } else { "not reached" };
        eprintln!("{reached}: {}: {}", goal.what, goal.measured);
    }
    report::print(&rows, options.repetition.json)
}

/// Runs the benchmark and returns the rows.
pub(crate) fn rows(options: &Options) -> Outcome<Vec<Row>> {
    let programs = options.programs()?;
    let made = options.repetition.directory()?;
    let directory = match &options.trail {
        Some(trail) => trail.clone(),
        None => {
            eprintln!("creating a trail of {} entries", options.entries);
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

/// Adds the ratio of each row to the program with which its query is compared, if that was measured.
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
            let remedy =
                "build it with `cargo build --release -p auditx-cli`, or pass its path with --auditx";
            return Err(format!("{} does not exist; {remedy}", auditx.display()).into());
        }
        let is_installed = |name: &str| runs(name, Command::new(name).arg("--version"));
        let has_duckdb =
            runs("duckdb (see --python)", Command::new(&self.python).args(["-c", "import duckdb"]));
        Ok(Programs {
            auditx,
            rg: is_installed("rg"),
            grep: is_installed("grep"),
            jq: is_installed("jq"),
            duckdb: has_duckdb.then(|| self.python.clone()),
        })
    }
}

fn runs(name: &str, command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = status.is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("skipped, because it is not installed: {name}");
    }
    is_there
}

/// Rounds to a tenth of a millisecond.
fn rounded(figure: f64) -> f64 {
    (figure * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_is_compared_with_the_peer_of_its_query() {
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
