//! The project's own commands, so that a developer, the CI script and a hosted runner all run the same steps.
//!
//! Comes in: `cargo xtask COMMAND`. Goes out: what the tools it starts print, and an exit status that is zero
//! only when everything passed. It holds no logic of the library, and never skips a step because something is
//! missing.

mod bench;
mod ci;
mod command;
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
