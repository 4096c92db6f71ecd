//! `auditx ship drop`: retention waits for an engine no longer.

use std::io::Write;

use crate::destination::Engine;
use crate::failure::{Failure, Status};
use crate::number::grouped;
use crate::terminal;
use crate::trail::{PATIENCE, Trail};

/// Lets a trail go on without an engine that has not got all of it
///
/// Segments may be retired then that the engine never got. The trail records that
/// before it is so. Stop what ships there first; the trail must not be open in
/// another process: an application calls AuditLogger::drop_shipping.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// The engine, or its name as `auditx ship status` has it
    #[arg(long = "to", value_name = "URL")]
    to: String,
    /// Says that lines may be missing there for ever
    #[arg(long, required = true)]
    accept_gap: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx ship drop --dir /var/log/erp --to postgres-db-5432-audit --accept-gap

Exit status: 0 done, 2 an error";

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let name = match arguments.to.parse::<Engine>() {
        Ok(engine) => engine.id()?.as_str().to_owned(),
        Err(_) => arguments.to.clone(),
    };
    let logger = arguments.trail.open()?;
    let next = logger.drop_shipping(&name)?;
    logger.close(PATIENCE)?;
    let mut out = terminal::output();
    writeln!(out, "Retention waits for {name} no longer: it has the lines before line {}.", grouped(next))?;
    out.flush()?;
    Ok(Status::Found)
}
