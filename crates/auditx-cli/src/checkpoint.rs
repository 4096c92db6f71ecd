//! `auditx checkpoint`: prints or saves the latest checkpoint of a trail.

use std::io::Write;
use std::path::{Path, PathBuf};

use auditx_reader::Prover;
use auditx_tlog::SignedCheckpoint;

use crate::evidence;
use crate::failure::{Failure, Status};
use crate::save;
use crate::summary;
use crate::terminal::{self, print_message, sanitized, shell_word};
use crate::trail::Trail;

/// Print or save the latest signed checkpoint of a trail
///
/// Keep it on another machine, where those who can write the trail cannot change
/// it: `auditx verify --known FILE` then detects if lines that it covers were
/// removed or changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// Write it to FILE, replacing an older checkpoint of the same trail [default: standard output]
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  auditx checkpoint --dir /var/log/erp
  auditx checkpoint --dir /var/log/erp --save /mnt/elsewhere/erp.checkpoint
  auditx verify --dir /var/log/erp --known /mnt/elsewhere/erp.checkpoint

Exit status: 0 printed or saved, 1 FILE is newer or of another trail and was kept, 2 an error";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let directory = arguments.trail.directory();
    // Fails if the key of the trail did not sign the checkpoint, which would be useless elsewhere.
    let prover = Prover::open(directory)?;
    let latest = prover.checkpoint();
    if let Some(path) = &arguments.save
        && let Some(why) = reason_not_to_replace(path, latest)?
    {
        let verify = format!("auditx verify --dir {} --known {}", shell_word(directory), shell_word(path));
        print_message(&format!("{why}; the file was not replaced: run `{verify}`"));
        return Ok(Status::Negative);
    }
    if let Some(trouble) = prover.trouble() {
        print_message(&summary::mismatch_message(&trouble));
        return Ok(Status::Error);
    }
    let Some(path) = &arguments.save else {
        terminal::print_text(latest.as_str())?;
        return Ok(Status::Success);
    };
    save::replace(path, latest.as_str().as_bytes())?;
    let display_path = sanitized(&path.to_string_lossy());
    let mut out = terminal::output();
    writeln!(out, "Saved the checkpoint of the first {} lines to {display_path}.", latest.size())?;
    out.flush()?;
    Ok(Status::Success)
}

/// Returns the reason for which the saved checkpoint must not be replaced.
fn reason_not_to_replace(path: &Path, latest: &SignedCheckpoint) -> Result<Option<String>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    let display_path = sanitized(&path.to_string_lossy());
    let saved = evidence::checkpoint(path)?;
    Ok(if saved.origin() != latest.origin() {
        Some(format!("{display_path} contains a checkpoint of another trail, {}", sanitized(saved.origin())))
    } else if saved.size() > latest.size() {
        Some(format!(
            "{display_path} contains a checkpoint of {} lines, but the trail has one of {}: \
             the trail was rolled back",
            saved.size(),
            latest.size()
        ))
    } else if saved.size() == latest.size() && saved.root() != latest.root() {
        Some(format!("{display_path} contains a checkpoint of other lines, as many as the trail has"))
    } else {
        None
    })
}
