//! `auditx key`: which key signs a trail, and another one in its place.

use std::fs;
use std::io::Write;

use auditx_core::{AUDITX_DIR, KeySource, SignedCheckpoint, Signer as _, SigningKey, VerifierKey};
use auditx_reader::{VerifyOptions, latest_checkpoint, recorded_keys, verify};

use crate::failure::{Failure, Status};
use crate::summary;
use crate::terminal::{self, harmless};
use crate::trail::{PATIENCE, Trail};

/// Shows which key signs a trail, or puts another one in its place
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

/// Prints the public key that checks a trail's checkpoints, as the trail itself says
///
/// The key alone goes to standard output, everything about it to standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES, verbatim_doc_comment)]
struct Show {
    #[command(flatten)]
    trail: Trail,
}

/// Makes another key sign a trail from now on
///
/// The trail records both keys, and both sign the boundary: whoever has the old
/// one can follow. The trail must not be open in another process.
#[derive(Debug, clap::Args)]
#[command(after_help = ROTATE_EXAMPLES, verbatim_doc_comment)]
struct Rotate {
    #[command(flatten)]
    trail: Trail,
    /// Where the next key is: trail, file:PATH, env:NAME or credential:NAME [default: trail, which makes one]
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

The key that signs so far is the one in the trail, or where AUDITX_SIGNING_KEY says.

Exit status: 0 replaced, 2 an error";

/// Where the key that signs so far is, unless the trail has it.
const SOURCE: &str = "AUDITX_SIGNING_KEY";

const OUT_OF_BAND: &str = "\
This is the trail's own word: whoever can write the trail can put a key of his own here. Compare it with what the\n\
owner of the trail gave you by another way before you rely on it.";

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
                (current.key, format!("The key of {}, named in line {since}.", harmless(latest.origin())))
            }
            None => match self.kept_in_trail(latest.origin()).filter(|key| signs(key, &latest)) {
                Some(key) => (
                    key,
                    "The records that named the key were retired; this is the one in the trail's directory."
                        .to_owned(),
                ),
                None => {
                    terminal::complain("no record in the trail names its key any more: ask its owner for it");
                    return Ok(Status::Nothing);
                }
            },
        };
        terminal::give(&format!("{current}\n"))?;
        let mut err = anstream::stderr().lock();
        writeln!(err, "{about}")?;
        for older in recorded.iter().rev() {
            writeln!(err, "Before that, from line {}: {}", older.seq, harmless(&older.key.to_string()))?;
        }
        writeln!(err, "{OUT_OF_BAND}")?;
        drop(err);
        // A line that names a key may be altered as any other.
        let verification = verify(directory, &VerifyOptions::new(), &mut |_, _| ())?;
        if let Some(fault) = &verification.fault {
            terminal::complain(&summary::not_as_signed(fault));
            return Ok(Status::Error);
        }
        Ok(Status::Found)
    }

    /// The public part of the key that the trail keeps itself, for whoever may read it.
    fn kept_in_trail(&self, log: &str) -> Option<VerifierKey> {
        let pem =
            fs::read_to_string(self.trail.directory().join(AUDITX_DIR).join("keys/signing.pem")).ok()?;
        VerifierKey::new(log, &SigningKey::from_pem(&pem).ok()?.public_key()).ok()
    }
}

/// Whether a key signed this checkpoint: another one beside the trail is not the trail's.
fn signs(key: &VerifierKey, checkpoint: &SignedCheckpoint) -> bool {
    checkpoint.verify(std::slice::from_ref(key)).is_ok()
}

impl Rotate {
    fn run(&self) -> Result<Status, Failure> {
        let next = self.next()?;
        let logger = self.trail.open()?;
        let change = logger.rotate_key(&next)?;
        logger.close(PATIENCE)?;
        let mut out = terminal::output();
        writeln!(
            out,
            "Another key signs {} now. Give it to whoever verifies the trail:\n",
            self.trail.place()
        )?;
        writeln!(out, "  {}\n", harmless(&change.new.to_string()))?;
        writeln!(out, "Whoever has the one before can follow the change, which both keys signed:\n")?;
        writeln!(out, "  {}", harmless(&change.old.to_string()))?;
        if let Some(source) = &self.to
            && !matches!(source, KeySource::Trail)
        {
            writeln!(out, "\nConfigure the new key before the next open: set {SOURCE} to what --to said.")?;
        }
        out.flush()?;
        Ok(Status::Found)
    }

    /// A key that is kept elsewhere is not to be followed by one in the trail because nobody said anything.
    fn next(&self) -> Result<KeySource, Failure> {
        if let Some(next) = &self.to {
            return Ok(next.clone());
        }
        match std::env::var(SOURCE) {
            Ok(source) if !matches!(source.as_str(), "" | "trail") => Err(Failure::said(format!(
                "the key is kept elsewhere ({SOURCE}={}): say with --to where the next one is",
                harmless(&source)
            ))),
            _ => Ok(KeySource::Trail),
        }
    }
}
