//! `auditx keygen`: a new key to sign with.

use std::io::Write;
use std::path::PathBuf;

use auditx_core::SigningKey;

use crate::failure::{Failure, Status};
use crate::save;
use crate::terminal::{self, shell_word};

/// Makes a new Ed25519 key for signing checkpoints (PKCS #8 in PEM)
///
/// A trail makes its own key at its first open and keeps it in .auditx/keys. Make
/// one here to keep it elsewhere, where whoever can write the trail cannot read it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Writes the key into a new file that only you may read [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  auditx keygen -o /etc/erp/audit.pem
  AUDITX_SIGNING_KEY=file:/etc/erp/audit.pem ./erp     a new trail signs with it
  auditx key rotate --to file:/etc/erp/audit.pem       a trail that exists goes on with it

Exit status: 0 made, 2 an error";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let pem = SigningKey::generate().to_pem();
    let Some(path) = &arguments.output else {
        terminal::give(&pem)?;
        return Ok(Status::Found);
    };
    save::create_private(path, pem.as_bytes())?;
    let place = shell_word(path);
    let mut out = terminal::output();
    writeln!(out, "A new signing key is in {place}, for nobody but you to read.")?;
    writeln!(out, "A new trail signs with it where AUDITX_SIGNING_KEY=file:{place} is set;")?;
    writeln!(out, "a trail that exists goes on with it after `auditx key rotate --to file:{place}`.")?;
    out.flush()?;
    Ok(Status::Found)
}
