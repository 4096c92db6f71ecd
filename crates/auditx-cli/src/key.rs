//! `auditx key`: shows and replaces the signing key of a trail.

use std::io::Write;

use auditx_core::{KeySource, VerifierKey};
use auditx_reader::{VerifyOptions, key_in_directory, latest_checkpoint, recorded_keys, verify};
use auditx_tlog::SignedCheckpoint;

use crate::failure::{Failure, Status};
use crate::summary;
use crate::terminal::{self, sanitized};
use crate::trail::{TIMEOUT, Trail};

/// Show or replace the signing key of a trail
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(Show),
    Rotate(Rotate),
}

/// Print the public key of a trail, as the trail itself names it
///
/// Standard output contains only the key; explanations go to standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES, verbatim_doc_comment)]
struct Show {
    #[command(flatten)]
    trail: Trail,
}

/// Replace the signing key of a trail
///
/// The trail records both keys, and both sign the change, so anyone who has the old
/// key can verify the new one. The trail must not be open in another process.
#[derive(Debug, clap::Args)]
#[command(after_help = ROTATE_EXAMPLES, verbatim_doc_comment)]
struct Rotate {
    #[command(flatten)]
    trail: Trail,
    /// The source of the new key: trail, file:PATH, env:NAME or credential:NAME [default: trail, which
    /// generates one]
    #[arg(long, value_name = "SOURCE")]
    to: Option<KeySource>,
}

const SHOW_EXAMPLES: &str = "\
Examples:
  auditx key show --dir /var/log/erp
  auditx key show --dir /var/log/erp > erp.vkey      for auditx verify --key erp.vkey

Exit status: 0 shown, 1 the trail names no key, 2 an error";

const ROTATE_EXAMPLES: &str = "\
Examples:
  auditx key rotate --dir /var/log/erp
  auditx key rotate --dir /var/log/erp --to file:/etc/erp/audit.pem

The current key is read from the trail, or from AUDITX_SIGNING_KEY if it is set.

Exit status: 0 replaced, 2 an error";

/// Names the source of the current key, unless the key is in the trail.
const SOURCE: &str = "AUDITX_SIGNING_KEY";

const OUT_OF_BAND: &str = "\
This key comes from the trail itself: anyone who can write the trail can put another key here.\n\
Before you rely on it, compare it with the key that the owner gave you through another channel.";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    match &arguments.command {
        Command::Show(show) => show.run(),
        Command::Rotate(rotate) => rotate.run(),
    }
}

impl Show {
    fn run(&self) -> Result<Status, Failure> {
        let directory = self.trail.directory();
        let latest = latest_checkpoint(directory)?;
        let mut recorded = recorded_keys(directory)?;
        let (current, about) = match recorded.pop() {
            Some(current) => {
                let since = current.seq;
                (current.key, format!("The key of {}, named in line {since}.", sanitized(latest.origin())))
            }
            None => match key_in_directory(directory, latest.origin())
                .ok()
                .flatten()
                .filter(|key| signs(key, &latest))
            {
                Some(key) => (
                    key,
                    "The records that named the key were retired; this key is from the trail's directory."
                        .to_owned(),
                ),
                None => {
                    terminal::print_message(
                        "no record in the trail names its key any more: ask the owner of the trail for it",
                    );
                    return Ok(Status::Negative);
                }
            },
        };
        terminal::print_text(&format!("{current}\n"))?;
        let mut err = anstream::stderr().lock();
        writeln!(err, "{about}")?;
        for older in recorded.iter().rev() {
            writeln!(err, "Previous key, from line {}: {}", older.seq, sanitized(&older.key.to_string()))?;
        }
        writeln!(err, "{OUT_OF_BAND}")?;
        drop(err);
        // A line that names a key can be altered like any other line.
        let verification = verify(directory, &VerifyOptions::new(), &mut |_, _| ())?;
        if let Some(fault) = &verification.fault {
            terminal::print_message(&summary::mismatch_message(fault));
            return Ok(Status::Error);
        }
        Ok(Status::Success)
    }
}

/// Returns `true` if the key signed this checkpoint. A key in the directory could belong to another trail.
fn signs(key: &VerifierKey, checkpoint: &SignedCheckpoint) -> bool {
    checkpoint.verify(std::slice::from_ref(key)).is_ok()
}

impl Rotate {
    fn run(&self) -> Result<Status, Failure> {
        let next = self.next()?;
        let logger = self.trail.open()?;
        let change = logger.rotate_key(&next)?;
        logger.close(TIMEOUT)?;
        let mut out = terminal::output();
        writeln!(
            out,
            "A new key signs {} from now on. Give it to everyone who verifies the trail:\n",
            self.trail.display_path()
        )?;
        writeln!(out, "  {}\n", sanitized(&change.new.to_string()))?;
        writeln!(out, "Anyone who has the previous key can verify the change, which both keys signed:\n")?;
        writeln!(out, "  {}", sanitized(&change.old.to_string()))?;
        if let Some(source) = &self.to
            && !matches!(source, KeySource::Trail)
        {
            writeln!(out, "\nBefore the trail is opened again, set {SOURCE} to the value of --to.")?;
        }
        out.flush()?;
        Ok(Status::Success)
    }

    /// Returns the source of the new key. Without `--to`, a key outside of the trail is not replaced by one
    /// inside.
    fn next(&self) -> Result<KeySource, Failure> {
        if let Some(next) = &self.to {
            return Ok(next.clone());
        }
        match std::env::var(SOURCE) {
            Ok(source) if !matches!(source.as_str(), "" | "trail") => Err(Failure::new(format!(
                "the current key is not in the trail ({SOURCE}={}): name the source of the new key with --to",
                sanitized(&source)
            ))),
            _ => Ok(KeySource::Trail),
        }
    }
}
