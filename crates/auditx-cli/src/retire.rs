//! `auditx retire`: removes old sealed segments.

use std::io::Write;

use auditx_core::Retention;

use crate::failure::{Failure, Status};
use crate::terminal::{self, sanitized};
use crate::trail::{TIMEOUT, Trail};

/// Remove old sealed segments, with a signed record of each
///
/// Proofs of the remaining lines stay valid. A segment that a follower has not read
/// is kept, and so are all segments after it. The trail must not be open in another
/// process: an application uses Config::retention.
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
    /// Remove all but the newest N segments
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Remove segments that were sealed longer ago than this, such as 400d
    #[arg(long, value_name = "DURATION", value_parser = older_than)]
    older_than: Option<Retention>,
}

const EXAMPLES: &str = "\
Examples:
  auditx retire --dir /var/log/erp --older-than 400d
  auditx retire --dir /var/log/erp --keep 12

Exit status: 0 done, 1 a follower has not read a segment yet, 2 an error";

/// Parses a duration as in AUDITX_RETENTION.
fn older_than(text: &str) -> Result<Retention, String> {
    format!("retain-for={text}").parse().map_err(|_| "expected a duration such as 90d or 12h".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let retention = match arguments.what {
        What { keep: Some(count), .. } => Retention::BackupCount(count),
        What { older_than: Some(retention), .. } => retention,
        // clap requires one of the two flags.
        _ => Retention::KeepEverything,
    };
    let logger = arguments.trail.open()?;
    let retired = logger.retire(retention)?;
    logger.close(TIMEOUT)?;
    let mut out = terminal::output();
    match retired.segments.len() {
        0 => writeln!(out, "No segment was removed.")?,
        1 => writeln!(out, "Removed 1 segment:")?,
        count => writeln!(out, "Removed {count} segments:")?,
    }
    for segment in &retired.segments {
        writeln!(out, "  {}", sanitized(segment))?;
    }
    if let Some(holder) = &retired.held_by {
        writeln!(out, "The next segment was kept: {} has not read all of it.", sanitized(holder))?;
    }
    out.flush()?;
    Ok(if retired.held_by.is_none() { Status::Success } else { Status::Negative })
}
