//! A PostgreSQL server for one test: on a free port, in a temporary directory, with a password.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::deadline::wait_for;
use crate::tool::free_ports;

const PASSWORD: &str = "secret";

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    port: u16,
    directory: TempDir,
    settings: &'static [&'static str],
}

/// Returns a program of PostgreSQL: the newest version that Debian's packages install, or the one in the search
/// path.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

/// Returns the command for a server program. They refuse to run as root, so root runs them as another user.
fn command(name: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program(name));
    command
}

/// Returns the id of the user (`-u`) or group (`-g`) that Debian's package creates.
fn number(what: &str) -> u32 {
    let output = Command::new("id").args([what, "postgres"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("run `cargo xtask setup`")
}

/// Makes the user that the server runs as the owner of a file.
fn own(path: &Path) {
    if rustix::process::geteuid().is_root() {
        chown(path, Some(number("-u")), Some(number("-g"))).unwrap();
    }
}

fn spawn(directory: &TempDir, port: u16, settings: &[&str]) -> Child {
    command("postgres")
        .arg("-D")
        .arg(directory.path().join("data"))
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""])
        .args(["-c", "log_min_messages=fatal"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns the processes whose parent is this one.
fn children(parent: Pid) -> Vec<Pid> {
    let is_child = |stat: &str| {
        // The name of the program, in parentheses, may have any characters.
        let (_, rest) = stat.rsplit_once(')')?;
        (rest.split_whitespace().nth(1)?.parse() == Ok(parent.as_raw_nonzero().get())).then_some(())
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        is_child(&fs::read_to_string(entry.path().join("stat")).ok()?).map(|()| pid)
    });
    processes.collect()
}

impl Server {
    /// Starts an empty server with the superuser `admin`. It does not sync, because tests kill processes, not
    /// machines.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&["fsync=off", "shared_buffers=16MB"])
    }

    /// Starts an empty server with these settings.
    #[must_use]
    pub fn start_with(settings: &'static [&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let password = directory.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        own(directory.path());
        own(&password);
        let output = command("initdb")
            .arg("-D")
            .arg(directory.path().join("data"))
            .args(["-U", "admin", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--pwfile={}", password.display()))
            .output()
            .unwrap_or_else(|error| panic!("cannot start initdb ({error}): run `cargo xtask setup`"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let [port] = free_ports();
        let mut server = Self { process: spawn(&directory, port, settings), port, directory, settings };
        server.wait();
        server
    }

    /// Waits until the server answers. Starts it again if it has ended, which happens if its port was taken
    /// or its old shared memory still exists.
    pub fn wait(&mut self) {
        wait_for("an answer from PostgreSQL", || {
            if self.process.try_wait().unwrap().is_some() {
                self.process = spawn(&self.directory, self.port, self.settings);
            }
            self.try_sql("SELECT 1").ok()
        });
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Kills the server and all its processes with SIGKILL, so that none of them can finish anything.
    pub fn kill_all(&mut self) {
        // A server that is stopped starts no more processes.
        let server = Pid::from_child(&self.process);
        kill_process(server, Signal::STOP).unwrap();
        let processes = children(server);
        self.kill();
        for process in processes {
            // It may have noticed that the server is gone.
            kill_process(process, Signal::KILL).ok();
        }
    }

    /// Starts the server again on the same port, with its data.
    pub fn start_again(&mut self) {
        self.process = spawn(&self.directory, self.port, self.settings);
        self.wait();
    }

    /// Writes a file into the data directory.
    pub fn put(&self, name: &str, text: &str) {
        let path = self.directory.path().join("data").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        own(&path);
    }

    /// Returns the id of the server's process, the parent of all sessions.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns the server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL for this user and port, which may be that of a proxy.
    #[must_use]
    pub fn url(&self, user: &str, port: u16) -> String {
        format!("postgres://{user}:{PASSWORD}@127.0.0.1:{port}/postgres")
    }

    fn try_sql(&self, sql: &str) -> Result<String, String> {
        let output = Command::new("psql")
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", &self.url("admin", self.port), "-c", sql])
            .output()
            .unwrap_or_else(|error| panic!("cannot start psql ({error}): run `cargo xtask setup`"));
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Runs SQL with psql and returns its output.
    #[expect(clippy::must_use_candidate, reason = "most callers need only the effect")]
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).trim_end().to_owned()
    }

    /// Runs SQL that must fail and returns the error of psql.
    #[must_use]
    pub fn refusal(&self, sql: &str) -> String {
        self.try_sql(sql).expect_err(sql)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
