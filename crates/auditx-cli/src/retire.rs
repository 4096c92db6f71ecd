//! `auditx retire`: removes sealed segments that are no longer to be kept.

use std::io::Write;

use auditx_core::Retention;

use crate::failure::{Failure, Status};
use crate::terminal::{self, harmless};
use crate::trail::{PATIENCE, Trail};

/// Removes old sealed segments, and leaves a signed record of each
///
/// What remains still proves. A segment that somebody who keeps a cursor in the
/// trail has not read stays, and so do all after it. The trail must not be open
/// in another process: an application retires with Config::retention.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Removes all but the newest N
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Removes those that were sealed longer ago, such as 400d
    #[arg(long, value_name = "DURATION", value_parser = older_than)]
    older_than: Option<Retention>,
}

const EXAMPLES: &str = "\
Examples:
  auditx retire --dir /var/log/erp --older-than 400d
  auditx retire --dir /var/log/erp --keep 12

Exit status: 0 done, 1 not all, because somebody has not read it yet, 2 an error";

/// Durations are spelled as in AUDITX_RETENTION.
fn older_than(text: &str) -> Result<Retention, String> {
    format!("retain-for={text}").parse().map_err(|_| "no duration like 90d or 12h".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let retention = match arguments.what {
        What { keep: Some(count), .. } => Retention::BackupCount(count),
        What { older_than: Some(retention), .. } => retention,
        // clap lets nobody come here.
        _ => Retention::KeepEverything,
    };
    let logger = arguments.trail.open()?;
    let retired = logger.retire(retention)?;
    logger.close(PATIENCE)?;
    let mut out = terminal::output();
    match retired.segments.len() {
        0 => writeln!(out, "No segment was removed.")?,
        1 => writeln!(out, "Removed 1 segment:")?,
        count => writeln!(out, "Removed {count} segments:")?,
    }
    for segment in &retired.segments {
        writeln!(out, "  {}", harmless(segment))?;
    }
    if let Some(holder) = &retired.held_by {
        writeln!(out, "The next one stays: {} has not read it to its end.", harmless(holder))?;
    }
    out.flush()?;
    Ok(if retired.held_by.is_none() { Status::Found } else { Status::Nothing })
}
