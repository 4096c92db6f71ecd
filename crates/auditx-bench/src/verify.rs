//! `verify`: measures the verification of a whole trail, compared with `openssl dgst -sha256` of the same
//! bytes on one core.
//!
//! It prints one row for each subject and size, with medians over interleaved runs of whole processes, their
//! peak memory, and the ratio to openssl. If a run does not find the trail intact, the whole benchmark fails.
//! The files are in the page cache: each is read once before the first run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Compression, Config, VerifierKey};
use auditx_reader::{Answer, VerifyOptions};
use auditx_store::checkpoint_path;
use auditx_tlog::SignedCheckpoint;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::repetition::Repetition;
use crate::{Outcome, child, facts, quantile, report};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Sizes of the trails, in megabytes of lines
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    megabytes: Vec<u64>,
}

/// Options of one run, in a separate process.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    key: VerifierKey,
    #[arg(long)]
    threads: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Run {
    lines: u64,
    peak_kib: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) subject: String,
    pub(crate) megabytes: u64,
    lines: u64,
    pub(crate) median_s: f64,
    pub(crate) ratio: f64,
    peak_mib: f64,
    runs: u32,
}

/// Runs the benchmark and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    report::print(&rows(options)?, options.repetition.json)
}

/// Runs the benchmark and returns the rows.
pub(crate) fn rows(options: &Options) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for megabytes in &options.megabytes {
        let directory = options.repetition.directory()?;
        eprintln!("creating a trail of {megabytes} MB");
        let key = make(directory.path(), megabytes * 1_000_000)?;
        rows.extend(rows_of(directory.path(), &key, *megabytes, options.repetition.runs)?);
    }
    Ok(rows)
}

fn rows_of(directory: &Path, key: &VerifierKey, megabytes: u64, runs: u32) -> Outcome<Vec<Row>> {
    let segments = segments(directory)?;
    digest(&segments)?;
    let (mut openssl, mut two, mut one) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=runs {
        eprintln!("run {round} of {runs}: {megabytes} MB");
        openssl.push(digest(&segments)?);
        two.push(verification(directory, key, 2)?);
        one.push(verification(directory, key, 1)?);
    }
    let baseline = quantile::median(openssl.iter().map(Duration::as_secs_f64));
    let lines = two.first().map_or(0, |(_, run)| run.lines);
    let row = |subject: &str, median_s: f64, peak_kib: u64| Row {
        subject: subject.to_owned(),
        megabytes,
        lines,
        median_s: rounded(median_s),
        ratio: rounded(median_s / baseline),
        peak_mib: rounded(float(peak_kib) / 1024.0),
        runs,
    };
    let of = |subject: &str, runs: &[(Duration, Run)]| {
        let peak = runs.iter().map(|(_, run)| run.peak_kib).max().unwrap_or(0);
        row(subject, quantile::median(runs.iter().map(|(time, _)| time.as_secs_f64())), peak)
    };
    Ok(vec![row("openssl-dgst", baseline, 0), of("verify-2-threads", &two), of("verify-1-thread", &one)])
}

/// Creates a closed trail of plain segments with this many bytes of lines.
fn make(directory: &Path, bytes: u64) -> Outcome<VerifierKey> {
    let config = Config::new(directory).hostname(facts::HOSTNAME).compression(Compression::None);
    let logger = AuditLogger::open(config)?;
    let _scope = facts::context()?.enter();
    let mut call = 0;
    while logger.metrics().bytes < bytes {
        for _ in 0..1_000 {
            facts::record(&logger, call)?;
            call += 1;
        }
    }
    let key = logger.verifier_key()?;
    logger.close(Duration::from_secs(120))?;
    Ok(key)
}

fn segments(directory: &Path) -> Outcome<Vec<OsString>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("audit")) {
            segments.push(path.into_os_string());
        }
    }
    segments.sort();
    Ok(segments)
}

fn digest(segments: &[OsString]) -> Outcome<Duration> {
    let begin = Instant::now();
    let status = Command::new("openssl")
        .args(["dgst", "-sha256"])
        .args(segments)
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start openssl: {error}"))?;
    if status.success() { Ok(begin.elapsed()) } else { Err(format!("openssl ended with {status}").into()) }
}

fn verification(directory: &Path, key: &VerifierKey, threads: usize) -> Outcome<(Duration, Run)> {
    let arguments: [OsString; 7] = [
        "verify-run".into(),
        "--dir".into(),
        directory.into(),
        "--key".into(),
        key.to_string().into(),
        "--threads".into(),
        threads.to_string().into(),
    ];
    let begin = Instant::now();
    let run = child::report(arguments)?;
    Ok((begin.elapsed(), run))
}

/// Verifies the trail and prints the number of lines and the peak memory.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    let known = SignedCheckpoint::parse(&std::fs::read(checkpoint_path(&options.dir))?)?;
    let settings = VerifyOptions::default().key(options.key.clone()).known(known).threads(options.threads);
    let found = auditx_reader::verify(&options.dir, &settings, &mut |_, _| ())?;
    if found.answer != Answer::Intact {
        return Err(format!("the trail is not intact: {found:?}").into());
    }
    let run = Run { lines: found.lines, peak_kib: peak_kib()? };
    println!("{}", serde_json::to_string(&run)?);
    Ok(())
}

/// Returns the peak resident memory of this process.
pub(crate) fn peak_kib() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "sizes here are far below 2^53")]
fn float(whole: u64) -> f64 {
    whole as f64
}
