//! The command `auditx`: shows what a trail holds, and how it is made.
//!
//! Comes in: a command line. Goes out: text on standard output, `auditx: …` on standard error where something failed,
//! and an exit status: 0 found or well, 1 nothing found or not well, 2 an error. Only `demo` writes anything.

mod failure;
mod terminal;
mod table;
mod demo;
mod tail;
mod doctor;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Records, shows and examines audit trails: who did what, when and where
#[derive(Debug, Parser)]
#[command(name = "auditx", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Tail(tail::Arguments),
    Doctor(doctor::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  auditx demo                          records a dozen entries into ./logs and shows them
  auditx tail --dir /var/log/erp -f    shows entries as they are recorded
  auditx doctor --dir /var/log/erp     says what is there, and whether all is well

Exit status: 0 found or well, 1 nothing found or not well, 2 an error";

fn main() -> ExitCode {
    let outcome = match Arguments::try_parse() {
        Ok(arguments) => match &arguments.command {
            Command::Demo(arguments) => demo::run(arguments),
            Command::Tail(arguments) => tail::run(arguments),
            Command::Doctor(arguments) => doctor::run(arguments),
        },
        Err(answer) => Failure::of_command_line(&answer),
    };
    outcome.unwrap_or_else(|failure| failure.report()).into()
}
