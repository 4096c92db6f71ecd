//! This binary, started again for one part of a measurement.
//!
//! Comes in: arguments for a hidden subcommand. Goes out: what the child reports as JSON on its standard
//! output; its complaints go straight to standard error.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::Outcome;

/// The call that starts this binary again.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

/// Runs a part to its end and reads its report.
pub(crate) fn report<T: DeserializeOwned, A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
) -> Outcome<T> {
    let mut command = command(arguments)?;
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("a measured process ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
