//! `auditx capture disable`: removes the triggers of a table, or what publishes its changes in the log.

use std::io::Write;

use crate::database::Database;
use crate::failure::{Failure, Status};
use crate::terminal::{self, sanitized};

/// Stop noting the changes of a table, or commands and roles
///
/// Changes that triggers noted still wait for `auditx capture run`. If no other table is
/// captured from the log, its replication slot is dropped: run `auditx capture run
/// --once` first, or the changes that were not read yet are lost.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The database
    #[arg(long = "to", value_name = "URL")]
    to: Database,
    /// The table, or schema.table, without quotes
    #[arg(long, required_unless_present = "ddl")]
    table: Option<String>,
    /// No longer note commands (DDL) and changes of roles and rights
    #[arg(long)]
    ddl: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx capture disable --to postgres://admin@db/erp --table customer
  auditx capture disable --to postgres://admin@db/erp --ddl

Exit status: 0 done, 1 it was not captured, 2 an error";

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let (mut out, mut was_captured) = (terminal::output(), true);
    let mut say = |what: &str, is_done: bool| {
        was_captured &= is_done;
        let state = if is_done { "no longer" } else { "not" };
        let verb = if is_done { "are" } else { "were" };
        writeln!(out, "{what} {verb} {state} noted.")
    };
    if let Some(table) = &arguments.table {
        say(&format!("Changes of {}", sanitized(table)), arguments.to.disable(table)?)?;
    }
    if arguments.ddl {
        say("Commands, roles and rights", arguments.to.disable_ddl()?)?;
    }
    out.flush()?;
    Ok(if was_captured { Status::Success } else { Status::Negative })
}
