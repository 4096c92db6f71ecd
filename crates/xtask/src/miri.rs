//! The `miri` task: the ring's protocol on the heap, interpreted, so that undefined behaviour and data races show.
//!
//! Comes in: nothing. Goes out: Miri's report; or, where there is no nightly compiler with Miri, one line that says so.

use std::process::Command;

use crate::command;
use crate::failure::Failure;
use crate::setup::works;
use crate::workspace::{self, Workspace};

/// Runs the ring's tests under Miri, where it is installed.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    command::refuse_arguments("miri", arguments)?;
    if !works(&["cargo", "+nightly", "miri", "--version"]) {
        println!(
            "miri: there is no nightly compiler with Miri here, and nothing was interpreted: \
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
        "auditx-core",
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
