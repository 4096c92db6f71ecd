//! `auditx recover`: repairs a trail after a crash, or replaces a broken one.

use std::io::Write;
use std::path::PathBuf;

use auditx_core::{AuditLogger, Error};
use auditx_reader::{Lines, Verification, VerifyOptions, find_line, verify};
use auditx_store::pending_entries;

use crate::failure::{Failure, Status};
use crate::number::counted;
use crate::progress::Progress;
use crate::terminal::{self, print_message, sanitized, shell_word};
use crate::trail::{TIMEOUT, Trail};

/// Repair a trail after a crash, or replace one that is broken
///
/// The command verifies the trail, lists the lines that no checkpoint covers yet,
/// repairs the end as any process that opens the trail does, and signs those lines.
/// A trail that does not match what was signed is evidence, and is never opened or
/// changed: with --accept-loss the whole trail is moved aside and a new one starts
/// in its place.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// Move a broken trail aside and start a new one
    #[arg(long)]
    accept_loss: bool,
    /// Only show what would be repaired and signed
    #[arg(long, conflicts_with = "accept_loss")]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx recover --dir /var/log/erp --dry-run        show the lines that are not signed
  auditx recover --dir /var/log/erp
  auditx verify --dir /var/log/erp                   find out what is wrong first
  auditx recover --dir /var/log/erp --accept-loss

Exit status: 0 the trail can be written, 1 it does not match what was signed, 2 an error";

/// More than the control records of an open and a close.
const LINES_OF_A_SESSION: u64 = 16;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let trail = &arguments.trail;
    trail.must_be_there()?;
    let verification = {
        let mut progress = Progress::of("verifying");
        let options = VerifyOptions::default();
        verify(trail.directory(), &options, &mut |done, total| progress.update(done, total))?
    };
    if let Some(fault) = &verification.fault {
        let what = sanitized(&fault.to_string());
        if arguments.accept_loss {
            return finish_replacement(
                trail,
                AuditLogger::replace_broken(trail.config()?, &fault.to_string()),
            );
        }
        print_message(&format!(
            "{what}; run `auditx verify` for details; \
             `auditx recover --accept-loss` moves the trail aside and starts a new one"
        ));
        return Ok(Status::Negative);
    }
    if arguments.accept_loss {
        return finish_replacement(trail, AuditLogger::replace_corrupt(trail.config()?));
    }
    print_unsigned(trail, &verification)?;
    if arguments.dry_run {
        return Ok(Status::Success);
    }
    match AuditLogger::open(trail.config()?) {
        Ok(logger) => {
            logger.close(TIMEOUT)?;
            print_repair(trail)
        }
        Err(error) => report_refusal(trail, &error),
    }
}

fn finish_replacement(
    trail: &Trail,
    outcome: Result<(AuditLogger, PathBuf), Error>,
) -> Result<Status, Failure> {
    let (logger, set_aside) = outcome.map_err(|error| trail.open_failure(&error))?;
    let key = logger.verifier_key()?;
    logger.close(TIMEOUT)?;
    let mut out = terminal::output();
    writeln!(
        out,
        "Started a new trail in {}; its first record contains the last checkpoint",
        trail.display_path()
    )?;
    writeln!(out, "of the old trail, which was moved to {}.", sanitized(&set_aside.to_string_lossy()))?;
    writeln!(out, "\nTo verify the old trail:  auditx verify --dir {}", shell_word(&set_aside))?;
    writeln!(out, "Key of the new trail:     {}", sanitized(&key.to_string()))?;
    out.flush()?;
    Ok(Status::Success)
}

/// Prints what opening the trail will sign. No signature protects these lines yet.
fn print_unsigned(trail: &Trail, verification: &Verification) -> Result<(), Failure> {
    let directory = trail.directory();
    let mut out = terminal::output();
    if verification.unsigned_lines > 0 {
        let first = verification.signed.unwrap_or(0);
        let location = match find_line(directory, first)? {
            Some(line) => {
                format!(" ({}, byte {})", sanitized(&line.path().to_string_lossy()), line.offset())
            }
            None => String::new(),
        };
        let last = verification.lines.saturating_sub(1);
        let lines = counted(verification.unsigned_lines, "line");
        writeln!(out, "Not signed yet: {lines}, {first} to {last}{location}.")?;
    }
    if verification.torn_bytes > 0 {
        let bytes = counted(verification.torn_bytes, "byte");
        writeln!(out, "Unfinished: {bytes} at the end, which will be moved to a separate file.")?;
    }
    let pending = pending_entries(directory)?.len() as u64;
    if pending > 0 {
        let entries = if pending == 1 { "1 entry".to_owned() } else { format!("{pending} entries") };
        writeln!(out, "Pending: {entries} in the journal of the last process.")?;
    }
    Ok(out.flush()?)
}

fn report_refusal(trail: &Trail, error: &Error) -> Result<Status, Failure> {
    if !error.is_corrupt() {
        return Err(trail.open_failure(error));
    }
    print_message(&sanitized(&error.to_string()));
    Ok(Status::Negative)
}

/// Prints the `recovered` record of the session that just ended, which precedes its `open` record.
fn print_repair(trail: &Trail) -> Result<Status, Failure> {
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
        Some(description) => writeln!(out, "{}.", sanitized(&description))?,
        None => writeln!(out, "There was nothing to repair.")?,
    }
    writeln!(out, "{} matches what was signed and can be written.", trail.display_path())?;
    out.flush()?;
    Ok(Status::Success)
}
