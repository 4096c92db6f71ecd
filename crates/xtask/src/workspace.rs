//! The checkout that the tasks work on, and the cargo calls they make in it.
//!
//! Comes in: where this crate's manifest lies. Goes out: cargo commands that start at the root and keep to
//! the committed lock file. It changes nothing in the checkout itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The root of the checkout.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the root from this crate's manifest, wherever the caller stands.
    pub(crate) fn locate() -> Result<Self, Failure> {
        // Cargo tells the place at run time; the compiled-in one is for a binary started by hand.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        match manifest.ancestors().nth(2) {
            Some(root) if root.join("Cargo.toml").is_file() => Ok(Self { root: root.to_owned() }),
            _ => Err(Failure::new(format!("no workspace above {}", manifest.display()))),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A cargo command at the root, on the toolchain that runs this task.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// `--locked` once a lock file is there, so that no task changes it behind the reader's back.
    pub(crate) fn locked(&self) -> &'static [&'static str] {
        if self.root.join("Cargo.lock").is_file() { &["--locked"] } else { &[] }
    }
}

/// Runs a command with this terminal, and fails unless it exits with zero.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command
        .status()
        .map_err(|error| Failure::new(format!("cannot start {}: {error}", spelled(command))))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{} ended with {status}", spelled(command))))
    }
}

/// The command as one would type it.
pub(crate) fn spelled(command: &Command) -> String {
    let program =
        Path::new(command.get_program()).file_name().unwrap_or(command.get_program()).to_string_lossy();
    let mut text = format!("`{program}");
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text.push('`');
    text
}
