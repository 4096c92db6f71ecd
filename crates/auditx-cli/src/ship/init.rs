//! `auditx ship init`: prepares a destination.

use std::io::Write;

use crate::destination::Engine;
use crate::failure::{Failure, Status};
use crate::terminal;

/// Create or upgrade what shipping needs in a destination
///
/// PostgreSQL: the schema auditx and the roles auditx_owner, auditx_ship and
/// auditx_read; the user must be allowed to create them. NATS: the stream, on three
/// servers if there are as many. S3: the bucket is only checked; its owner creates
/// it and its object lock. A second call changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The destination
    #[arg(long = "to", value_name = "URL")]
    to: Engine,
}

const EXAMPLES: &str = "\
Examples:
  auditx ship init --to postgres://admin@db/audit
  auditx ship init --to nats://admin@nats-1:4222,nats-2:4222,nats-3:4222/AUDIT
  psql postgres://admin@db/audit -c \"CREATE ROLE erp LOGIN PASSWORD '…' IN ROLE auditx_ship\"

Exit status: 0 done, 2 an error";

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let done = arguments.to.init()?;
    let mut out = terminal::output();
    for line in done {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(Status::Success)
}
