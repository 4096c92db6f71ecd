//! `auditx ship status`: the progress of each destination, from the cursors in the trail.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use auditx_reader::latest_checkpoint;
use auditx_ship::{Backlog, dead_letters, trail_backlog};
use auditx_store::shipper_positions;
use serde::Serialize;

use crate::failure::{Failure, Status};
use crate::number::{counted, grouped};
use crate::selection::span;
use crate::terminal::{self, sanitized};
use crate::trail::Trail;

/// Show the progress of each destination of a trail
///
/// The command reads only the trail, not the destinations: the cursors, which are
/// at most a second old, the waiting lines, and the rejected lines.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// Exit with status 1 if a line older than this is not shipped: 5m, 1h
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    max_lag: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx ship status --dir /var/log/erp
  auditx ship status --dir /var/log/erp --max-lag 1h || alarm
  auditx ship status --json | jq '.destinations[].lag_lines'

Exit status: 0 up to date, 1 lines wait longer than --max-lag or were rejected, 2 an error";

#[derive(Debug, Serialize)]
struct Found {
    healthy: bool,
    /// The number of signed lines; only these are shipped.
    signed: u64,
    destinations: Vec<Destination>,
}

#[derive(Debug, Serialize)]
struct Destination {
    name: String,
    /// The first line that the destination may not have.
    next: u64,
    lag_lines: u64,
    /// The size of the waiting lines on disk.
    lag_bytes: u64,
    /// The age of the oldest waiting line; `None` if no line waits or it cannot be read.
    lag_seconds: Option<u64>,
    /// The seqs of the lines that the destination rejected.
    parked: Vec<u64>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let max_lag = span(&arguments.max_lag)?;
    arguments.trail.must_be_there()?;
    let directory = arguments.trail.directory();
    let signed = latest_checkpoint(directory)?.size();
    let mut destinations = Vec::new();
    for (name, next) in shipper_positions(directory)? {
        destinations.push(Destination::of(directory, name, next, signed)?);
    }
    let is_healthy = |destination: &Destination| {
        let lag = Duration::from_secs(destination.lag_seconds.unwrap_or(0));
        destination.parked.is_empty() && lag <= max_lag
    };
    let found = Found { healthy: destinations.iter().all(is_healthy), signed, destinations };
    let mut out = terminal::output();
    if arguments.json {
        terminal::write_json(&mut out, &found)?;
    } else {
        found.write(&mut out)?;
    }
    out.flush()?;
    Ok(if found.healthy { Status::Success } else { Status::Negative })
}

impl Destination {
    fn of(trail: &Path, name: String, next: u64, signed: u64) -> Result<Self, Failure> {
        let lag_lines = signed.saturating_sub(next);
        let Backlog { bytes, oldest } = trail_backlog(trail, next, signed)?;
        let age = oldest.map(|oldest| SystemTime::now().duration_since(oldest).unwrap_or_default().as_secs());
        let parked = dead_letters(trail, &name)?;
        Ok(Self { name, next, lag_lines, lag_bytes: bytes, lag_seconds: age, parked })
    }
}

impl Found {
    fn write(&self, out: &mut impl Write) -> Result<(), Failure> {
        if self.destinations.is_empty() {
            writeln!(out, "The trail has no destinations: start shipping with `auditx ship --to URL`.")?;
        }
        for Destination { name, next, lag_lines, lag_bytes, lag_seconds, parked } in &self.destinations {
            let name = sanitized(name);
            match lag_lines {
                0 => writeln!(out, "{name}: all {} signed lines shipped.", grouped(self.signed))?,
                lag => writeln!(
                    out,
                    "{name}: {} of {} signed lines shipped; {} waiting ({} bytes), the oldest {}.",
                    grouped(*next),
                    grouped(self.signed),
                    grouped(*lag),
                    grouped(*lag_bytes),
                    lag_seconds.map_or("of unknown age".to_owned(), |seconds| format!("for {seconds} s")),
                )?,
            }
            if !parked.is_empty() {
                let count = counted(parked.len() as u64, "line");
                writeln!(out, "  {count} rejected, kept in .auditx/dead/{name}: {}", numbers(parked))?;
            }
        }
        Ok(())
    }
}

/// Formats the first numbers.
fn numbers(seqs: &[u64]) -> String {
    const MAX: usize = 10;
    let mut shown: Vec<String> = seqs.iter().take(MAX).map(u64::to_string).collect();
    if seqs.len() > MAX {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}
