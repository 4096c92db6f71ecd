//! `auditx ship drop`: removes a destination, so that retention no longer waits for it.

use std::io::Write;

use crate::destination::Engine;
use crate::failure::{Failure, Status};
use crate::number::grouped;
use crate::terminal;
use crate::trail::{TIMEOUT, Trail};

/// Stop waiting for a destination that has not received every line
///
/// Afterwards segments may be retired that the destination never received; the
/// trail records this first. Stop the shipper of the destination before. The trail
/// must not be open in another process: an application uses
/// AuditLogger::drop_shipping.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// The destination, or its name as shown by `auditx ship status`
    #[arg(long = "to", value_name = "URL")]
    to: String,
    /// Confirm that the destination may never receive some lines
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
    logger.close(TIMEOUT)?;
    let mut out = terminal::output();
    writeln!(
        out,
        "Retention no longer waits for {name}, which received every line before line {}.",
        grouped(next)
    )?;
    out.flush()?;
    Ok(Status::Success)
}
