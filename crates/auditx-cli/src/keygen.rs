//! `auditx keygen`: generates a signing key.

use std::io::Write;
use std::path::PathBuf;

use auditx_core::SigningKey;

use crate::failure::{Failure, Status};
use crate::save;
use crate::terminal::{self, shell_word};

/// Generate an Ed25519 key for signing checkpoints (PKCS #8 in PEM)
///
/// A trail generates its own key when it is first opened and keeps it in
/// .auditx/keys. Use this command to keep the key in another place, where those who
/// can write the trail cannot read it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Write the key to a new file that only you can read [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  auditx keygen -o /etc/erp/audit.pem
  AUDITX_SIGNING_KEY=file:/etc/erp/audit.pem ./erp     a new trail uses it
  auditx key rotate --to file:/etc/erp/audit.pem       an existing trail uses it from now on

Exit status: 0 generated, 2 an error";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let pem = SigningKey::generate().to_pem();
    let Some(path) = &arguments.output else {
        terminal::print_text(&pem)?;
        return Ok(Status::Success);
    };
    save::create_private(path, pem.as_bytes())?;
    let display_path = shell_word(path);
    let mut out = terminal::output();
    writeln!(out, "Wrote a new signing key to {display_path}, which only you can read.")?;
    writeln!(out, "A new trail uses it if AUDITX_SIGNING_KEY=file:{display_path} is set;")?;
    writeln!(out, "an existing trail uses it after `auditx key rotate --to file:{display_path}`.")?;
    out.flush()?;
    Ok(Status::Success)
}
