//! `auditx ship`: copies a trail to engines that people already run, and says how far that is.

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
use crate::failure::{Failure, Status};
use crate::question::span;
use crate::trail::Trail;
use fleet::Fleet;
use metrics::MetricsFile;

/// Copies what is signed of a trail to other engines, each line once
///
/// It runs beside the application until it is stopped, tries again what may work
/// later, and goes on where the engine is. No sealed segment of the trail is
/// retired that it has not copied. It needs to read the trail, and to write its
/// cursor in .auditx.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    trail: Trail,
    /// The engine: postgres://user@host/database, nats://user@host,host,host/STREAM, or for sealed segments s3://bucket/prefix; may be
    /// given more than once. A password is better kept in PGPASSWORD, NATS_PASSWORD or AWS_SECRET_ACCESS_KEY
    #[arg(
        long = "to",
        value_name = "URL",
        required = true,
        env = "AUDITX_SHIP_TO",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    to: Vec<Engine>,
    /// A stream that trails were shipped to, nats://…, in the place of a trail: all its trails go on from there. Refused lines are then
    /// kept in --dir
    #[arg(long, value_name = "URL")]
    from: Option<Engine>,
    /// So many lines are sent at once at most
    #[arg(long, value_name = "N", default_value_t = Settings::default().lines)]
    batch: usize,
    /// A file that is written every five seconds for Prometheus: in the directory of node_exporter's textfile collector, with the
    /// ending .prom
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Ends when everything is there that was signed when it began
    #[arg(long)]
    once: bool,
    /// Ends with exit status 2 when nothing could be shipped for this long: 30s, 5m. Default: 1m with --once, otherwise never
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
  auditx ship init --to postgres://admin@db/audit            makes schema and roles, once
  auditx ship --dir /var/log/erp --to postgres://erp@db/audit
  auditx ship --dir /var/log/erp --to postgres://erp@db/audit --once --give-up-after 5m
  auditx ship --from nats://nats-1/AUDIT --to postgres://erp@db/audit
  auditx ship status --dir /var/log/erp                      how far it is
  auditx verify --from postgres://auditor@db/audit           whether the copy is what was signed

Exit status: 0 stopped, or all is there, 1 lines were parked, or trail and copy differ, 2 an error, or it gave up";

/// How long `--once` tries where nobody says how long. Longer than a restart of the other side takes.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// Between two looks at how far shippers are.
const LOOK: Duration = Duration::from_millis(100);

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
            .map_err(|error| Failure::said(format!("cannot prepare for signals: {error}")))?;
    }
    let mut settings = Settings::default();
    settings.lines = arguments.batch;
    let limit = arguments.give_up_after.as_deref().map(span).transpose()?;
    let limit = limit.or(arguments.once.then_some(GIVE_UP_AFTER));
    if let Some(limit) = limit {
        // An attempt that gets no answer ends early enough to be tried once more.
        settings.patience = settings.patience.min(limit / 2);
    }
    let mut fleet = match &arguments.from {
        Some(stream) => Fleet::of_stream(arguments, stream.clone(), settings)?,
        None => Fleet::of_trail(arguments, settings)?,
    };
    let mut metrics = arguments.metrics.clone().map(MetricsFile::new);
    while !stop.load(Ordering::Relaxed) && fleet.look(arguments.once, limit)? {
        if let Some(metrics) = metrics.as_mut().filter(|metrics| metrics.is_due()) {
            fleet.measure(metrics);
        }
        thread::sleep(LOOK);
    }
    if let Some(metrics) = &mut metrics {
        fleet.measure(metrics);
    }
    fleet.end()
}
