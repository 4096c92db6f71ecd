//! The `miri` task: runs the tests of the ring's protocol, on heap memory, under Miri, which detects
//! undefined behaviour and data races.
//!
//! Without a nightly compiler with Miri, it prints one line that says so and succeeds.

use std::process::Command;

use crate::command;
use crate::failure::Failure;
use crate::setup::works;
use crate::workspace::{self, Workspace};

/// Runs the ring's tests under Miri if it is installed.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    command::refuse_arguments("miri", arguments)?;
    if !works(&["cargo", "+nightly", "miri", "--version"]) {
        println!(
            "miri: skipped, because no nightly compiler with Miri is installed; install it with \
             `rustup toolchain install nightly --profile minimal --component miri,rust-src`"
        );
        return Ok(());
    }
    let mut command = Command::new("cargo");
    command.args([
        "+nightly",
        "miri",
        "test",
        "--package",
        "auditx-store",
        "--lib",
        "--target-dir",
        "target/miri",
    ]);
    command.args(workspace.locked()).arg("ring::queue").current_dir(workspace.root());
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    workspace::run(command.env("MIRIFLAGS", "-Zmiri-disable-isolation"))
}
