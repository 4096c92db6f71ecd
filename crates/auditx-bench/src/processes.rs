//! `processes`: measures several processes that record into one trail, or into one file as other programs do.
//!
//! It counts the lines that were lost, because a call returned and its line is in no file, and the lines that
//! are torn or mixed with others. Goals are printed on standard error.

mod recorder;
mod takeover;

use std::path::Path;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::goal::Goal;
use crate::quantile::{self, float, whole};
use crate::record::SubjectName;
use crate::repetition::Repetition;
use crate::{Outcome, report};
use recorder::Recorder;
pub(crate) use recorder::RunOptions;

const SUBJECTS: [SubjectName; 4] =
    [SubjectName::Auditx, SubjectName::AuditxOs, SubjectName::TracingAppender, SubjectName::Write];

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Calls of each process that records
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    entries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Case {
    /// One process
    Alone,
    /// Two processes have the trail open, and the one that does not write it records
    Beside,
    /// Two processes record
    Two,
    /// Four processes record
    Four,
    /// Two processes record, and the first is killed in the middle
    Killed,
    /// The process that writes is killed; the time until an entry of the other one is durable
    Takeover,
}

impl Case {
    /// Returns how many processes there are, and how many of the last ones record.
    fn processes(self) -> (usize, usize) {
        match self {
            Self::Alone => (1, 1),
            Self::Beside => (2, 1),
            Self::Two | Self::Killed | Self::Takeover => (2, 2),
            Self::Four => (4, 4),
        }
    }
}

/// The medians over the runs of a case; lost and torn lines are those of all runs.
#[derive(Debug, Serialize)]
struct Row {
    case: Case,
    subject: SubjectName,
    p50_ns: u64,
    p99_ns: u64,
    written_per_s: u64,
    takeover_ms: f64,
    lost: u64,
    torn: u64,
    runs: u32,
}

#[derive(Debug, Default)]
struct Run {
    p50_ns: f64,
    p99_ns: f64,
    written_per_s: f64,
    takeover_ms: f64,
    lost: u64,
    torn: u64,
}

/// Records as one of several processes.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    recorder::run(options)
}

/// Runs the benchmark and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let mut cases: Vec<(Case, SubjectName, Vec<Run>)> = Vec::new();
    for case in Case::value_variants() {
        let subjects = if *case == Case::Takeover { &SUBJECTS[..1] } else { &SUBJECTS[..] };
        cases.extend(subjects.iter().map(|subject| (*case, *subject, Vec::new())));
    }
    let parent = options.repetition.parent()?;
    for round in 1..=options.repetition.runs {
        for (case, subject, runs) in &mut cases {
            eprintln!("run {round} of {}: {subject}, {case:?}", options.repetition.runs);
            let directory = tempfile::Builder::new().prefix("auditx-bench-").tempdir_in(&parent)?;
            runs.push(match case {
                Case::Takeover => takeover::measure(directory.path())?,
                _ => one(*case, *subject, options.entries, directory.path())?,
            });
        }
    }
    let rows: Vec<Row> = cases.iter().map(|(case, subject, runs)| row(*case, *subject, runs)).collect();
    for Goal { what, measured, reached } in goals(&rows) {
        eprintln!("{}: {what}: {measured}", if reached { "reached" } else { "not reached" });
    }
    report::print(&rows, options.repetition.json)
}

fn one(case: Case, subject: SubjectName, entries: u64, directory: &Path) -> Outcome<Run> {
    let (processes, recording) = case.processes();
    let mut recorders = (0..processes)
        .map(|_| Recorder::start(subject, entries, directory))
        .collect::<Outcome<Vec<Recorder>>>()?;
    let begin = std::time::Instant::now();
    let active = &mut recorders[processes - recording..];
    active.iter_mut().try_for_each(Recorder::go)?;
    if case == Case::Killed {
        active[0].kill_after(entries / 2)?;
    }
    let figures = active
        .iter_mut()
        .filter_map(|recorder| recorder.figures().transpose())
        .collect::<Outcome<Vec<_>>>()?;
    let elapsed = begin.elapsed().as_secs_f64();
    let mut returned = 0;
    for recorder in recorders {
        returned += recorder.end()?;
    }
    let lines = subject.lines().count(directory)?;
    let torn = subject.lines().torn(directory)?;
    Ok(Run {
        p50_ns: quantile::median(figures.iter().map(|figures| figures.p50_ns)),
        p99_ns: quantile::median(figures.iter().map(|figures| figures.p99_ns)),
        written_per_s: float(lines) / elapsed,
        takeover_ms: 0.0,
        lost: returned.saturating_sub(lines),
        torn,
    })
}

fn row(case: Case, subject: SubjectName, runs: &[Run]) -> Row {
    let median = |figure: fn(&Run) -> f64| quantile::median(runs.iter().map(figure));
    Row {
        case,
        subject,
        p50_ns: whole(median(|run| run.p50_ns)),
        p99_ns: whole(median(|run| run.p99_ns)),
        written_per_s: whole(median(|run| run.written_per_s)),
        takeover_ms: (median(|run| run.takeover_ms) * 100.0).round() / 100.0,
        lost: runs.iter().map(|run| run.lost).sum(),
        torn: runs.iter().map(|run| run.torn).sum(),
        runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
    }
}

fn goals(rows: &[Row]) -> Vec<Goal> {
    let find = |case, subject| rows.iter().find(|row| row.case == case && row.subject == subject);
    let mut goals = Vec::new();
    if let (Some(alone), Some(beside)) =
        (find(Case::Alone, SubjectName::Auditx), find(Case::Beside, SubjectName::Auditx))
    {
        let ratio = float(beside.p50_ns) / float(alone.p50_ns.max(1));
        goals.push(Goal {
            what: "p50 of a producer ≤ 1.1 × that of the writer alone",
            measured: format!("{ratio:.2} ×"),
            reached: ratio <= 1.1,
        });
    }
    if let Some(two) = find(Case::Two, SubjectName::AuditxOs) {
        goals.push(Goal {
            what: "two processes together ≥ 1,200,000 sealed entries/s with `Os`",
            measured: format!("{}/s", two.written_per_s),
            reached: two.written_per_s >= 1_200_000,
        });
    }
    if let Some(takeover) = find(Case::Takeover, SubjectName::Auditx) {
        goals.push(Goal {
            what: "takeover after a kill ≤ 100 ms",
            measured: format!("{:.1} ms", takeover.takeover_ms),
            reached: takeover.takeover_ms <= 100.0,
        });
    }
    let is_ours = |row: &&Row| matches!(row.subject, SubjectName::Auditx | SubjectName::AuditxOs);
    let faults: u64 = rows.iter().filter(is_ours).map(|row| row.lost + row.torn).sum();
    goals.push(Goal {
        what: "no line of auditx is lost or torn",
        measured: faults.to_string(),
        reached: faults == 0,
    });
    goals
}
