//! A Redis server for one test: on a free port, in memory only, with a password that no other test uses.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use auditx_tests::deadline::{TIMEOUT, wait_for};
use tempfile::TempDir;

/// A running Redis server; killed when dropped.
#[derive(Debug)]
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    password: String,
    /// Its working directory, removed when it is dropped.
    _directory: TempDir,
}

impl RedisServer {
    /// Starts a server on any free port.
    pub(crate) fn start() -> Self {
        loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            // Another process may have taken the port in between.
            if let Some(server) = Self::try_start_on(port) {
                return server;
            }
        }
    }

    /// Starts an empty server on the port of an earlier one.
    pub(crate) fn start_on(port: u16) -> Self {
        wait_for("a free port", || Self::try_start_on(port))
    }

    fn try_start_on(port: u16) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        // Derived from the port, so that the clients of an earlier server on this port can reconnect.
        let password = format!("{}-{port}", std::process::id());
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--requirepass", &password])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start redis-server ({error}): run `cargo xtask setup`"));
        let mut server = Self { process, port, password, _directory: directory };
        wait_for("an answer of Redis", || {
            if server.process.try_wait().unwrap().is_some() {
                return Some(false);
            }
            server.answers().then_some(true)
        })
        .then_some(server)
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else { return false };
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let sent = stream.write_all(format!("AUTH {}\r\nPING\r\n", self.password).as_bytes());
        let mut answer = BufReader::new(stream).lines().map_while(Result::ok);
        sent.is_ok() && answer.next().as_deref() == Some("+OK") && answer.next().as_deref() == Some("+PONG")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
