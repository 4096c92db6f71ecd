//! The files, packages and commands that exist, from the checkout, cargo's metadata and the help of the
//! `auditx` binary. Tests construct their own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::process::Stdio;

use serde_json::Value;

use crate::failure::Failure;
use crate::workspace::{self, Workspace};

type Help = Box<dyn Fn(&[&str]) -> Option<String>>;

pub(super) struct Project {
    pub(super) packages: Vec<Package>,
    /// Returns whether a path from the root exists.
    pub(super) exists: Box<dyn Fn(&str) -> bool>,
    /// Returns the output of `auditx WORDS --help`, or `None` if it fails.
    pub(super) help: Help,
}

#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) targets: Vec<Target>,
}

#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    /// Cargo's name for the kind: `bin`, `example`, `test`, `bench`, `lib`.
    pub(super) kind: String,
}

impl fmt::Debug for Project {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Project").field("packages", &self.packages).finish_non_exhaustive()
    }
}

impl Project {
    /// Reads the project from the checkout.
    pub(super) fn of(workspace: &Workspace) -> Result<Self, Failure> {
        let root = workspace.root().to_owned();
        Ok(Self {
            packages: packages(workspace)?,
            exists: Box::new(move |path| root.join(path).exists()),
            help: cached_help(workspace)?,
        })
    }

    pub(super) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

fn packages(workspace: &Workspace) -> Result<Vec<Package>, Failure> {
    let mut command = workspace.cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let broken = |what: String| Failure::new(format!("cannot read cargo's metadata: {what}"));
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| broken(error.to_string()))?;
    if !output.status.success() {
        return Err(broken(output.status.to_string()));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| broken(error.to_string()))?;
    let list = metadata["packages"].as_array().ok_or_else(|| broken("no packages".to_owned()))?;
    Ok(list.iter().map(package).collect())
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let target = |value: &Value| Target { name: text(&value["name"]), kind: text(&value["kind"][0]) };
    Package {
        name: text(&value["name"]),
        targets: value["targets"].as_array().into_iter().flatten().map(target).collect(),
    }
}

/// Returns a function that caches the help texts. It builds the binary first, so that a failed build is
/// reported as such and not as a missing command.
fn cached_help(workspace: &Workspace) -> Result<Help, Failure> {
    const COMMAND: [&str; 5] = ["--quiet", "--package", "auditx-cli", "--features", workspace::FEATURES];
    let mut build = workspace.cargo(&["build"]);
    build.args(COMMAND);
    workspace::run(build.args(workspace.locked()))?;
    let locked = workspace.locked();
    let root = Workspace::locate()?;
    let known: RefCell<BTreeMap<String, Option<String>>> = RefCell::default();
    Ok(Box::new(move |words| {
        let ask = || {
            let mut command = root.cargo(&["run"]);
            command.args(COMMAND).args(locked).arg("--").args(words).arg("--help").stdin(Stdio::null());
            let output = command.output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        known.borrow_mut().entry(words.join(" ")).or_insert_with(ask).clone()
    }))
}
