//! The `bench` task: builds the benchmarks in release mode and runs one of them.
//!
//! Standard output contains only the output of `auditx-bench`, so that `--json` can be piped.

use crate::command;
use crate::failure::Failure;
use crate::workspace::{self, Workspace};

/// Runs `auditx-bench` with the arguments unchanged.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let modes = command::find("bench").map_or(&[][..], |command| command.modes);
    if !arguments.first().is_some_and(|mode| modes.contains(&mode.as_str())) {
        return Err(Failure::new(format!("`bench` needs one of: {}", modes.join(", "))));
    }
    if arguments.first().is_some_and(|mode| matches!(mode.as_str(), "read" | "ui" | "performance")) {
        let mut command = workspace.cargo(&["build", "--release", "--package", "auditx-cli"]);
        workspace::run(command.args(workspace.locked()))?;
    }
    let mut command = workspace.cargo(&["run", "--release", "--package", "auditx-bench"]);
    command.args(workspace.locked()).arg("--").args(arguments);
    workspace::run(&mut command)
}
