//! `performance`: runs the benchmarks and writes the page docs/PERFORMANCE.md and its pictures.
//!
//! Every number on the page was measured in this run or describes its machine; the text contains none.

mod goals;
mod machine;
mod pictures;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, ValueEnum};
use serde::Serialize;

use crate::record::{Load, SubjectName};
use crate::{Outcome, durable, http, read, record, report, ship, verify};

use machine::Machine;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where to write the page, and its pictures to `images` beside it [default: only the page, to standard
    /// output]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Sections to measure [default: all]
    #[arg(long, value_delimiter = ',')]
    only: Vec<Section>,
    /// Runs of each subject, interleaved; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where to write trails [default: the temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Python with the package `duckdb`, for reading
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
    /// Run shortened benchmarks, as a test
    #[arg(long)]
    short: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    Recording,
    Durable,
    Http,
    Reading,
    Verifying,
    Shipping,
}

/// The rows of all benchmarks that were run.
#[derive(Debug, Default)]
struct Results {
    recorded: Vec<record::Row>,
    resolved: Vec<durable::Row>,
    served: Vec<http::Row>,
    queried: Vec<read::Row>,
    verified: Vec<verify::Row>,
    shipped: Vec<ship::Row>,
    recorded_while_shipping: Vec<ship::RecordingRow>,
}

/// Parses the options of another benchmark as on the command line.
#[derive(Debug, Parser)]
struct Parsed<O: Args> {
    #[command(flatten)]
    options: O,
}

/// Runs the benchmarks and writes the page.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let directory = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let machine = Machine::of_this(&directory);
    let results = options.run()?;
    let page = page(&machine, options, &results)?;
    let Some(path) = &options.out else {
        print!("{page}");
        return Ok(());
    };
    std::fs::write(path, page)?;
    let images = path.parent().unwrap_or(Path::new("")).join("images");
    std::fs::create_dir_all(&images)?;
    for (name, picture) in pictures::of(&results) {
        std::fs::write(images.join(name), picture)?;
    }
    Ok(())
}

impl Options {
    fn run(&self) -> Outcome<Results> {
        let mut results = Results::default();
        if self.wants(Section::Recording) {
            let loads = ["--load", "burst,sustained,fixed-rate,cold"];
            let short = ["--entries", "20000", "--sustained-entries", "40000", "--seconds", "1"];
            results.recorded = record::rows(&self.parsed(&loads, &short)?)?;
        }
        if self.wants(Section::Durable) {
            results.resolved = durable::rows(&self.parsed(&[], &["--waits", "20"])?)?;
        }
        if self.wants(Section::Http) {
            results.served = http::rows(&self.parsed(&[], &["--seconds", "0.2"])?)?;
        }
        if self.wants(Section::Reading) {
            let python = self.python.to_string_lossy();
            results.queried = read::rows(&self.parsed(&["--python", &python], &["--entries", "20000"])?)?;
        }
        if self.wants(Section::Verifying) {
            let sizes = if self.short { "10" } else { "1000" };
            results.verified = verify::rows(&self.parsed(&["--megabytes", sizes], &[])?)?;
        }
        if self.wants(Section::Shipping) {
            let options: ship::Options = self.parsed(&[], &["--entries", "2000"])?;
            results.shipped = ship::shipped_rows(&options)?;
            results.recorded_while_shipping = ship::recording_rows(&options)?;
        }
        Ok(results)
    }

    fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }

    fn parsed<O: Args>(&self, arguments: &[&str], short: &[&str]) -> Outcome<O> {
        let mut all = vec![String::new(), "--runs".to_owned(), self.runs.to_string()];
        if let Some(dir) = &self.dir {
            all.extend(["--dir".to_owned(), dir.to_string_lossy().into_owned()]);
        }
        let short = if self.short { short } else { &[] };
        all.extend(arguments.iter().chain(short).map(|&argument| argument.to_owned()));
        Ok(Parsed::try_parse_from(all)?.options)
    }
}

