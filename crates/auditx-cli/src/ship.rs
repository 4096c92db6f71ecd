//! `auditx ship`: copies a trail to engines that people already run, and says how far that is.

mod drop;
mod init;
mod status;
mod watch;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use auditx_ship::{Settings, Shipper, State};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::destination::Engine;
use crate::failure::{Failure, Status};
use crate::terminal;
use crate::trail::Trail;
use watch::Watch;

/// Copies what is signed of a trail to other engines, each line once
///
/// It runs beside the application until it is stopped, tries again for ever what may
/// work later, and goes on where the engine is. No sealed segment of the trail is
/// retired that it has not copied. It needs to read the trail, and to write its
/// cursor in .auditx.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    trail: Trail,
    /// The engine, such as postgres://user@host/database; may be given more than once. A password is better kept in PGPASSWORD
    #[arg(
        long = "to",
        value_name = "URL",
        required = true,
        env = "AUDITX_SHIP_TO",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    to: Vec<Engine>,
    /// So many lines are sent at once at most
    #[arg(long, value_name = "N", default_value_t = Settings::default().lines)]
    batch: usize,
    /// Ends when everything is there that was signed when it began
    #[arg(long)]
    once: bool,
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
  auditx ship --dir /var/log/erp --to postgres://erp@db/audit --once
  auditx ship status --dir /var/log/erp                      how far it is
  auditx verify --from postgres://auditor@db/audit           whether the copy is what was signed

Exit status: 0 stopped, or all is there, 1 lines were parked, or trail and copy differ, 2 an error";

/// Between two looks at how far shippers are.
const LOOK: Duration = Duration::from_millis(100);

/// How long what is on its way may take once it is to stop.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    match &arguments.command {
        Some(Command::Init(arguments)) => init::run(arguments),
        Some(Command::Status(arguments)) => status::run(arguments),
        Some(Command::Drop(arguments)) => drop::run(arguments),
        None => ship(arguments),
    }
}

fn ship(arguments: &Arguments) -> Result<Status, Failure> {
    if arguments.once {
        arguments.trail.must_be_there()?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Failure::said(format!("cannot prepare for signals: {error}")))?;
    }
    // Entries of a process that was killed are shipped too.
    if arguments.trail.is_there() {
        arguments.trail.bring_in()?;
    }
    let mut settings = Settings::default();
    settings.lines = arguments.batch;
    let mut shippers = Vec::new();
    for engine in &arguments.to {
        let shipper = engine.spawn(arguments.trail.directory(), settings)?;
        shippers.push((Watch::of(engine.id()?), shipper));
    }
    while !stop.load(Ordering::Relaxed) {
        let mut are_over = true;
        for (watch, shipper) in &mut shippers {
            let progress = shipper.progress();
            watch.tell(&progress);
            let is_done = arguments.once && progress.state == State::CaughtUp;
            are_over &= is_done || progress.state == State::Ended;
        }
        if are_over {
            break;
        }
        thread::sleep(LOOK);
    }
    end(shippers)
}

fn end(shippers: Vec<(Watch, Shipper)>) -> Result<Status, Failure> {
    let mut status = Status::Found;
    let deadline = Instant::now() + GRACE;
    let mut out = terminal::output();
    for (watch, shipper) in shippers {
        let progress = shipper.progress();
        match shipper.stop(deadline) {
            Ok(()) => writeln!(out, "{}", watch.summary(&progress))?,
            Err(error) => {
                terminal::complain(&watch.said(&error.to_string()));
                status = Status::Nothing;
            }
        }
        if progress.parked > 0 {
            status = Status::Nothing;
        }
    }
    out.flush()?;
    Ok(status)
}
