//! `ui`: measures the pages of `auditx ui` over a large trail, with requests on new connections.
//!
//! It prints a row for each page: the median and the longest time from connecting to the last byte, its
//! weight with style sheet and scripts, and the peak memory of the server after all requests. The last row is
//! the time until a real browser shows that an entry is new, with fifty other viewers. Goals are printed on
//! standard error. The files are in the page cache: every page is requested once before it is measured.

mod live;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use crate::goal::Goal;
use crate::make::{self, make_trail};
use crate::repetition::Repetition;
use crate::{Outcome, quantile, report};

/// A page, its address, and text that a right answer contains.
const PAGES: [(&str, &str, &str); 5] = [
    ("first page", "/", "rel=\"next\""),
    ("history of a record", "/?q=entity_type:sales_invoice%20entity_id:inv-1000", "sales_invoice/inv-1000"),
    ("an entry with its proof", "/entries/1000", "c2sp.org/tlog-proof"),
    ("a word that is nowhere", "/?q=nowhere", "No entries found"),
    ("counts", "/counts", "entries"),
];

const STYLE: &str = "/assets/dashboard.css";

/// Requests of each page in a run.
const REQUESTS: u32 = 10;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Number of entries of the trail to create: a million are about half a gigabyte
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    entries: u64,
}

#[derive(Debug, Serialize)]
struct Row {
    page: &'static str,
    median_ms: f64,
    longest_ms: f64,
    weight_kb: f64,
    server_mib: f64,
    requests: usize,
}

/// Runs the benchmark and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let made = options.repetition.directory()?;
    eprintln!("creating a trail of {} entries", options.entries);
    let bytes = make_trail(&make::Options::plain(made.path().to_owned(), options.entries))?;
    eprintln!("{} MB of lines", bytes / 1_000_000);
    let server = Server::start(made.path().to_owned())?;
    for (page, path, part) in PAGES {
        if !server.get(path)?.contains(part) {
            return Err(format!("the page `{page}` lacks {part:?}").into());
        }
    }
    let mut times: Vec<Vec<f64>> = PAGES.map(|_| Vec::new()).into();
    let mut weights = [0; PAGES.len()];
    for round in 1..=options.repetition.runs {
        eprintln!("run {round} of {}", options.repetition.runs);
        for ((times, weight), (_, path, _)) in times.iter_mut().zip(&mut weights).zip(PAGES) {
            for _ in 0..REQUESTS {
                let begin = Instant::now();
                let answer = server.get(path)?;
                times.push(begin.elapsed().as_secs_f64() * 1e3);
                *weight = server.weight(&answer)?;
            }
        }
    }
    let live = live::measure(server.address(), made.path(), options.repetition.runs * REQUESTS)?;
    let live_weight = server.weight(&server.get(live::PAGE)?)?;
    let server_mib = server.peak_mib()?;
    let pages = PAGES.iter().map(|(page, ..)| *page).zip(times.iter().zip(weights));
    let rows: Vec<Row> = pages
        .chain([("a new entry, 50 viewers", (&live, live_weight))])
        .map(|(page, (times, weight))| Row {
            page,
            median_ms: rounded(quantile::median(times.iter().copied())),
            longest_ms: rounded(times.iter().copied().fold(0.0, f64::max)),
            weight_kb: rounded(quantile::float(weight as u64) / 1e3),
            server_mib,
            requests: times.len(),
        })
        .collect();
    for goal in goals(&rows) {
        let reached = if goal.reached { "reached" } else { "not reached" };
        eprintln!("{reached}: {}: {}", goal.what, goal.measured);
    }
    report::print(&rows, options.repetition.json)
}

fn goals(rows: &[Row]) -> Vec<Goal> {
    let heaviest = rows.iter().map(|row| row.weight_kb).fold(0.0, f64::max);
    [
        ("the first page in at most 150 ms", rows[0].median_ms, 150.0, "ms"),
        ("an entity's history in at most 50 ms", rows[1].median_ms, 50.0, "ms"),
        ("a new entry in at most 300 ms", rows[PAGES.len()].median_ms, 300.0, "ms"),
        ("a page of at most 100 KB", heaviest, 100.0, "KB"),
        ("a server of at most 64 MiB", rows[0].server_mib, 64.0, "MiB"),
    ]
    .map(|(what, measured, goal, unit)| Goal {
        what,
        measured: format!("{measured} {unit}"),
        reached: measured <= goal,
    })
    .into()
}

/// A running `auditx ui`, killed when it is dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(directory: PathBuf) -> Outcome<Self> {
        let auditx = std::env::current_exe()?.with_file_name("auditx");
        let mut command = Command::new(&auditx);
        command.args(["ui", "--unrecorded", "--listen", "127.0.0.1:0", "--dir"]).arg(directory);
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", auditx.display()))?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let port = line.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
        let port = port.ok_or_else(|| format!("no address in {line:?}"))?;
        Ok(Self { process, port })
    }

    fn get(&self, path: &str) -> Outcome<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.starts_with("HTTP/1.1 200 ") {
            Ok(answer)
        } else {
            Err(format!("{path}: {}", answer.lines().next().unwrap_or_default()).into())
        }
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The bytes of a page, its style sheet and its scripts.
    fn weight(&self, page: &str) -> Outcome<usize> {
        let mut bytes = page.len() + self.get(STYLE)?.len();
        for script in page.split("<script ").skip(1) {
            let path = script.split("src=\"").nth(1).and_then(|rest| rest.split('"').next());
            bytes += self.get(path.ok_or("a script without an address")?)?.len();
        }
        Ok(bytes)
    }

    fn peak_mib(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Ok(rounded(quantile::float(kib.ok_or("no peak in the status of the server")?) / 1024.0))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Rounds to a tenth.
fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}
