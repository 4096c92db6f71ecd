//! `auditx recover`: repairs a trail whose process died, or begins anew where a trail is not what was signed.

use std::io::Write;

use auditx_core::{AuditLogger, Error};
use auditx_reader::Lines;

use crate::failure::{Failure, Status};
use crate::terminal::{self, complain, harmless, shell_word};
use crate::trail::{PATIENCE, Trail};

/// Repairs the end of a trail, or begins anew where it is not what was signed
///
/// Every process does the same repair when it opens the trail. A trail that does
/// not agree with its checkpoint is evidence, and is never opened or changed: with
/// --accept-loss it is set aside, whole, and a new one begins in its place.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// Sets a trail that is not what was signed aside, and begins a new one
    #[arg(long)]
    accept_loss: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx recover --dir /var/log/erp
  auditx verify --dir /var/log/erp                   what is wrong, before anything is set aside
  auditx recover --dir /var/log/erp --accept-loss

Exit status: 0 the trail can be written, 1 it is not what was signed, 2 an error";

/// More than a process records before its first entry and at its end.
const LINES_OF_A_SESSION: u64 = 16;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let trail = &arguments.trail;
    trail.must_be_there()?;
    let config = trail.config()?;
    if arguments.accept_loss {
        let (logger, set_aside) = AuditLogger::begin_anew(config).map_err(|error| trail.refusal(&error))?;
        let key = logger.verifier_key()?;
        logger.close(PATIENCE)?;
        let mut out = terminal::output();
        writeln!(
            out,
            "A new trail begins in {}; its first record holds the last checkpoint of the old one,",
            trail.place()
        )?;
        writeln!(out, "which is kept, whole, in {}.", harmless(&set_aside.to_string_lossy()))?;
        writeln!(out, "\nTo examine the old one:       auditx verify --dir {}", shell_word(&set_aside))?;
        writeln!(out, "The key of the new one is     {}", harmless(&key.to_string()))?;
        out.flush()?;
        return Ok(Status::Found);
    }
    match AuditLogger::open(config) {
        Ok(logger) => {
            logger.close(PATIENCE)?;
            tell_repair(trail)
        }
        Err(error) => refused(trail, &error),
    }
}

fn refused(trail: &Trail, error: &Error) -> Result<Status, Failure> {
    if !error.is_corrupt() {
        return Err(trail.refusal(error));
    }
    complain(&harmless(&error.to_string()));
    Ok(Status::Nothing)
}

/// What the session just ended says about how it found the trail: its `recovered` record, which stands before its `open`.
fn tell_repair(trail: &Trail) -> Result<Status, Failure> {
    let mut before_open = None;
    let mut previous = None;
    for line in Lines::last(trail.directory(), LINES_OF_A_SESSION)? {
        let Ok(entry) = line?.parse() else { continue };
        let kind =
            entry.own_record.as_ref().and_then(|record| record.get("kind")?.as_str().map(str::to_owned));
        if kind.as_deref() == Some("open") {
            before_open = previous.take();
        }
        previous = (kind.as_deref() == Some("recovered")).then_some(entry.description);
    }
    let mut out = terminal::output();
    match before_open {
        Some(description) => writeln!(out, "{}.", harmless(&description))?,
        None => writeln!(out, "There was nothing to repair.")?,
    }
    writeln!(out, "{} agrees with what was signed, and can be written.", trail.place())?;
    out.flush()?;
    Ok(Status::Found)
}
