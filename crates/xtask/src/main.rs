//! The project's development commands, `cargo xtask COMMAND`. Developers, the CI script and hosted runners
//! run the same steps.
//!
//! The exit status is zero only if all steps passed. Except for `miri`, no step is skipped because a tool is
//! missing.

mod bench;
mod ci;
mod command;
mod deny;
mod docs;
mod failure;
mod fuzz;
mod miri;
mod setup;
mod test;
mod torture;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command::dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
