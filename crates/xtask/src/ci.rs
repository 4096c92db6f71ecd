//! The `ci` task: runs every check that a change must pass; those that fail fastest run first.
//!
//! It prints the heading, output and duration of each step. The first failure ends the run and names the
//! step.

use std::time::Instant;

use crate::command;
use crate::docs;
use crate::failure::Failure;
use crate::test;
use crate::workspace::{self, Workspace};

struct Step {
    name: &'static str,
    run: fn(&Workspace) -> Result<(), Failure>,
}

const STEPS: &[Step] = &[
    Step { name: "format", run: format },
    Step { name: "lint", run: lint },
    Step { name: "features", run: without_features },
    Step { name: "dependencies", run: crate::deny::run },
    Step { name: "test", run: test },
    Step { name: "miri", run: interpret },
    Step { name: "documentation", run: documentation },
    Step { name: "documents", run: documents },
];

/// Runs the steps until one fails.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    command::refuse_arguments("ci", arguments)?;
    let start = Instant::now();
    for (index, step) in STEPS.iter().enumerate() {
        println!("\n==== {}/{} {}", index + 1, STEPS.len(), step.name);
        let step_start = Instant::now();
        let outcome = (step.run)(workspace);
        let seconds = step_start.elapsed().as_secs_f64();
        if let Err(failure) = outcome {
            return Err(Failure::new(format!("step `{}` failed after {seconds:.1} s: {failure}", step.name)));
        }
        println!("==== {} passed in {seconds:.1} s", step.name);
    }
    println!("\n==== all {} steps passed in {:.1} s", STEPS.len(), start.elapsed().as_secs_f64());
    Ok(())
}

fn format(workspace: &Workspace) -> Result<(), Failure> {
    call(workspace.cargo(&["fmt", "--all", "--check"]))
}

fn lint(workspace: &Workspace) -> Result<(), Failure> {
    let mut command =
        workspace.cargo(&["clippy", "--workspace", "--all-targets", "--features", workspace::FEATURES]);
    command.args(workspace.locked()).args(["--", "-D", "warnings"]);
    call(command)
}

/// The published crates as they are built without any feature.
fn without_features(workspace: &Workspace) -> Result<(), Failure> {
    let mut command = workspace.cargo(&["clippy", "--no-default-features"]);
    command.args(["--package", "auditx-tower", "--package", "auditx-cli"]);
    command.args(workspace.locked()).args(["--", "-D", "warnings"]);
    call(command)
}

fn test(workspace: &Workspace) -> Result<(), Failure> {
    crate::setup::run(workspace, &[])?;
    call(test::command(workspace, &[]))
}

fn interpret(workspace: &Workspace) -> Result<(), Failure> {
    crate::miri::run(workspace, &[])
}

fn documentation(workspace: &Workspace) -> Result<(), Failure> {
    let mut command =
        workspace.cargo(&["doc", "--workspace", "--no-deps", "--features", workspace::FEATURES]);
    command.args(workspace.locked()).env("RUSTDOCFLAGS", "-D warnings");
    call(command)
}

fn documents(workspace: &Workspace) -> Result<(), Failure> {
    docs::run(workspace, &[])
}

/// Runs a command without incremental compilation, which costs time and disk space in a run that builds
/// everything once.
fn call(mut command: std::process::Command) -> Result<(), Failure> {
    println!("{}", workspace::spelled(&command));
    workspace::run(command.env("CARGO_INCREMENTAL", "0"))
}
