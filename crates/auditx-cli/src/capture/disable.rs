//! `auditx capture disable`: removes the triggers of a table, or what publishes its changes in the log.

use std::io::Write;

use crate::database::Database;
use crate::failure::{Failure, Status};
use crate::terminal::{self, sanitized};

/// No longer note the changes of a table
///
/// What triggers noted before still waits for `auditx capture run`. If no other table
/// is captured from the log, its replication slot is dropped: run `auditx capture run
/// --once` before, or the changes that nobody has read yet are lost.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The database
    #[arg(long = "to", value_name = "URL")]
    to: Database,
    /// The table, or schema.table, without quotes
    #[arg(long)]
    table: String,
}

const EXAMPLES: &str = "\
Examples:
  auditx capture disable --to postgres://admin@db/erp --table customer

Exit status: 0 done, 1 the table was not captured, 2 an error";

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let (name, mut out) = (sanitized(&arguments.table), terminal::output());
    let was_captured = arguments.to.disable(&arguments.table)?;
    if was_captured {
        writeln!(out, "Changes of {name} are no longer noted.")?;
    } else {
        writeln!(out, "Changes of {name} were not noted.")?;
    }
    out.flush()?;
    Ok(if was_captured { Status::Success } else { Status::Negative })
}
