//! NATS servers with JetStream for one test: a single server, or a cluster of three, on free ports and in
//! temporary directories.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::deadline::wait_for;
use crate::proxy::{Fault, Proxy};
use crate::tool::{fetched, free_ports};

/// A server or a cluster; killed when dropped.
#[derive(Debug)]
pub struct Servers {
    servers: Vec<Server>,
    directory: TempDir,
}

#[derive(Debug)]
struct Server {
    port: u16,
    process: Option<Child>,
}

/// Messages are durable when they are acknowledged.
const SYNC_ALWAYS: &str = ", sync_interval: always";

impl Servers {
    /// Starts one server. `more` is added to its configuration.
    #[must_use]
    pub fn one(more: &str) -> Self {
        let [port] = free_ports();
        Self::start(&[port], SYNC_ALWAYS, |_| more.to_owned())
    }

    /// Starts one server with the default settings of NATS: it acknowledges messages that are not durable
    /// yet.
    #[must_use]
    pub fn relaxed() -> Self {
        let [port] = free_ports();
        Self::start(&[port], "", |_| String::new())
    }

    /// Starts a cluster of three servers.
    #[must_use]
    pub fn three() -> Self {
        let (ports, routes) = (free_ports::<3>(), free_ports::<3>());
        Self::start(&ports, SYNC_ALWAYS, |number| cluster(routes[number], "", &routes))
    }

    /// Starts a cluster of three servers that reach each other only through proxies: proxy N is between
    /// server N and the next one, the last between server 2 and server 0.
    #[must_use]
    pub fn three_with_proxies() -> (Self, [Proxy; 3]) {
        let (ports, routes, unused) = (free_ports::<3>(), free_ports::<3>(), free_ports::<3>());
        let proxies = [1, 2, 0].map(|next: usize| Proxy::before(routes[next], Fault::None));
        let servers = Self::start(&ports, SYNC_ALWAYS, |number| {
            // Servers advertise their routes to each other; a route around the proxies must not be known.
            let advertise = format!(", advertise: \"127.0.0.1:{}\"", unused[number]);
            cluster(routes[number], &advertise, &[proxies[number].port()])
        });
        (servers, proxies)
    }

    /// `more` returns the additional configuration of each server.
    fn start(ports: &[u16], jetstream: &str, more: impl Fn(usize) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (number, port) in ports.iter().enumerate() {
            let store = directory.path().join(format!("store-{number}"));
            let text = format!(
                "server_name: n{number}\nlisten: 127.0.0.1:{port}\n\
                 jetstream {{ store_dir: \"{}\" {jetstream} }}\n{}\n",
                store.display(),
                more(number)
            );
            fs::write(directory.path().join(format!("{number}.conf")), text).unwrap();
        }
        let servers = ports.iter().map(|port| Server { port: *port, process: None }).collect();
        let mut servers = Self { servers, directory };
        for number in 0..ports.len() {
            servers.start_again(number);
        }
        servers
    }

    /// Starts the server with this number again, with its data.
    pub fn start_again(&mut self, number: usize) {
        let log = fs::File::create(self.directory.path().join(format!("{number}.log"))).unwrap();
        let process = Command::new(fetched("nats-server"))
            .arg("-c")
            .arg(self.directory.path().join(format!("{number}.conf")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start nats-server ({error}): run `cargo xtask setup`"));
        let server = &mut self.servers[number];
        server.process = Some(process);
        let port = server.port;
        wait_for("an answer from nats-server", || {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
            let mut greeting = String::new();
            BufReader::new(stream).read_line(&mut greeting).ok()?;
            greeting.starts_with("INFO ").then_some(())
        });
    }

    /// Kills a server with SIGKILL.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut process) = self.servers[number].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Returns the log of a server since its last start.
    #[must_use]
    pub fn log(&self, number: usize) -> String {
        fs::read_to_string(self.directory.path().join(format!("{number}.log"))).unwrap()
    }

    /// Returns the port of a server.
    #[must_use]
    pub fn port(&self, number: usize) -> u16 {
        self.servers[number].port
    }

    /// Returns a URL with all servers and the stream `AUDIT`.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("nats://{}/AUDIT", hosts.join(","))
    }
}

fn cluster(port: u16, more: &str, routes: &[u16]) -> String {
    let routes: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
    format!("cluster {{ name: audit, listen: 127.0.0.1:{port}{more}, routes: [{}] }}", routes.join(", "))
}

impl Drop for Servers {
    fn drop(&mut self) {
        for process in self.servers.iter_mut().filter_map(|server| server.process.as_mut()) {
            // Both fail only if the process has already ended.
            process.kill().ok();
            process.wait().ok();
        }
    }
}
