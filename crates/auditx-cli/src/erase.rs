//! `auditx erase`: replaces the text of one line by its hash.

use std::io::{self, BufRead, Write};

use auditx_reader::find_line;
use auditx_store::console_line;
use auditx_tlog::to_hex;

use crate::failure::{Failure, Status};
use crate::terminal::{self, print_message};
use crate::trail::{TIMEOUT, Trail};

/// Erase the text of one line permanently and keep its hash (GDPR, article 17)
///
/// A signed record states which line was erased, when and why; proofs stay valid.
/// The trail must not be open in another process: an application uses
/// AuditLogger::erase.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The number of the line
    #[arg(value_name = "SEQ")]
    seq: u64,
    /// The reason, which is recorded in the trail: do not name a person
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    trail: Trail,
}

const EXAMPLES: &str = "\
Examples:
  auditx erase 42 --dir /var/log/erp --reason 'request 2026-17 under article 17'

Copies made by hooks, shipping or backups are not erased.

Exit status: 0 erased, 1 not confirmed, 2 an error";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let Arguments { seq, trail, .. } = arguments;
    trail.must_be_there()?;
    if !arguments.yes && !is_confirmed(*seq, trail)? {
        print_message("nothing was erased");
        return Ok(Status::Negative);
    }
    let logger = trail.open()?;
    let erased = logger.erase(*seq, &arguments.reason);
    let closed = logger.close(TIMEOUT);
    let hash = erased?;
    closed?;
    let mut out = terminal::output();
    writeln!(
        out,
        "Erased the text of line {seq} in {}. Its hash remains, and proofs stay valid:",
        trail.display_path()
    )?;
    writeln!(out, "  {}", to_hex(&hash))?;
    writeln!(out, "Copies made by hooks, shipping or backups still contain the text.")?;
    out.flush()?;
    Ok(Status::Success)
}

fn is_confirmed(seq: u64, trail: &Trail) -> Result<bool, Failure> {
    if !terminal::is_interactive() {
        return Err(Failure::new("an erasure cannot be undone: pass --yes to confirm it without a terminal"));
    }
    let line = find_line(trail.directory(), seq)?
        .ok_or_else(|| Failure::new(format!("no line {seq} in {}", trail.display_path())))?;
    let mut err = anstream::stderr().lock();
    err.write_all(console_line(&line.parse()?, true).as_bytes())?;
    drop(err);
    confirm(&format!("Erase the text of line {seq} permanently?"))
}

/// Asks a question on standard error. Any answer but `y` or `yes` returns `false`.
fn confirm(question: &str) -> Result<bool, Failure> {
    let mut answer = String::new();
    write!(anstream::stderr().lock(), "{question} [y/N] ")?;
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
