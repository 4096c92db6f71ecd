//! `auditx help`: what a command does, and its flags.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use crate::failure::{Failure, Status};
use crate::terminal::harmless;

/// Shows the help of a command
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The command, and the one below it [default: all of them in short]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  auditx help              every command in a line
  auditx help query        the same as auditx query --help
  auditx help key rotate   of a command below another one";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let root = crate::Arguments::command();
    let mut command = &root;
    for (place, word) in arguments.command.iter().enumerate() {
        match command.find_subcommand(word) {
            Some(below) => command = below,
            None => return Err(unknown(&arguments.command[..=place], command)),
        }
    }
    let words = arguments.command.iter().map(String::as_str);
    match crate::Arguments::try_parse_from(["auditx"].into_iter().chain(words).chain(["--help"])) {
        Err(answer) => Failure::of_command_line(&answer),
        Ok(_) => Ok(Status::Found),
    }
}

/// A command line in which `key help rotate` is `help key rotate`.
pub(crate) fn moved_to_front(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.collect();
    let root = crate::Arguments::command();
    let is_below = |word: &OsString| root.find_subcommand(word).is_some_and(clap::Command::has_subcommands);
    if words.get(1).is_some_and(is_below) && words.get(2).is_some_and(|word| word == "help") {
        words.swap(1, 2);
    }
    words
}

/// As a call of it would be answered, with what was perhaps meant.
fn unknown(words: &[String], command: &clap::Command) -> Failure {
    let word = words.last().map_or("", String::as_str);
    let call = ["auditx"].into_iter().chain(words.iter().map(String::as_str));
    match crate::Arguments::try_parse_from(call) {
        Err(answer) if command.has_subcommands() && answer.use_stderr() => {
            Failure::of_command_line(&answer).err().unwrap_or(Failure::NoReader)
        }
        _ => Failure::said(format!("{} has no command {:?} below it", command.get_name(), harmless(word))),
    }
}
