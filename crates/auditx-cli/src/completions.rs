//! `auditx completions`: completion scripts for shells.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::failure::{Failure, Status};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The shell
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
    // Generated in memory first, because the generator does not handle a broken pipe.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "auditx", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Status::Success)
}
