//! `auditx capture`: records the changes of tables that committed in a database.

mod disable;
mod enable;
mod metrics;
mod run;
mod status;

use crate::failure::{Failure, Status};

/// Record the changes of a database: those that committed, and only those
///
/// Triggers note each change of a table in the transaction that makes it, also one
/// by hand: old and new columns, the user of the database, and the context of the
/// request if the application sets it. Or the changes are read from the log of the
/// database (--logical). `auditx capture run` moves what committed into a trail.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Enable(enable::Arguments),
    Disable(disable::Arguments),
    Status(status::Arguments),
    Run(run::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  auditx capture enable --to postgres://admin@db/erp --table customer --module crm
  auditx capture run --from postgres://admin@db/erp --dir /var/log/erp
  auditx capture status --to postgres://admin@db/erp
  auditx capture disable --to postgres://admin@db/erp --table customer

Exit status: 0 done, 1 not captured, unhealthy or with refused rows (see each command), 2 an error";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    match &arguments.command {
        Command::Enable(arguments) => enable::run(arguments),
        Command::Disable(arguments) => disable::run(arguments),
        Command::Status(arguments) => status::run(arguments),
        Command::Run(arguments) => run::run(arguments),
    }
}
