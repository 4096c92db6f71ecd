//! `auditx erase`: takes the text of one line away and leaves its hash.

use std::io::Write;

use auditx_core::{for_people, to_hex};
use auditx_reader::find_line;

use crate::failure::{Failure, Status};
use crate::terminal::{self, complain};
use crate::trail::{PATIENCE, Trail};

/// Erases the text of one line for ever, and leaves its hash (GDPR, article 17)
///
/// A signed record says which line, when and why; every proof goes on checking.
/// The trail must not be open in another process: an application erases with
/// AuditLogger::erase.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The number of the line
    #[arg(value_name = "SEQ")]
    seq: u64,
    /// Why; this is recorded in the trail, so name no person
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Does not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    trail: Trail,
}

const EXAMPLES: &str = "\
Examples:
  auditx erase 42 --dir /var/log/erp --reason 'request 2026-17 under article 17'

What was copied elsewhere, by hooks or into backups, is not within reach.

Exit status: 0 erased, 1 not confirmed, 2 an error";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let Arguments { seq, trail, .. } = arguments;
    trail.must_be_there()?;
    if !arguments.yes && !is_confirmed(*seq, trail)? {
        complain("nothing was erased");
        return Ok(Status::Nothing);
    }
    let logger = trail.open()?;
    let erased = logger.erase(*seq, &arguments.reason);
    let closed = logger.close(PATIENCE);
    let hash = erased?;
    closed?;
    let mut out = terminal::output();
    writeln!(
        out,
        "The text of line {seq} is gone from {}; its hash stays, and proofs go on checking:",
        trail.place()
    )?;
    writeln!(out, "  {}", to_hex(&hash))?;
    writeln!(out, "What hooks have copied elsewhere, and backups, still have it.")?;
    out.flush()?;
    Ok(Status::Found)
}

fn is_confirmed(seq: u64, trail: &Trail) -> Result<bool, Failure> {
    if !terminal::is_somebody_there() {
        return Err(Failure::said(
            "what is erased cannot be brought back: say --yes where nobody can be asked",
        ));
    }
    let line = find_line(trail.directory(), seq)?
        .ok_or_else(|| Failure::said(format!("no line {seq} in {}", trail.place())))?;
    let mut err = anstream::stderr().lock();
    err.write_all(for_people(&line.parse()?).as_bytes())?;
    drop(err);
    terminal::confirm(&format!("Erase the text of line {seq} for ever?"))
}
