//! `auditx capture enable`: creates the triggers of a table, or publishes its changes in the log.

use std::io::Write;

use crate::database::{Database, Ddl, Table};
use crate::failure::{Failure, Status};
use crate::terminal::{self, sanitized};

/// Note the changes of a table from now on, or change its settings
///
/// Creates or upgrades the schema auditx, and triggers on the table and its
/// partitions. Transactions that write to the table wait meanwhile, for at most five
/// seconds. The user must be a superuser, or own the table and be allowed to execute
/// the functions auditx.note_*. A masked or excluded column stays so if it is renamed.
/// Run it again after partitions were added, so that their truncation is noted as well;
/// repeat all options, since they replace the former settings.
///
/// With --logical, the changes are read from the write-ahead log, without triggers and
/// without the user of the database. This needs wal_level = logical and a superuser. The
/// server keeps the log until `auditx capture run` has read it; if none runs, the disk
/// fills.
///
/// With --ddl, event triggers note commands on captured tables and on the schema auditx,
/// with the text that the client sent, and `auditx capture run` notes changes of roles
/// and rights. Event triggers need a superuser; a member of auditx_owner gets roles and
/// rights only.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The database: postgres://user@host/database. Put the password in PGPASSWORD rather than in the URL
    #[arg(long = "to", value_name = "URL")]
    to: Database,
    /// The table, or schema.table, without quotes
    #[arg(long, required_unless_present = "ddl", requires = "module")]
    table: Option<String>,
    /// The module of its entries
    #[arg(long, requires = "table")]
    module: Option<String>,
    /// The columns that identify a row, separated by commas [default: the primary key]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    key: Vec<String>,
    /// A column that is not noted; repeatable
    #[arg(long, value_name = "COLUMN")]
    exclude: Vec<String>,
    /// A column of which is noted that it changed, but no value; repeatable
    #[arg(long, value_name = "COLUMN")]
    mask: Vec<String>,
    /// Note commands (DDL) and changes of roles and rights
    #[arg(long)]
    ddl: bool,
    /// Read the changes from the write-ahead log instead of noting them by triggers
    #[arg(long, requires = "table")]
    logical: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx capture enable --to postgres://admin@db/erp --table customer --module crm
  auditx capture enable --to postgres://admin@db/erp --table hr.employee --module hr \\
    --key company,no --exclude last_seen --mask salary
  auditx capture enable --to postgres://admin@db/erp --ddl
  auditx capture enable --to postgres://admin@db/erp --table customer --module crm --logical

Exit status: 0 done, 2 an error";

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let mut out = terminal::output();
    if let (Some(table), Some(module)) = (&arguments.table, &arguments.module) {
        let table = Table::new(table, module)
            .key(arguments.key.clone())
            .exclude(arguments.exclude.clone())
            .mask(arguments.mask.clone());
        let captured = match arguments.logical {
            true => arguments.to.enable_logical(&table)?,
            false => arguments.to.enable(&table)?,
        };
        writeln!(
            out,
            "Changes of {} are {} as {}/{{{}}}.",
            sanitized(&captured.table),
            if captured.is_from_log { "read from the log" } else { "noted" },
            sanitized(&captured.entity_type),
            sanitized(&captured.key.join(","))
        )?;
    }
    if arguments.ddl {
        if arguments.to.enable_ddl()? == Ddl::Roles {
            writeln!(out, "Commands are not noted: only a superuser can enable that.")?;
        } else {
            writeln!(out, "Commands on captured tables are noted.")?;
        }
        writeln!(out, "Changes of roles and rights are noted while `auditx capture run` runs.")?;
    }
    out.flush()?;
    Ok(Status::Success)
}
