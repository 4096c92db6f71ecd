//! The `test` task: every test of the workspace, documentation included.
//!
//! Comes in: further arguments for cargo. Goes out: cargo's own report. The measurements are left out because
//! they test nothing; whatever a test needs and does not find is a failure, never a skip.

use std::process::Command;

use crate::failure::Failure;
use crate::setup;
use crate::workspace::{self, Workspace};

/// Runs `setup`, then the tests.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    setup::run(workspace, &[])?;
    workspace::run(&mut command(workspace, arguments))
}

/// The cargo call that runs the tests.
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Command {
    let mut command = workspace.cargo(&["test", "--workspace", "--exclude", "auditx-bench"]);
    command.args(workspace.locked()).args(arguments);
    command
}
