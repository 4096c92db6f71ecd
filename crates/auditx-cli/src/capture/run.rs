//! `auditx capture run`: moves what committed from the outbox and the log of a database into a trail.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use auditx_capture::{Collector, Progress};
use auditx_core::AuditLogger;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::metrics;
use crate::database::Database;
use crate::failure::{Failure, Status};
use crate::metrics_file::MetricsFile;
use crate::number::counted;
use crate::terminal::{print_message, sanitized};
use crate::trail::{TIMEOUT, Trail};

/// Move the changes that committed into a trail, until it is stopped
///
/// A change leaves the database after its entry is durable, so a crash loses no change
/// and repeats none. After a failover, or a lost connection that was not noticed, some
/// changes are recorded twice. Failures are retried. One process collects from a database
/// at a time. If tables are captured from the log, the user needs the attribute
/// REPLICATION.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The database: postgres://user@host/database. Put the password in PGPASSWORD rather than in the URL
    #[arg(long, value_name = "URL")]
    from: Database,
    /// Exit when no change waits
    #[arg(long)]
    once: bool,
    /// Write Prometheus metrics to FILE every five seconds, for the textfile collector of node_exporter: the
    /// name must end in .prom
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Create the trail if it does not exist
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    trail: Trail,
}

const EXAMPLES: &str = "\
Examples:
  auditx capture run --from postgres://admin@db/erp --dir /var/log/erp
  auditx capture run --from postgres://admin@db/erp --dir /var/log/erp --once

Exit status: 0 stopped or no change waits, 1 some rows were refused, 2 an error";

/// How often a signal is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let trail = &arguments.trail;
    if !arguments.create && !trail.is_there() {
        return Err(Failure::new(format!(
            "no audit trail in {}: check the directory, or pass --create to create a trail there",
            trail.display_path()
        )));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Failure::new(format!("cannot prepare for signals: {error}")))?;
    }
    let logger = AuditLogger::open(trail.recording_config()?).map_err(|error| trail.open_failure(&error))?;
    let collected = collect(arguments, &logger, &stop);
    let closed = logger.close(TIMEOUT);
    let status = collected?;
    closed?;
    Ok(status)
}

fn collect(arguments: &Arguments, logger: &AuditLogger, stop: &AtomicBool) -> Result<Status, Failure> {
    let collectors = arguments.from.collect(logger)?;
    let mut reported = String::new();
    let mut metrics = arguments.metrics.clone().map(MetricsFile::new);
    while !stop.load(Ordering::Relaxed) {
        match collectors.iter().find(|collector| collector.progress().emptied == 0) {
            Some(first) => drop(first.wait_until(POLL_INTERVAL, |progress| progress.emptied > 0)),
            None if arguments.once => break,
            None => thread::sleep(POLL_INTERVAL),
        }
        let error = total(&collectors).error;
        if error != reported {
            let text = if error.is_empty() { "collecting again" } else { &error };
            print_message(&sanitized(text));
            reported = error;
        }
        if let Some(metrics) = metrics.as_mut().filter(|metrics| metrics.is_due()) {
            write_metrics(metrics, &total(&collectors));
        }
    }
    if let Some(metrics) = &mut metrics {
        write_metrics(metrics, &total(&collectors));
    }
    let Progress { collected, refused, .. } = total(&collectors);
    drop(collectors);
    print_message(&format!("{} recorded", counted(collected, "change")));
    if refused == 0 {
        return Ok(Status::Success);
    }
    print_message(&format!("{} refused: see app.log", counted(refused, "row")));
    Ok(Status::Negative)
}

/// Returns the progress of all collectors.
fn total(collectors: &[Collector]) -> Progress {
    let mut total = Progress::default();
    for progress in collectors.iter().map(Collector::progress) {
        total.collected += progress.collected;
        total.refused += progress.refused;
        total.failures += progress.failures;
        total.failed_at = total.failed_at.max(progress.failed_at);
        total.oldest = [total.oldest, progress.oldest].into_iter().flatten().min();
        if !total.error.is_empty() && !progress.error.is_empty() {
            total.error += "; ";
        }
        total.error += &progress.error;
    }
    total
}

/// Writes the metrics file. A failure is reported and does not stop collecting.
fn write_metrics(file: &mut MetricsFile, progress: &Progress) {
    if let Err(failure) = file.write(&metrics::text_of(progress)) {
        print_message(&failure.to_string());
    }
}
