//! `auditx record`: records entries from a shell, or from a program in any language.
//!
//! An entry comes from flags, or from an object of standard input (`--ndjson`); [`object`] and [`flags`] turn
//! both into a builder of the library, which encodes and redacts it as it does in an application.

mod refusal;
mod value;
mod flags;
mod object;
mod lines;
mod answers;
mod stream;

use std::io::Write;

use auditx_core::kind::General;
use auditx_core::{AuditLogger, EntryBuilder};

use crate::failure::{Failure, Status};
use crate::signals;
use crate::terminal::{self, print_message};
use crate::trail::{TIMEOUT, Trail};
use flags::EntryFlags;
use refusal::Refusal;
use stream::Stream;

/// Record an entry from a script, or entries from standard input
///
/// Prints the id of the entry. After that the entry survives the death of any
/// process; with --durable it also survives a power loss. Values under keys that
/// name a secret (password, token, …) are masked. The settings are those of an
/// application: AUDITX_ON_FULL, AUDITX_DURABILITY, AUDITX_SIGNING_KEY, …
///
/// With --ndjson, each line of standard input is an object whose members have the
/// names of an entry's fields, as `auditx query -o ndjson` prints them. Each line is
/// answered with its number and the id of its entry, before the next is waited for.
/// A line that is not an entry is reported on standard error, its answer is its
/// number and -, and the others are recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    entry: EntryFlags,
    /// Record the JSON objects of standard input, one a line, as they arrive
    #[arg(long, conflicts_with = "EntryFlags")]
    ndjson: bool,
    /// Wait until the entry survives a power loss, and also print its number in the trail
    #[arg(long)]
    durable: bool,
    /// Create the trail if it does not exist
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    trail: Trail,
}

const USAGE: &str = "auditx record [OPTIONS] DESCRIPTION\n       auditx record [OPTIONS] --ndjson";

const EXAMPLES: &str = "\
Examples:
  auditx record 'Backup finished' --action EXPORT --ref B-17 --meta size=12G
  auditx record 'Backup failed' --action EXPORT --level ERROR --failed --meta reason=\"$why\"
  auditx record 'Invoice posted' --module sales --action POST --entity invoice/inv-42 \\
    --amount 1250000.10 --currency MMK --user thida --durable
  ./export.py | auditx record --ndjson --dir /var/log/erp
  echo '{\"description\":\"Invoice posted\",\"user\":\"thida\",\"amount\":\"12.50\"}' |
    auditx record --ndjson

Output: ID, or ID SEQ with --durable; with --ndjson one line of LINE ID or LINE ID SEQ for each.

Exit status: 0 recorded, 1 an entry was refused, 2 an error";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let logger = opened(arguments)?;
    let recorded = match arguments.entry.entry(&logger) {
        Some(entry) => record_one(entry, arguments.durable),
        None => Stream::new(&logger, arguments.durable).run(),
    };
    let closed = logger.close(TIMEOUT);
    let status = recorded?;
    closed?;
    Ok(status)
}

/// Opens the trail. Fails if it does not exist, since a mistyped directory would become a trail.
fn opened(arguments: &Arguments) -> Result<AuditLogger, Failure> {
    let trail = &arguments.trail;
    if !arguments.create && !trail.is_there() {
        return Err(Failure::new(format!(
            "no audit trail in {}: check the directory, or pass --create to create a trail there",
            trail.display_path()
        )));
    }
    let logger = AuditLogger::open(trail.recording_config()?).map_err(|error| trail.open_failure(&error))?;
    let of_signal = logger.clone();
    // If it cannot be closed, the next open recovers the trail; no entry is lost.
    signals::before_end(move || drop(of_signal.close(TIMEOUT)))
        .map_err(|error| Failure::new(format!("cannot prepare for signals: {error}")))?;
    Ok(logger)
}

/// Records an entry and prints its id.
fn record_one(entry: EntryBuilder<'_, General>, is_durable: bool) -> Result<Status, Failure> {
    let receipt = match entry.record() {
        Ok(receipt) => receipt,
        Err(error) => {
            print_message(&Refusal::of_record(error)?.to_string());
            return Ok(Status::Negative);
        }
    };
    let mut out = terminal::output();
    if is_durable {
        writeln!(out, "{} {}", receipt.id(), receipt.wait_durable()?.seq)?;
    } else {
        writeln!(out, "{}", receipt.id())?;
    }
    out.flush()?;
    Ok(Status::Success)
}
