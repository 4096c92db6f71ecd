//! A service process on a free port, with its own log directory.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use auditx_core::StoredEntry;
use auditx_examples::accounts::ACCOUNTS;
use auditx_tests::deadline::wait_for;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::{Client, Request, Response};
use crate::trail;

/// The service programs. The first three are the same service on different frameworks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Axum,
    Actix,
    Poem,
    Jobs,
    Prefork,
}

impl Service {
    fn program(self) -> &'static str {
        match self {
            Self::Axum => env!("CARGO_BIN_EXE_axum_erp"),
            Self::Actix => env!("CARGO_BIN_EXE_actix_erp"),
            Self::Poem => env!("CARGO_BIN_EXE_poem_erp"),
            Self::Jobs => env!("CARGO_BIN_EXE_jobs_web"),
            Self::Prefork => env!("CARGO_BIN_EXE_prefork_erp"),
        }
    }
}

/// A running service; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    service: Service,
    process: Process,
    address: SocketAddr,
    directory: TempDir,
}

impl Server {
    pub(crate) fn start(service: Service) -> Self {
        Self::start_with(service, &[])
    }

    pub(crate) fn start_with(service: Service, arguments: &[&str]) -> Self {
        Self::start_in(service, arguments, tempfile::tempdir().unwrap())
    }

    /// Starts the service in the directory of an earlier one.
    pub(crate) fn start_in(service: Service, arguments: &[&str], directory: TempDir) -> Self {
        let mut process = Process::start(
            Command::new(service.program())
                .args(["--addr", "127.0.0.1:0", "--log-dir"])
                .arg(directory.path().join("logs"))
                .args(arguments)
                .stdout(Stdio::piped()),
            directory.path(),
        );
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("the service printed {line:?}")).parse().unwrap();
        Self { service, process, address, directory }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn logs(&self) -> std::path::PathBuf {
        let logs = self.directory.path().join("logs");
        // The trails of its workers are beside its own.
        if self.service == Service::Jobs { logs.join("web") } else { logs }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Sends one request over a new connection.
    pub(crate) fn request(&self, request: &Request) -> Response {
        self.client().request(request)
    }

    /// Stops the service with SIGTERM and returns all entries of its trail.
    pub(crate) fn stop(mut self) -> Vec<StoredEntry> {
        self.process.signal(Signal::TERM);
        assert!(self.process.wait().success());
        let entries = trail::read(&self.logs());
        let last = entries.last().unwrap();
        assert_eq!(trail::kind(last), Some("close"), "after {last:?}");
        for (token, account) in &ACCOUNTS {
            assert!(!trail::holds(&self.logs(), token.as_bytes()), "{}'s token is in the logs", account.user);
        }
        entries
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Kills the service and returns its directory.
    pub(crate) fn kill(mut self) -> TempDir {
        self.process.signal(Signal::KILL);
        assert!(!self.process.wait().success());
        self.directory
    }
}

/// A process; killed when dropped. Its standard error is shown if the test fails.
#[derive(Debug)]
pub(crate) struct Process(Child, std::path::PathBuf);

impl Process {
    pub(crate) fn start(command: &mut Command, directory: &Path) -> Self {
        let stderr = directory.join("stderr");
        let child = command.stderr(File::create(&stderr).unwrap()).spawn().unwrap();
        Self(child, stderr)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        wait_for("the process to end", || self.0.try_wait().unwrap())
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(&self.1).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "standard error of the process: {}",
                std::fs::read_to_string(&self.1).unwrap_or_default()
            );
        }
        // Both fail only if the process has already ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
