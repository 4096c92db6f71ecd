//! The `dependencies` step of CI: cargo-deny checks licences, duplicates and sources by `deny.toml`.
//!
//! Advisories are not checked: their database is not in a package registry.

use std::process::Command;

use crate::failure::Failure;
use crate::setup;
use crate::workspace::{self, Workspace};

const VERSION: &str = "0.20.2";

/// Installs cargo-deny below `target` if it is not there, and runs it.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let folder = workspace.tools().join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny").to_string_lossy().into_owned();
    if !setup::works(&[&program, "--version"]) {
        let mut install = workspace.cargo(&["install", "cargo-deny", "--locked", "--quiet"]);
        workspace::run(install.args(["--version", VERSION, "--root"]).arg(&folder))?;
    }
    let check = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        workspace::run(command.current_dir(workspace.root()).args(arguments))
    };
    check(&["--all-features", "check", "licenses", "sources"])?;
    // The clients of engines and of witnesses bring cryptography of several generations.
    let mut arguments = Vec::new();
    for clients in ["auditx-nats", "auditx-postgres", "auditx-s3", "auditx-timestamp", "auditx-witness"] {
        arguments.extend(["--exclude", clients]);
    }
    arguments.extend(["check", "bans"]);
    check(&arguments)
}
