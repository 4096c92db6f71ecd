//! `auditx ship init`: what an engine needs before anything is shipped to it.

use std::io::Write;

use crate::destination::Engine;
use crate::failure::{Failure, Status};
use crate::terminal;

/// Makes in an engine what shipping needs, or brings it up to date
///
/// For PostgreSQL: the schema auditx and the roles auditx_owner, auditx_ship and
/// auditx_read, by a user who may create them. For NATS: the stream, on three servers
/// where there are as many. For S3 it only looks: a bucket and its lock are made by
/// whoever owns them. A second call changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The engine
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
    Ok(Status::Found)
}
