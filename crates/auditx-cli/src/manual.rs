//! `auditx man`: manual pages, and the same as Markdown, made from the flags themselves.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};

use crate::failure::{Failure, Status};
use crate::terminal::{self, harmless};

/// Writes the manual: pages for man(1), or one Markdown document
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Writes a page for each command into DIR
    #[arg(long, value_name = "DIR", required_unless_present = "markdown")]
    out: Option<PathBuf>,
    /// Prints docs/CLI.md
    #[arg(long, conflicts_with = "out")]
    markdown: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx man --out /usr/local/share/man/man1
  auditx man --markdown > docs/CLI.md";

/// What the document begins with.
const PREAMBLE: &str = "\
# The command `auditx`

Made by `auditx man --markdown` from the flags themselves; a test fails where this page is not what the command says.

One query language serves every command that takes a QUERY, and every flag of the same name means the same. Output is a table on a
terminal and JSON lines in a pipe; complaints and progress go to standard error. Nothing an entry says can steer a terminal.
";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let mut command = crate::Arguments::command();
    if let Some(directory) = &arguments.out {
        return pages(command.disable_help_subcommand(true), directory);
    }
    command.build();
    let mut out = io::stdout().lock();
    out.write_all(markdown(&command).as_bytes())?;
    out.flush()?;
    Ok(Status::Found)
}

/// One page for each command that is shown, `auditx-query.1`.
fn pages(command: Command, directory: &Path) -> Result<Status, Failure> {
    let place = harmless(&directory.to_string_lossy());
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory))
        .map_err(|error| Failure::said(format!("cannot write the pages into {place}: {error}")))?;
    let mut out = terminal::output();
    writeln!(out, "The pages are in {place}.")?;
    out.flush()?;
    Ok(Status::Found)
}

/// Every command's help, each below its name.
fn markdown(command: &Command) -> String {
    let mut text = PREAMBLE.to_owned();
    for (words, command) in all(command, "auditx") {
        let help = command.clone().bin_name(&words).render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        text.push_str(&format!("\n## {words}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    }
    text
}

/// A command and those below it that people are shown, each with the words that call it.
fn all<'c>(command: &'c Command, words: &str) -> Vec<(String, &'c Command)> {
    let mut found = vec![(words.to_owned(), command)];
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        found.extend(all(below, &format!("{words} {}", below.get_name())));
    }
    found
}
