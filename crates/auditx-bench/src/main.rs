//! `auditx-bench`: auditx and its peers, measured side by side in one run.
//!
//! Comes in: what to measure and how often. Goes out: medians over interleaved runs, as a table or as one
//! JSON object a line. Every run is a process of its own, so that no subject inherits another's threads,
//! memory or global logger, and every run counts the lines it left behind: a subject that lost one fails the
//! whole measurement. Linux only.

mod child;
mod durable;
mod facts;
mod goal;
mod http;
mod make;
mod open;
mod performance;
mod output;
mod quantile;
mod read;
mod record;
mod repetition;
mod report;
mod ship;
mod tree;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What fails here ends the measurement, so a message is all anyone needs.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Debug, Parser)]
#[command(version, about = "Measures auditx beside its peers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Latency of one recording call, and entries per second until all are in the file
    Record(record::Options),
    /// Receipts per second, and how long one takes, beside one fdatasync for each line
    Durable(durable::Options),
    /// Both of the above, as a page
    Performance(performance::Options),
    /// Requests per second through one server worker, and the server's CPU time per request
    Http(http::Options),
    /// Seconds to verify a whole trail, beside one SHA-256 over the same bytes
    Verify(verify::Options),
    /// Seconds that the command `auditx` takes to answer, beside ripgrep, grep, jq and DuckDB on the same files
    Read(read::Options),
    /// Milliseconds to open a trail that was closed in order
    Open(open::Options),
    /// Throughput of recording, beside the same program without hashing
    Tree(tree::Options),
    /// Lines a second into other engines, beside those engines' own bulk loading, and what an embedded shipper costs
    Ship(ship::Options),
    /// A large trail as an ERP would leave it
    Make(make::Options),
    #[command(hide = true)]
    VerifyRun(verify::RunOptions),
    #[command(hide = true)]
    ReadRun(read::RunOptions),
    #[command(hide = true)]
    ShipRun(ship::RunOptions),
    #[command(hide = true)]
    OpenRun(open::RunOptions),
    #[command(hide = true)]
    RecordRun(record::RunOptions),
    #[command(hide = true)]
    Serve(http::ServeOptions),
    #[command(hide = true)]
    Load(http::LoadOptions),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Record(options) => record::measure(&options),
        Command::Durable(options) => durable::measure(&options),
        Command::Performance(options) => performance::measure(&options),
        Command::Http(options) => http::measure(&options),
        Command::Verify(options) => verify::measure(&options),
        Command::Ship(options) => ship::measure(&options),
        Command::ShipRun(options) => ship::run(&options),
        Command::Read(options) => read::measure(&options),
        Command::Open(options) => open::measure(&options),
        Command::Tree(options) => tree::measure(&options),
        Command::Make(options) => make::make(&options),
        Command::VerifyRun(options) => verify::run(&options),
        Command::ReadRun(options) => read::run(&options),
        Command::OpenRun(options) => open::run(&options),
        Command::RecordRun(options) => record::run(&options),
        Command::Serve(options) => http::serve(&options),
        Command::Load(options) => http::load(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("auditx-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
