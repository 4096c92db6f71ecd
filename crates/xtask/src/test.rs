//! The `test` task: runs all tests of the workspace, including those in documentation.
//!
//! The benchmarks are excluded, because they test nothing. A tool that a test needs and cannot find is a
//! failure, never a skipped test.

use std::process::Command;

use crate::failure::Failure;
use crate::setup;
use crate::workspace::{self, Workspace};

/// Runs `setup`, then the tests.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    setup::run(workspace, &[])?;
    workspace::run(&mut command(workspace, arguments))
}

/// Returns the cargo command that runs the tests.
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Command {
    let mut command = workspace.cargo(&[
        "test",
        "--workspace",
        "--exclude",
        "auditx-bench",
        "--features",
        workspace::FEATURES,
    ]);
    command.args(workspace.locked()).args(arguments);
    command
}
