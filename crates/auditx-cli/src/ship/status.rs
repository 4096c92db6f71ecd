//! `auditx ship status`: how far each engine is, by what the trail itself holds.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use auditx_core::shipper_positions;
use auditx_reader::latest_checkpoint;
use auditx_ship::{Waiting, dead_letters, waiting_in};
use serde::Serialize;

use crate::failure::{Failure, Status};
use crate::number::{counted, grouped};
use crate::question::span;
use crate::terminal::{self, harmless};
use crate::trail::Trail;

/// Says how far the engines are that a trail is shipped to
///
/// It asks the trail alone, not the engines: the cursors, which are at most a second
/// old, the lines that wait, and those that were refused.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// An engine that lacks a line older than this needs attention: 5m, 1h
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    max_lag: String,
    /// Says it in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx ship status --dir /var/log/erp
  auditx ship status --dir /var/log/erp --max-lag 1h || alarm
  auditx ship status --json | jq '.destinations[].lag_lines'

Exit status: 0 all is well, 1 lines wait for too long or were refused, 2 an error";

#[derive(Debug, Serialize)]
struct Found {
    healthy: bool,
    /// Lines that are signed, and so may be shipped.
    signed: u64,
    destinations: Vec<Destination>,
}

#[derive(Debug, Serialize)]
struct Destination {
    name: String,
    /// The first line that it may lack.
    next: u64,
    lag_lines: u64,
    /// What these take on the disk.
    lag_bytes: u64,
    /// How long ago that line was recorded; absent where none waits, or it cannot be read.
    lag_seconds: Option<u64>,
    /// The numbers of lines that it refused.
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
    let is_well = |destination: &Destination| {
        let lag = Duration::from_secs(destination.lag_seconds.unwrap_or(0));
        destination.parked.is_empty() && lag <= max_lag
    };
    let found = Found { healthy: destinations.iter().all(is_well), signed, destinations };
    let mut out = terminal::output();
    if arguments.json {
        terminal::write_json(&mut out, &found)?;
    } else {
        found.write(&mut out)?;
    }
    out.flush()?;
    Ok(if found.healthy { Status::Found } else { Status::Nothing })
}

impl Destination {
    fn of(trail: &Path, name: String, next: u64, signed: u64) -> Result<Self, Failure> {
        let lag_lines = signed.saturating_sub(next);
        let Waiting { bytes, oldest } = waiting_in(trail, next, signed)?;
        let age = oldest.map(|oldest| SystemTime::now().duration_since(oldest).unwrap_or_default().as_secs());
        let parked = dead_letters(trail, &name)?;
        Ok(Self { name, next, lag_lines, lag_bytes: bytes, lag_seconds: age, parked })
    }
}

impl Found {
    fn write(&self, out: &mut impl Write) -> Result<(), Failure> {
        if self.destinations.is_empty() {
            writeln!(out, "The trail is shipped nowhere: `auditx ship --to URL` begins it.")?;
        }
        for Destination { name, next, lag_lines, lag_bytes, lag_seconds, parked } in &self.destinations {
            let name = harmless(name);
            match lag_lines {
                0 => writeln!(out, "{name}: all {} signed lines are there.", grouped(self.signed))?,
                lag => writeln!(
                    out,
                    "{name}: {} of {} signed lines are there; {} wait ({} bytes), the oldest {}.",
                    grouped(*next),
                    grouped(self.signed),
                    grouped(*lag),
                    grouped(*lag_bytes),
                    lag_seconds.map_or("of unknown age".to_owned(), |seconds| format!("for {seconds} s")),
                )?,
            }
            if !parked.is_empty() {
                let count = counted(parked.len() as u64, "line");
                writeln!(out, "  {count} refused, kept in .auditx/dead/{name}: {}", numbers(parked))?;
            }
        }
        Ok(())
    }
}

/// The first of them.
fn numbers(seqs: &[u64]) -> String {
    const MOST: usize = 10;
    let mut shown: Vec<String> = seqs.iter().take(MOST).map(u64::to_string).collect();
    if seqs.len() > MOST {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}
