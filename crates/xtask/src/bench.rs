//! The `bench` task: builds the benchmarks in release mode and runs one of them.
//!
//! Standard output contains only the output of `auditx-bench`, so that `--json` can be piped.

use std::path::PathBuf;

use crate::command;
use crate::failure::Failure;
use crate::workspace::{self, Workspace};

/// Runs `auditx-bench` with the arguments unchanged.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let modes = command::find("bench").map_or(&[][..], |command| command.modes);
    if !arguments.first().is_some_and(|mode| modes.contains(&mode.as_str())) {
        return Err(Failure::new(format!("`bench` needs one of: {}", modes.join(", "))));
    }
    if arguments.first().is_some_and(|mode| mode == "read") {
        let mut command = workspace.cargo(&["build", "--release", "--package", "auditx-cli"]);
        workspace::run(command.args(workspace.locked()))?;
    }
    let mut command = workspace.cargo(&["run", "--release", "--package", "auditx-bench"]);
    command.args(workspace.locked()).arg("--").args(arguments);
    if arguments.first().is_some_and(|mode| mode == "tree") {
        command.arg("--stubbed").arg(build_stubbed(workspace)?);
    }
    workspace::run(&mut command)
}

/// Builds the same program without hashing. It is a separate build, so that no published build has a switch
/// that disables hashing.
fn build_stubbed(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let target = workspace.root().join("target/stubbed");
    let mut command = workspace.cargo(&["build", "--release", "--package", "auditx-bench", "--target-dir"]);
    command.arg(&target).args(workspace.locked()).env("RUSTFLAGS", "--cfg auditx_stub_hashing");
    workspace::run(&mut command)?;
    Ok(target.join("release/auditx-bench"))
}
