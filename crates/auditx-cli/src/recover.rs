//! `auditx recover`: repairs a trail whose process died, or begins anew where a trail is not what was signed.

use std::io::Write;
use std::path::PathBuf;

use auditx_core::{AuditLogger, Error, pending_entries};
use auditx_reader::{Lines, Verification, VerifyOptions, find_line, verify};

use crate::failure::{Failure, Status};
use crate::number::counted;
use crate::progress::Progress;
use crate::terminal::{self, complain, harmless, shell_word};
use crate::trail::{PATIENCE, Trail};

/// Repairs the end of a trail, or begins anew where it is not what was signed
///
/// A process that opens the trail does the same repair. This verifies the trail
/// first, then says what no checkpoint names yet and where it is, and then
/// signs it. A trail that is not what was signed is evidence, and is never opened or
/// changed: with --accept-loss it is set aside, whole, and a new one begins in its
/// place.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// Sets a trail that is not what was signed aside, and begins a new one
    #[arg(long)]
    accept_loss: bool,
    /// Only says what would be repaired and signed
    #[arg(long, conflicts_with = "accept_loss")]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx recover --dir /var/log/erp --dry-run        what is not signed, and where it is
  auditx recover --dir /var/log/erp
  auditx verify --dir /var/log/erp                   what is wrong, before anything is set aside
  auditx recover --dir /var/log/erp --accept-loss

Exit status: 0 the trail can be written, 1 it is not what was signed, 2 an error";

/// More than a process records before its first entry and at its end.
const LINES_OF_A_SESSION: u64 = 16;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let trail = &arguments.trail;
    trail.must_be_there()?;
    let verification = {
        let mut progress = Progress::of("verifying");
        let options = VerifyOptions::default();
        verify(trail.directory(), &options, &mut |done, total| progress.tell(done, total))?
    };
    if let Some(fault) = &verification.fault {
        let what = harmless(&fault.to_string());
        if arguments.accept_loss {
            return begin_anew(trail, AuditLogger::replace_broken(trail.config()?, &fault.to_string()));
        }
        complain(&format!(
            "{what}; `auditx verify` says more, and `auditx recover --accept-loss` sets the trail aside and begins a new one"
        ));
        return Ok(Status::Nothing);
    }
    if arguments.accept_loss {
        return begin_anew(trail, AuditLogger::begin_anew(trail.config()?));
    }
    tell_unsigned(trail, &verification)?;
    if arguments.dry_run {
        return Ok(Status::Found);
    }
    match AuditLogger::open(trail.config()?) {
        Ok(logger) => {
            logger.close(PATIENCE)?;
            tell_repair(trail)
        }
        Err(error) => refused(trail, &error),
    }
}

fn begin_anew(trail: &Trail, outcome: Result<(AuditLogger, PathBuf), Error>) -> Result<Status, Failure> {
    let (logger, set_aside) = outcome.map_err(|error| trail.refusal(&error))?;
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
    Ok(Status::Found)
}

/// Says what opening the trail signs: nobody vouches for it yet but the files themselves.
fn tell_unsigned(trail: &Trail, verification: &Verification) -> Result<(), Failure> {
    let directory = trail.directory();
    let mut out = terminal::output();
    if verification.unsigned_lines > 0 {
        let first = verification.signed.unwrap_or(0);
        let place = match find_line(directory, first)? {
            Some(line) => {
                format!(" ({}, byte {})", harmless(&line.path().to_string_lossy()), line.offset())
            }
            None => String::new(),
        };
        let last = verification.lines.saturating_sub(1);
        let lines = counted(verification.unsigned_lines, "line");
        writeln!(out, "Not signed yet: {lines}, {first} to {last}{place}.")?;
    }
    if verification.torn_bytes > 0 {
        writeln!(out, "Unfinished: {} bytes at the end, which are kept aside.", verification.torn_bytes)?;
    }
    let pending = pending_entries(directory)?.len() as u64;
    if pending > 0 {
        let entries = if pending == 1 { "1 entry".to_owned() } else { format!("{pending} entries") };
        writeln!(out, "In no line yet: {entries} that the last process accepted, in its journal.")?;
    }
    Ok(out.flush()?)
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
            entry.control_record.as_ref().and_then(|record| record.get("kind")?.as_str().map(str::to_owned));
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
