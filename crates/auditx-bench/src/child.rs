//! Runs one part of a benchmark in a child process, which is this binary with a hidden subcommand.
//!
//! The child reports JSON on standard output; its standard error is inherited.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::Outcome;

/// Returns a command that starts this binary.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Outcome<Command> {
    Ok(command_of(&std::env::current_exe()?, arguments))
}

/// Returns a command that starts another build of this binary.
pub(crate) fn command_of<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Runs this binary with the arguments and returns its report.
pub(crate) fn report<T: DeserializeOwned, A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
) -> Outcome<T> {
    report_of(command(arguments)?)
}

/// Runs a command and returns its report.
pub(crate) fn report_of<T: DeserializeOwned>(mut command: Command) -> Outcome<T> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("a measured process ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
