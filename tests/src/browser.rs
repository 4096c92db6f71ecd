//! A headless Chromium for one test: on a free port, with a temporary profile.
//!
//! It reaches only this machine: names other than `localhost` do not resolve, and its own background requests
//! are off. Its language is English and its time zone is UTC. Starting it takes less than a second.

#![expect(clippy::missing_panics_doc, reason = "a test may panic")]

use std::fs;
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::Child;
use crate::deadline::wait_until;
use crate::webdriver::Session;

/// A running browser with one window, used as its [`Session`]. Killed when dropped, also by a test that
/// panics.
#[derive(Debug)]
pub struct Browser {
    session: Session,
    processes: Processes,
}

/// The driver, which starts the browser. The browser's processes are in the driver's process group, except
/// for two that report crashes; all have the directory in their arguments.
#[derive(Debug)]
struct Processes {
    driver: Child,
    directory: TempDir,
}

/// The driver ends if the port that it chose for one version of IP is in use for the other.
const ATTEMPTS: usize = 5;

const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    "--disable-gpu",
    // Containers often have little memory there.
    "--disable-dev-shm-usage",
    "--lang=en-US",
    "--no-first-run",
    "--disable-default-apps",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // The variables for proxies do not apply to a test.
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// The value of `session.restore_on_startup` that opens `session.startup_urls`.
const OPEN_THESE: u32 = 4;

impl Browser {
    /// Starts a browser with an empty page.
    #[must_use]
    pub fn start() -> Self {
        let mut printed = Vec::new();
        for _ in 0..ATTEMPTS {
            // Owns both before the session is opened, which can fail after the browser has started.
            let processes = Processes::start();
            if let Some(port) = processes.port(&mut printed) {
                let session = Session::open(port, &options(processes.directory.path()));
                return Self { session, processes };
            }
        }
        panic!("chromedriver ended {ATTEMPTS} times before it had a port: {printed:#?}");
    }

    /// Returns the temporary directory that contains the profile.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.processes.directory.path()
    }
}

impl Processes {
    /// Starts the driver.
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("cannot create a folder: {error}"));
        let root = directory.path();
        let driver = Child::start(
            Command::new("chromedriver")
                .arg("--port=0")
                .arg(format!("--log-path={}", root.join("driver.log").display()))
                .arg("--log-level=WARNING")
                // Everything else that the browser writes.
                .env("HOME", root)
                .env("TMPDIR", root)
                .env("TZ", "UTC")
                .env_remove("XDG_CACHE_HOME")
                .env_remove("XDG_CONFIG_HOME")
                .env_remove("XDG_DATA_HOME")
                .stderr(Stdio::null())
                .process_group(0),
        );
        Self { driver, directory }
    }

    /// Returns the port that the driver chose; `None` if it ended first. Adds the lines before to `printed`.
    fn port(&self, printed: &mut Vec<String>) -> Option<u16> {
        while let Some(line) = self.driver.next_line() {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return Some(port.trim_end_matches('.').parse().expect("chromedriver prints a port"));
            }
            printed.push(line);
        }
        None
    }
}

/// Returns Chromium's options.
fn options(directory: &Path) -> Value {
    let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
    arguments.push(format!("--user-data-dir={}", directory.join("profile").display()));
    if rustix::process::geteuid().is_root() {
        // Its sandbox refuses to run as root.
        arguments.push("--no-sandbox".to_owned());
    }
    // Without these it opens its page for new tabs, which makes requests.
    let first_page =
        json!({ "session.restore_on_startup": OPEN_THESE, "session.startup_urls": ["about:blank"] });
    json!({ "args": arguments, "prefs": first_page })
}

impl Deref for Browser {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let group = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw);
        // It fails only if the whole group has already ended.
        group.map(|group| kill_process_group(group, Signal::KILL).ok());
        wait_until("the end of the browser", || {
            let left = processes_of(self.directory.path());
            for process in &left {
                // It fails only if the process has just ended.
                kill_process(*process, Signal::KILL).ok();
            }
            left.is_empty()
        });
    }
}

/// Returns the running processes that have this path in one of their arguments.
#[must_use]
pub fn processes_of(directory: &Path) -> Vec<Pid> {
    let directory = directory.to_str().expect("temporary folders have names in UTF-8");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let has_it = |process: &fs::DirEntry| {
        // Empty if the process has ended and is not waited for yet.
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(directory)
    };
    let id = |process: fs::DirEntry| process.file_name().to_str()?.parse().ok().and_then(Pid::from_raw);
    processes.filter(has_it).filter_map(id).collect()
}
