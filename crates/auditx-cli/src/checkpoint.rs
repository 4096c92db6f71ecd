//! `auditx checkpoint`: the latest signed head of a trail, for somebody else to keep.

use std::io::Write;
use std::path::{Path, PathBuf};

use auditx_core::SignedCheckpoint;
use auditx_reader::Prover;

use crate::evidence;
use crate::failure::{Failure, Status};
use crate::save;
use crate::summary;
use crate::terminal::{self, complain, harmless, shell_word};
use crate::trail::Trail;

/// Prints the latest signed checkpoint of a trail, or saves it
///
/// Keep it where whoever can write the trail cannot: nobody can then take back
/// what it speaks of without `auditx verify --known FILE` saying so.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// Writes it into FILE, in the place of an older one of the same trail [default: standard output]
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  auditx checkpoint --dir /var/log/erp
  auditx checkpoint --dir /var/log/erp --save /mnt/elsewhere/erp.note
  auditx verify --dir /var/log/erp --known /mnt/elsewhere/erp.note

Exit status: 0 printed or saved, 1 FILE knows more than the trail says, 2 an error";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let directory = arguments.trail.directory();
    // One that the trail's own key did not sign is worth nothing elsewhere.
    let prover = Prover::open(directory)?;
    let latest = prover.checkpoint();
    if let Some(path) = &arguments.save
        && let Some(why) = reason_to_keep(path, latest)?
    {
        let verify = format!("auditx verify --dir {} --known {}", shell_word(directory), shell_word(path));
        complain(&format!("{why}, so it is kept: run `{verify}`"));
        return Ok(Status::Nothing);
    }
    if let Some(trouble) = prover.trouble() {
        complain(&summary::not_as_signed(&trouble));
        return Ok(Status::Error);
    }
    let Some(path) = &arguments.save else {
        terminal::give(latest.as_str())?;
        return Ok(Status::Found);
    };
    save::replace(path, latest.as_str().as_bytes())?;
    let place = harmless(&path.to_string_lossy());
    let mut out = terminal::output();
    writeln!(out, "The checkpoint of the first {} lines is in {place}.", latest.size())?;
    out.flush()?;
    Ok(Status::Found)
}

/// Why what was saved before is worth more than what the trail says now.
fn reason_to_keep(path: &Path, latest: &SignedCheckpoint) -> Result<Option<String>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    let place = harmless(&path.to_string_lossy());
    let saved = evidence::note(path)?;
    Ok(if saved.origin() != latest.origin() {
        Some(format!("{place} holds a checkpoint of another trail, {}", harmless(saved.origin())))
    } else if saved.size() > latest.size() {
        Some(format!(
            "{place} holds a checkpoint of {} lines, and the trail's own speaks of {}: the trail was taken back",
            saved.size(),
            latest.size()
        ))
    } else if saved.size() == latest.size() && saved.root() != latest.root() {
        Some(format!("{place} holds another history of as many lines"))
    } else {
        None
    })
}
