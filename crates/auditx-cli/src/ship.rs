//! `auditx ship`: copies signed lines to PostgreSQL, NATS or S3, and reports the progress.

mod drop;
mod fleet;
mod init;
mod metrics;
mod status;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use auditx_ship::Settings;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::destination::Engine;
use crate::evidence;
use crate::failure::{Failure, Status};
use crate::metrics_file::MetricsFile;
use crate::selection::span;
use crate::trail::Trail;
use fleet::Fleet;

/// Copy the signed lines of a trail to other systems, each line once
///
/// The command runs next to the application until it is stopped. It retries after
/// temporary failures and resumes where the destination left off. Sealed segments
/// that it has not copied are not retired. It needs read access to the trail, and
/// write access to its cursor in .auditx.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    trail: Trail,
    /// The destination: postgres://user@host/database, nats://user@host,host,host/STREAM, or for sealed
    /// segments s3://bucket/prefix; repeatable. Put passwords in PGPASSWORD, NATS_PASSWORD or
    /// AWS_SECRET_ACCESS_KEY rather than in the URL
    #[arg(
        long = "to",
        value_name = "URL",
        required = true,
        env = "AUDITX_SHIP_TO",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    to: Vec<Engine>,
    /// Copy all trails of a stream, nats://…, instead of --dir; rejected lines are then kept in --dir
    #[arg(long, value_name = "URL")]
    from: Option<Engine>,
    /// Copy only lines that a quorum of the witnesses of this policy cosigned, and copy the cosignatures too
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    policy: Option<PathBuf>,
    /// The maximum number of lines per batch
    #[arg(long, value_name = "N", default_value_t = Settings::default().lines)]
    batch: usize,
    /// Write Prometheus metrics to FILE every five seconds, for the textfile collector of node_exporter: the
    /// name must end in .prom
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Exit when all lines that were signed (with --policy: cosigned) at the start are copied
    #[arg(long)]
    once: bool,
    /// Exit with status 2 if nothing could be copied for this long: 30s, 5m [default: 1m with --once,
    /// otherwise never]
    #[arg(long, value_name = "TIME")]
    give_up_after: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Init(init::Arguments),
    Status(status::Arguments),
    Drop(drop::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  auditx ship init --to postgres://admin@db/audit            create schema and roles, once
  auditx ship --dir /var/log/erp --to postgres://erp@db/audit
  auditx ship --dir /var/log/erp --to postgres://erp@db/audit --once --give-up-after 5m
  auditx ship --from nats://nats-1/AUDIT --to postgres://erp@db/audit
  auditx ship status --dir /var/log/erp                      show the progress
  auditx verify --from postgres://auditor@db/audit           verify the copy

Exit status: 0 stopped or complete, 1 lines were rejected or trail and copy differ, 2 an error or gave up";

/// The default of `--give-up-after` with `--once`: longer than a restart of the destination takes.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// How often the progress of the shippers is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    match &arguments.command {
        Some(Command::Init(arguments)) => init::run(arguments),
        Some(Command::Status(arguments)) => status::run(arguments),
        Some(Command::Drop(arguments)) => drop::run(arguments),
        None => ship(arguments),
    }
}

fn ship(arguments: &Arguments) -> Result<Status, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Failure::new(format!("cannot prepare for signals: {error}")))?;
    }
    let mut settings = Settings::default();
    settings.lines = arguments.batch;
    settings.policy = arguments.policy.as_deref().map(evidence::policy).transpose()?;
    let limit = arguments.give_up_after.as_deref().map(span).transpose()?;
    let limit = limit.or(arguments.once.then_some(GIVE_UP_AFTER));
    if let Some(limit) = limit {
        // An attempt without an answer must time out early enough for a second attempt.
        settings.timeout = settings.timeout.min(limit / 2);
    }
    let mut fleet = match &arguments.from {
        Some(stream) => Fleet::of_stream(arguments, stream.clone(), settings)?,
        None => Fleet::of_trail(arguments, settings)?,
    };
    let mut metrics = arguments.metrics.clone().map(MetricsFile::new);
    while !stop.load(Ordering::Relaxed) && fleet.poll(arguments.once, limit)? {
        if let Some(metrics) = metrics.as_mut().filter(|metrics| metrics.is_due()) {
            fleet.write_metrics(metrics);
        }
        thread::sleep(POLL_INTERVAL);
    }
    if let Some(metrics) = &mut metrics {
        fleet.write_metrics(metrics);
    }
    fleet.end()
}
