//! The checkout, and the cargo commands of the tasks, which run at its root and use the committed lock file.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The features that are not defaults and that tests, lints and documents need.
pub(crate) const FEATURES: &str = "auditx-cli/ship";

/// The root of the checkout.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the root from this crate's manifest, independent of the working directory.
    pub(crate) fn locate() -> Result<Self, Failure> {
        // Cargo sets the variable at run time; the compiled-in path is used if the binary is started
        // directly.
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

    /// Returns the folder for the programs that the tasks install, each in a folder of its own.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("target/tools")
    }

    /// Returns a cargo command at the root, with the toolchain that runs this task.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// Returns `--locked` if there is a lock file, so that no task changes it.
    pub(crate) fn locked(&self) -> &'static [&'static str] {
        if self.root.join("Cargo.lock").is_file() { &["--locked"] } else { &[] }
    }
}

/// Runs a command with this process's standard streams. Fails if its exit status is not zero.
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

/// Formats a command as typed in a shell.
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