fn page(machine: &Machine, options: &Options, results: &Results) -> Outcome<String> {
    let mut page = String::from(HEAD);
    let (runs, short) = (options.runs, if options.short { " --short" } else { "" });
    writeln!(
        page,
        "{machine}\n- `cargo xtask bench performance --runs {runs}{short}`; runs are interleaved, \
         figures are medians\n"
    )?;
    page.push_str("## Goals\n\n| goal | measured | |\n|---|---|---|\n");
    for goal in goals::of(results) {
        let reached = if goal.reached { "reached" } else { "**not reached**" };
        writeln!(page, "| {} | {} | {reached} |", goal.what, goal.measured)?;
    }
    if !results.recorded.is_empty() {
        page.push_str(RECORDING);
    }
    for (load, title, words) in LOADS {
        let rows: Vec<&record::Row> = results.recorded.iter().filter(|row| row.load == load).collect();
        push(&mut page, &format!("\n### {title}\n\n{words}\n"), &rows)?;
    }
    push(&mut page, DURABLE, &results.resolved)?;
    push(&mut page, HTTP, &results.served)?;
    push(&mut page, READING, &results.queried)?;
    push(&mut page, VERIFYING, &results.verified)?;
    push(&mut page, SHIPPING, &results.shipped)?;
    push(&mut page, WHILE_SHIPPING, &results.recorded_while_shipping)?;
    if !results.recorded.is_empty() {
        page.push_str(SETUP);
        for subject in SubjectName::value_variants() {
            writeln!(page, "- **{subject}**: {}", subject.setup())?;
        }
    }
    Ok(CONFIGURATIONS.iter().fold(page, |page, (name, words)| page.replace(name, words)))
}

/// The names of auditx's configurations, and their words on the page.
const CONFIGURATIONS: [(&str, &str); 3] = [
    ("auditx-no-index", "auditx without its index"),
    ("auditx-os", "auditx, `Os`"),
    ("auditx-direct", "auditx, `Direct`"),
];

/// Appends a section with a table; nothing if there are no rows.
fn push<R: Serialize>(page: &mut String, words: &str, rows: &[R]) -> Outcome<()> {
    if !rows.is_empty() {
        page.push_str(words);
        page.push('\n');
        page.push_str(&report::markdown(rows)?);
    }
    Ok(())
}

const HEAD: &str = "\
# Performance

Written by one run of the benchmarks; every number below was measured in it. Compare numbers within one page,
and not across machines. `stolen` is the time that the machine's host took from all processors together, as
the kernel counts it: no program runs meanwhile, and whatever was due is late.

";

const RECORDING: &str = "
## Recording

![The duration of a call](images/performance-record.svg)

![Latencies of a call](images/performance-latency.svg)
";

const LOADS: [(Load, &str, &str); 4] = [
    (
        Load::Burst,
        "Burst",
        "As fast as the callers can record. `sealed per s` counts entries from the first call until all of \
         them are\nwritten to the file (and, by auditx, hashed and in order).",
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
         call\nalso delays those after it (no coordinated omission). `call p999 ns` is the call itself.",
    ),
    (
        Load::Cold,
        "Cold",
        "As applications record: rarely, and after other work, which has evicted code and data of the last \
         call\nfrom the processor's own caches.",
    ),
];

const DURABLE: &str = "
## Durable

A receipt resolves once fdatasync(2) has returned. One producer keeps this many receipts open and waits for
the oldest. `ratio` is its median relative to that of fdatasync alone, after a line's worth of bytes, in the
same run.
";

const HTTP: &str = "
## HTTP

![Requests per second](images/performance-http.svg)

![CPU time of a request](images/performance-http-cpu.svg)

One server worker, keep-alive connections with one outstanding request each, and a load generator on the same
machine; every request must leave one line. `server cpu us` is the CPU time of the whole server for each
request, until its log is complete; `threads us` is that of each thread under load, and `allocations` counts
those of all threads.
";

const READING: &str = "
## Reading

![Duration of queries](images/performance-read.svg)

Whole processes on plain files in the page cache. `ratio` is relative to ripgrep on the same files, for
`count-by-user` to DuckDB. Each program must find the same lines.
";

const VERIFYING: &str = "
## Verifying

![Duration of a verification](images/performance-verify.svg)

Every line is hashed and the tree is compared with its signed checkpoint. `ratio` is relative to
`openssl dgst -sha256` of the same bytes on one core.
";

const SHIPPING: &str = "
## Shipping

![Lines per second to a database and a stream](images/performance-ship.svg)

Servers on this machine with their defaults. `ratio` is relative to the destination's own bulk loading of the
same lines.
";

const WHILE_SHIPPING: &str = "
An embedded shipper takes time from recording calls only through the caches and processors they share:
";

const SETUP: &str = "
## How each recorder was set up

Each in a process of its own, 23 facts per entry; see `crates/auditx-bench/src/record`.

";
