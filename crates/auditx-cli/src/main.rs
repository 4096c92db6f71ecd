//! The command `auditx`: searches, verifies, exports and maintains audit trails.
//!
//! Results go to standard output, errors and warnings as `auditx: …` to standard error. The exit status is 0
//! on success, 1 if nothing was found, a check failed or an entry was refused, 2 on an error; `verify` returns
//! 3 if it found no fault but could not check everything. Only `demo`, `record`, `ui`, `key rotate`, `recover`,
//! `retire`, `erase`, `ship drop` and `capture run` write to a trail, each through the library.

mod terminal;
mod failure;
mod number;
mod progress;
mod evidence;
mod tsa;
mod signals;
mod save;
mod metrics_file;
mod trail;
mod family;
mod merge;
mod paint;
mod sanitized_json;
mod cell;
mod table;
mod runtime;
mod fields;
mod zone;
mod spill;
mod sort;
mod columns;
mod diff;
mod mapper;
mod render;
mod summary;
mod negation;
mod selection;
#[cfg_attr(not(feature = "ship"), path = "destination/absent.rs")]
mod destination;
#[cfg_attr(not(feature = "ship"), path = "database/absent.rs")]
mod database;
mod around;
mod query;
mod tail;
mod history;
mod stats;
mod values;
mod survey;
mod export;
mod bundle;
mod ui;
mod demo;
mod record;
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
mod ship;
mod capture;
mod cosign;
mod witness;
mod timestamp;
mod completions;
mod manual;
mod help;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Search, verify and maintain audit trails: who did what, when and where
#[derive(Debug, Parser)]
#[command(name = "auditx", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Record(record::Arguments),
    Query(query::Arguments),
    History(history::Arguments),
    Stats(stats::Arguments),
    Fields(survey::Arguments),
    Values(values::Arguments),
    Export(export::Arguments),
    Bundle(bundle::Arguments),
    Tail(tail::Arguments),
    Ui(ui::Arguments),
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
    Capture(capture::Arguments),
    Cosign(cosign::Arguments),
    Witness(witness::Arguments),
    Timestamp(timestamp::Arguments),
    Completions(completions::Arguments),
    Man(manual::Arguments),
    Help(help::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  auditx demo                                      record a dozen entries in ./logs and show them
  auditx record 'Backup done' --action EXPORT      record an entry from a script
  auditx query --user admin --since today          who did what, when and where
  auditx query --failed -o csv > failures.csv      failed actions as CSV; also json, ndjson, diff, raw
  auditx history customer/CUST-220                 every change of one record
  auditx stats --by user,action --since 7d         count entries by user and action
  auditx fields                                    list fields; auditx values user: the values of one
  auditx tail --dir /var/log/erp -f                show entries as they are recorded
  auditx ui --dir /var/log/erp                     look at a trail in a browser
  auditx export --format ocsf -o entries.jsonl     write entries for a SIEM
  auditx bundle --ref SI-2026-0042 -o case.zip     pack entries and proofs for an auditor
  auditx doctor --dir /var/log/erp                 examine a trail and report problems
  auditx key show --dir /var/log/erp               print the public key of a trail
  auditx verify --dir /var/log/erp --key VKEY      check that every line is as it was signed
  auditx prove 42 --dir /var/log/erp > proof       write a proof of one line
  auditx check proof --key VKEY                    check a proof without the trail
  auditx ship --dir /var/log/erp --to postgres://… copy signed lines to a database
  auditx capture run --from postgres://… --dir DIR record what changed in a database
  auditx verify --policy erp.policy --fresh 10m    require that witnesses cosigned the trail
  auditx verify --key VKEY --tsa-roots tsa.pem     compare the times of lines with time stamps

Exit status: 0 success, 1 nothing found or a check failed, 2 an error; verify: 3 not all could be checked";

fn main() -> ExitCode {
    let words = help::with_help_first(negation::in_brackets(std::env::args_os()));
    let outcome = match Arguments::try_parse_from(words) {
        Ok(arguments) => match &arguments.command {
            Command::Demo(arguments) => demo::run(arguments),
            Command::Record(arguments) => record::run(arguments),
            Command::Query(arguments) => query::run(arguments),
            Command::History(arguments) => history::run(arguments),
            Command::Stats(arguments) => stats::run(arguments),
            Command::Fields(arguments) => survey::run(arguments),
            Command::Values(arguments) => values::run(arguments),
            Command::Export(arguments) => export::run(arguments),
            Command::Bundle(arguments) => bundle::run(arguments),
            Command::Tail(arguments) => tail::run(arguments),
            Command::Ui(arguments) => ui::run(arguments),
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
            Command::Capture(arguments) => capture::run(arguments),
            Command::Cosign(arguments) => cosign::run(arguments),
            Command::Witness(arguments) => witness::run(arguments),
            Command::Timestamp(arguments) => timestamp::run(arguments),
            Command::Completions(arguments) => completions::run(arguments),
            Command::Man(arguments) => manual::run(arguments),
            Command::Help(arguments) => help::run(arguments),
        },
        Err(answer) => Failure::of_command_line(&answer),
    };
    outcome.unwrap_or_else(|failure| failure.report()).into()
}
