//! `auditx completions`: what a shell needs to complete commands and flags.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::failure::{Failure, Status};

/// Prints what a shell needs to complete commands and flags
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Which shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  auditx completions bash > ~/.local/share/bash-completion/completions/auditx
  auditx completions zsh > ~/.zfunc/_auditx
  auditx completions fish > ~/.config/fish/completions/auditx.fish";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let mut command = crate::Arguments::command();
    // Into memory first: the generator knows no broken pipes.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "auditx", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Status::Found)
}
