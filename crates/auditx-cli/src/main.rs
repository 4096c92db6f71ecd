//! The command `auditx`: shows what a trail holds, and how it is made.
//!
//! Comes in: a command line. Goes out: text on standard output, `auditx: …` on standard error where something failed,
//! and an exit status: 0 found or well, 1 nothing found or not well, 2 an error; `verify` has 3 where it cannot be sure.
//! Only `demo`, `key rotate`, `recover`, `retire`, `erase` and `ship drop` write a trail, each through the library.

mod failure;
mod terminal;
mod number;
mod progress;
mod evidence;
mod save;
mod trail;
mod paint;
mod cell;
mod table;
mod harmless_json;
mod change;
mod fields;
mod zone;
mod spill;
mod sort;
mod columns;
mod diff;
mod mapper;
mod form;
mod question;
mod summary;
mod around;
mod query;
mod tail;
mod history;
mod stats;
mod values;
mod survey;
mod export;
mod bundle;
mod demo;
mod doctor;
mod verify;
mod prove;
mod check;
mod checkpoint;
mod keygen;
mod key;
mod recover;
mod retire;
mod erase;
mod destination;
mod ship;
mod completions;
mod manual;
mod help;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Records, shows and examines audit trails: who did what, when and where
#[derive(Debug, Parser)]
#[command(name = "auditx", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Query(query::Arguments),
    History(history::Arguments),
    Stats(stats::Arguments),
    Fields(survey::Arguments),
    Values(values::Arguments),
    Export(export::Arguments),
    Bundle(bundle::Arguments),
    Tail(tail::Arguments),
    Doctor(doctor::Arguments),
    Verify(verify::Arguments),
    Prove(prove::Arguments),
    Check(check::Arguments),
    Checkpoint(checkpoint::Arguments),
    Keygen(keygen::Arguments),
    Key(key::Arguments),
    Recover(recover::Arguments),
    Retire(retire::Arguments),
    Erase(erase::Arguments),
    Ship(ship::Arguments),
    Completions(completions::Arguments),
    Man(manual::Arguments),
    Help(help::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  auditx demo                                      records a dozen entries into ./logs and shows them
  auditx query --user admin --since today          who did what, when and where
  auditx query --failed -o csv > failures.csv      the same for a spreadsheet; also json, ndjson, diff, raw
  auditx history customer/CUST-220                 one record's life: who changed which field
  auditx stats --by user,action --since 7d         how much of what
  auditx fields                                    which fields there are; auditx values user: what one holds
  auditx tail --dir /var/log/erp -f                shows entries as they are recorded
  auditx export --format ocsf -o entries.jsonl     for a SIEM
  auditx bundle --ref SI-2026-0042 -o case.zip     for an auditor: entries, proofs, and how to check them
  auditx doctor --dir /var/log/erp                 says what is there, and whether all is well
  auditx key show --dir /var/log/erp               prints the key that checks what was signed
  auditx verify --dir /var/log/erp --key VKEY      says whether every line is the one that was signed
  auditx prove 42 --dir /var/log/erp > proof       proves one line to somebody without the trail …
  auditx check proof --key VKEY                    … who checks it with nothing but the key
  auditx ship --dir /var/log/erp --to postgres://… copies what is signed to an engine that you run

Exit status: 0 found or well, 1 nothing found or not well, 2 an error; of verify also 3, it cannot be sure";

fn main() -> ExitCode {
    let words = help::moved_to_front(question::without_false_flags(std::env::args_os()));
    let outcome = match Arguments::try_parse_from(words) {
        Ok(arguments) => match &arguments.command {
            Command::Demo(arguments) => demo::run(arguments),
            Command::Query(arguments) => query::run(arguments),
            Command::History(arguments) => history::run(arguments),
            Command::Stats(arguments) => stats::run(arguments),
            Command::Fields(arguments) => survey::run(arguments),
            Command::Values(arguments) => values::run(arguments),
            Command::Export(arguments) => export::run(arguments),
            Command::Bundle(arguments) => bundle::run(arguments),
            Command::Tail(arguments) => tail::run(arguments),
            Command::Doctor(arguments) => doctor::run(arguments),
            Command::Verify(arguments) => verify::run(arguments),
            Command::Prove(arguments) => prove::run(arguments),
            Command::Check(arguments) => check::run(arguments),
            Command::Checkpoint(arguments) => checkpoint::run(arguments),
            Command::Keygen(arguments) => keygen::run(arguments),
            Command::Key(arguments) => key::run(arguments),
            Command::Recover(arguments) => recover::run(arguments),
            Command::Retire(arguments) => retire::run(arguments),
            Command::Erase(arguments) => erase::run(arguments),
            Command::Ship(arguments) => ship::run(arguments),
            Command::Completions(arguments) => completions::run(arguments),
            Command::Man(arguments) => manual::run(arguments),
            Command::Help(arguments) => help::run(arguments),
        },
        Err(answer) => Failure::of_command_line(&answer),
    };
    outcome.unwrap_or_else(|failure| failure.report()).into()
}
