//! `auditx capture run`: moves what committed from the outbox and the log of a database into a trail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use auditx_capture::{Collector, Progress};
use auditx_core::AuditLogger;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::database::Database;
use crate::failure::{Failure, Status};
use crate::number::counted;
use crate::terminal::{print_message, sanitized};
use crate::trail::{TIMEOUT, Trail};

/// Move the changes that committed into a trail, until it is stopped
///
/// Each change becomes an entry exactly once, whenever this command, the database or
/// the machine fails. A change leaves the database after its entry is durable.
/// Failures are retried. One process collects from a database at a time. If tables
/// are captured from the log, the user needs the attribute REPLICATION.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The database: postgres://user@host/database. Put the password in PGPASSWORD rather than in the URL
    #[arg(long, value_name = "URL")]
    from: Database,
    /// Exit when no change waits
    #[arg(long)]
    once: bool,
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
    while !stop.load(Ordering::Relaxed) {
        match collectors.iter().find(|collector| collector.progress().emptied == 0) {
            Some(first) => drop(first.wait_until(POLL_INTERVAL, |progress| progress.emptied > 0)),
            None if arguments.once => break,
            None => thread::sleep(POLL_INTERVAL),
        }
        let mut errors: Vec<String> = collectors.iter().map(|collector| collector.progress().error).collect();
        errors.retain(|error| !error.is_empty());
        let error = errors.join("; ");
        if error != reported {
            let text = if error.is_empty() { "collecting again" } else { &error };
            print_message(&sanitized(text));
            reported = error;
        }
    }
    let progress: Vec<Progress> = collectors.iter().map(Collector::progress).collect();
    drop(collectors);
    let collected = progress.iter().map(|progress| progress.collected).sum();
    let refused = progress.iter().map(|progress| progress.refused).sum();
    print_message(&format!("{} recorded", counted(collected, "change")));
    if refused == 0 {
        return Ok(Status::Success);
    }
    print_message(&format!("{} refused: see app.log", counted(refused, "row")));
    Ok(Status::Negative)
}
