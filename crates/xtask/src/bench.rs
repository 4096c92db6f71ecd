//! The `bench` task: builds the measurements in release and runs them.
//!
//! Comes in: a mode and its arguments. Goes out: what `auditx-bench` prints; standard output carries nothing
//! else, so that `--json` can be piped.

use crate::command;
use crate::failure::Failure;
use crate::workspace::{self, Workspace};

/// Runs `auditx-bench` with the arguments as they are.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let modes = command::find("bench").map_or(&[][..], |command| command.modes);
    if !arguments.first().is_some_and(|mode| modes.contains(&mode.as_str())) {
        return Err(Failure::new(format!("`bench` needs one of: {}", modes.join(", "))));
    }
    let mut command = workspace.cargo(&["run", "--release", "--package", "auditx-bench"]);
    command.args(workspace.locked()).arg("--").args(arguments);
    workspace::run(&mut command)
}
