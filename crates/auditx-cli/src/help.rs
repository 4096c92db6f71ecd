//! `auditx help`: prints the help of a command.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use crate::failure::{Failure, Status};
use crate::terminal::sanitized;

/// Show the help of a command
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The command, and its subcommand [default: list all commands]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  auditx help              list all commands
  auditx help query        the same as auditx query --help
  auditx help key rotate   the help of a subcommand";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let root = crate::Arguments::command();
    let mut command = &root;
    for (index, word) in arguments.command.iter().enumerate() {
        match command.find_subcommand(word) {
            Some(below) => command = below,
            None => return Err(unknown(&arguments.command[..=index], command)),
        }
    }
    let words = arguments.command.iter().map(String::as_str);
    match crate::Arguments::try_parse_from(["auditx"].into_iter().chain(words).chain(["--help"])) {
        Err(answer) => Failure::of_command_line(&answer),
        Ok(_) => Ok(Status::Success),
    }
}

/// Turns `key help rotate` into `help key rotate`.
pub(crate) fn with_help_first(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.collect();
    let root = crate::Arguments::command();
    let is_below = |word: &OsString| root.find_subcommand(word).is_some_and(clap::Command::has_subcommands);
    if words.get(1).is_some_and(is_below) && words.get(2).is_some_and(|word| word == "help") {
        words.swap(1, 2);
    }
    words
}

/// Returns the error of clap for an unknown command, with its suggestion.
fn unknown(words: &[String], command: &clap::Command) -> Failure {
    let word = words.last().map_or("", String::as_str);
    let call = ["auditx"].into_iter().chain(words.iter().map(String::as_str));
    match crate::Arguments::try_parse_from(call) {
        Err(answer) if command.has_subcommands() && answer.use_stderr() => {
            Failure::of_command_line(&answer).err().unwrap_or(Failure::OutputClosed)
        }
        _ => Failure::new(format!("{} has no subcommand {:?}", command.get_name(), sanitized(word))),
    }
}
