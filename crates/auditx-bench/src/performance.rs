//! `performance`: runs all benchmarks of recording and writes the page docs/PERFORMANCE.md.
//!
//! Every number on the page was measured in this run or describes its machine; the text contains none.

mod goals;
mod machine;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

use crate::record::{Load, SubjectName};
use crate::{Outcome, durable, record};

use machine::Machine;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where to write the page [default: standard output]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Runs of each subject, interleaved; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where to write trails [default: the temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Run shortened benchmarks, as a test
    #[arg(long)]
    short: bool,
}

/// Parses the arguments of the other benchmarks as on the command line.
#[derive(Debug, Parser)]
struct Recording {
    #[command(flatten)]
    options: record::Options,
}

#[derive(Debug, Parser)]
struct Durability {
    #[command(flatten)]
    options: durable::Options,
}

/// Runs the benchmarks and writes the page.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let mut shared = vec!["".to_owned(), "--runs".to_owned(), options.runs.to_string()];
    if let Some(dir) = &options.dir {
        shared.extend(["--dir".to_owned(), dir.to_string_lossy().into_owned()]);
    }
    let mut recording = shared.clone();
    recording.extend(["--load".to_owned(), "burst,sustained,fixed-rate".to_owned()]);
    let mut durability = shared;
    if options.short {
        let less = ["--entries", "20000", "--sustained-entries", "40000", "--seconds", "1"];
        recording.extend(less.map(str::to_owned));
        durability.extend(["--waits", "20"].map(str::to_owned));
    }
    let directory = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let machine = Machine::of_this(&directory);
    let recorded = record::rows(&Recording::try_parse_from(&recording)?.options)?;
    let resolved = durable::rows(&Durability::try_parse_from(&durability)?.options)?;
    let page = page(&machine, options, &recorded, &resolved)?;
    match &options.out {
        Some(path) => std::fs::write(path, page)?,
        None => print!("{page}"),
    }
    Ok(())
}

fn page(
    machine: &Machine,
    options: &Options,
    recorded: &[record::Row],
    resolved: &[durable::Row],
) -> Outcome<String> {
    let mut page = String::from(HEAD);
    let (runs, short) = (options.runs, if options.short { " --short" } else { "" });
    writeln!(
        page,
        "{machine}\n- `cargo xtask bench performance --runs {runs}{short}`; runs are interleaved, \
         figures are medians\n"
    )?;
    page.push_str("## Goals\n\n| goal | measured | |\n|---|---|---|\n");
    for goal in goals::of(recorded, resolved) {
        writeln!(
            page,
            "| {} | {} | {} |",
            goal.what,
            goal.measured,
            if goal.reached { "reached" } else { "**not reached**" }
        )?;
    }
    for (load, title, words) in LOADS {
        writeln!(page, "\n## {title}\n\n{words}\n")?;
        page.push_str(TABLE);
        for row in recorded.iter().filter(|row| row.load == load) {
            let name = name(row.subject);
            let alone = if load == Load::FixedRate { row.call_p999_ns.to_string() } else { String::new() };
            writeln!(
                page,
                "| {name} | {} | {} | {} | {} | {} | {alone} | {} | {} | {} | {} |",
                row.threads,
                row.p50_ns,
                row.p99_ns,
                row.p999_ns,
                row.max_ns,
                row.sealed_per_s,
                row.resident_kib,
                row.file_kib,
                row.stolen_ms
            )?;
        }
    }
    page.push_str(DURABLE);
    for durable::Row { subject, outstanding, entries_per_s, p50_us, p99_us, ratio, .. } in resolved {
        writeln!(page, "| {subject} | {outstanding} | {entries_per_s} | {p50_us} | {p99_us} | {ratio} |")?;
    }
    page.push_str(SETUP);
    for subject in SubjectName::value_variants() {
        writeln!(page, "- **{}**: {}", name(*subject), subject.setup())?;
    }
    Ok(page)
}

/// Returns the name in the tables, in which auditx's configurations are spelled out.
fn name(subject: SubjectName) -> String {
    match subject {
        SubjectName::AuditxOs => "auditx, `Os`".to_owned(),
        SubjectName::AuditxDirect => "auditx, `Direct`".to_owned(),
        other => other.to_string(),
    }
}

const HEAD: &str = "\
# Performance of recording

Written by one run of the benchmark; every number below was measured in it. Compare numbers within one page,
and not across machines. `stolen` is the time that the machine's host took from all processors together, as
the kernel counts it: no program runs meanwhile, and whatever was due is late.

";

const LOADS: [(Load, &str, &str); 3] = [
    (
        Load::Burst,
        "Burst",
        "As fast as the callers can record. `sealed/s` counts entries from the first call until all of them \
         are\nwritten to the file (and, by auditx, hashed and in order).",
    ),
    (
        Load::Sustained,
        "Sustained",
        "The same for longer than any buffer lasts. With auditx's default the disk must store every byte \
         before its\nspace in the journal is free again; under `Os` and in the peers the kernel may keep it.",
    ),
    (
        Load::FixedRate,
        "Fixed rate",
        "Calls are due on a schedule, and latency is measured from the moment a call was due, so that a slow \
         call\nalso delays those after it (no coordinated omission). `alone` is the call itself.",
    ),
];

const SETUP: &str = "
## How each was set up

Each in a process of its own, 23 facts per entry; see `crates/auditx-bench/src/record`.

";

const TABLE: &str = "\
| subject | threads | p50 ns | p99 ns | p99.9 ns | max ns | p99.9 ns alone | sealed/s | resident KiB \
| of it files KiB | stolen ms |
|---|---|---|---|---|---|---|---|---|---|---|
";

const DURABLE: &str = "
## Durable

A receipt resolves once fdatasync(2) has returned. One producer keeps this many receipts open and waits for
the oldest. `ratio` is its median relative to that of fdatasync alone, after a line's worth of bytes, in the
same run.

| subject | receipts open | entries/s | p50 µs | p99 µs | ratio |
|---|---|---|---|---|---|
";
