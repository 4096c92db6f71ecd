//! This binary, started again for one part of a measurement.
//!
//! Comes in: arguments for a hidden subcommand. Goes out: what the child reports as JSON on its standard
//! output; its complaints go straight to standard error.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::Outcome;

/// The call that starts this binary again.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Outcome<Command> {
    Ok(command_of(&std::env::current_exe()?, arguments))
}

/// The call that starts another build of this binary.
pub(crate) fn command_of<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Runs a part to its end and reads its report.
pub(crate) fn report<T: DeserializeOwned, A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
) -> Outcome<T> {
    report_of(command(arguments)?)
}

/// Runs a process to its end and reads its report.
pub(crate) fn report_of<T: DeserializeOwned>(mut command: Command) -> Outcome<T> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("a measured process ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
