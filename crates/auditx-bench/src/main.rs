//! `auditx-bench`: measures auditx and comparable programs in the same run.
//!
//! It prints medians over interleaved runs, as a table or as one JSON object per line. Each run is a separate
//! process, so that no subject inherits another's threads, memory or global logger. Each run counts the lines
//! that it wrote: if a subject lost one, the whole benchmark fails. Linux only.

mod child;
mod facts;
mod goal;
mod make;
mod memory;
mod output;
mod quantile;
mod repetition;
mod report;
mod svg;
mod durable;
mod http;
mod open;
mod read;
mod record;
mod processes;
mod verify;
mod ui;
mod ship;
mod capture;
mod witness;
mod performance;

use std::process::ExitCode;

use auditx_tests::allocations::Counting;
use clap::{Parser, Subcommand};

/// Counts for all subjects alike; about a nanosecond for each allocation.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The error type: every error ends the benchmark, so a message is sufficient.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Debug, Parser)]
#[command(version, about = "Compares auditx with other programs")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the latency of recording calls, and entries per second until all are in the file
    Record(record::Options),
    /// Measure several processes that record into one trail, compared with several that append to one file
    Processes(processes::Options),
    /// Measure receipts per second and their latency, compared with one fdatasync per line
    Durable(durable::Options),
    /// Run the other benchmarks and write a page with pictures
    Performance(performance::Options),
    /// Measure requests per second with one server worker, and the server's CPU time per request
    Http(http::Options),
    /// Measure the time to verify a whole trail, compared with SHA-256 of the same bytes
    Verify(verify::Options),
    /// Measure queries of the command `auditx`, compared with ripgrep, grep, jq and DuckDB on the same files
    Read(read::Options),
    /// Measure the pages of `auditx ui` over a large trail
    Ui(ui::Options),
    /// Measure the time to open a trail that was closed normally
    Open(open::Options),
    /// Measure shipping in lines per second, compared with bulk loading, and the cost of an embedded shipper
    Ship(ship::Options),
    /// Measure how soon and how fast changes of a database are collected, and what the trigger costs an UPDATE
    Capture(capture::Options),
    /// Measure the cosignatures of witnesses, and verification with a policy
    Witness(witness::Options),
    /// Create a large trail like that of an ERP
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
    ProcessesRun(processes::RunOptions),
    #[command(hide = true)]
    Serve(http::ServeOptions),
    #[command(hide = true)]
    Load(http::LoadOptions),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Record(options) => record::measure(&options),
        Command::Processes(options) => processes::measure(&options),
        Command::ProcessesRun(options) => processes::run(&options),
        Command::Durable(options) => durable::measure(&options),
        Command::Performance(options) => performance::measure(&options),
        Command::Http(options) => http::measure(&options),
        Command::Verify(options) => verify::measure(&options),
        Command::Ship(options) => ship::measure(&options),
        Command::Capture(options) => capture::measure(&options),
        Command::ShipRun(options) => ship::run(&options),
        Command::Read(options) => read::measure(&options),
        Command::Ui(options) => ui::measure(&options),
        Command::Open(options) => open::measure(&options),
        Command::Witness(options) => witness::measure(&options),
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
