//! NATS servers of a test's own, with JetStream: one, or three that are a cluster, on free ports and in temporary directories.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "what a test starts may panic")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::deadline::wait_for;
use crate::proxy::{Fault, Proxy};
use crate::tool::{fetched, free_ports};

/// Servers that know each other; killed when dropped.
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

/// What is acknowledged is on the disk.
const ALWAYS: &str = ", sync_interval: always";

impl Servers {
    /// One server. `more` is added to its configuration.
    #[must_use]
    pub fn one(more: &str) -> Self {
        let [port] = free_ports();
        Self::start(&[port], ALWAYS, |_| more.to_owned())
    }

    /// One server with its own defaults: it acknowledges what is not on its disk yet.
    #[must_use]
    pub fn relaxed() -> Self {
        let [port] = free_ports();
        Self::start(&[port], "", |_| String::new())
    }

    /// Three that keep streams together.
    #[must_use]
    pub fn three() -> Self {
        let (ports, routes) = (free_ports::<3>(), free_ports::<3>());
        Self::start(&ports, ALWAYS, |number| cluster(routes[number], "", &routes))
    }

    /// The same, and what stands between each and the next one, between the last and the first in the end.
    #[must_use]
    pub fn three_apart() -> (Self, [Proxy; 3]) {
        let (ports, routes, nowhere) = (free_ports::<3>(), free_ports::<3>(), free_ports::<3>());
        let between = [1, 2, 0].map(|next: usize| Proxy::before(routes[next], Fault::None));
        let servers = Self::start(&ports, ALWAYS, |number| {
            // They tell each other of ways, and are to know none past the proxies.
            let advertise = format!(", advertise: \"127.0.0.1:{}\"", nowhere[number]);
            cluster(routes[number], &advertise, &[between[number].port()])
        });
        (servers, between)
    }

    /// `more` of the configuration is by number.
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

    /// The one with this number, with what it had.
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
        wait_for("an answer of nats-server", || {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
            let mut greeting = String::new();
            BufReader::new(stream).read_line(&mut greeting).ok()?;
            greeting.starts_with("INFO ").then_some(())
        });
    }

    /// As the kernel kills it when memory runs out.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut process) = self.servers[number].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// What a server says of itself while it runs.
    #[must_use]
    pub fn log(&self, number: usize) -> String {
        fs::read_to_string(self.directory.path().join(format!("{number}.log"))).unwrap()
    }

    /// Where the one with this number listens.
    #[must_use]
    pub fn port(&self, number: usize) -> u16 {
        self.servers[number].port
    }

    /// All of them, and the stream `AUDIT`.
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
            // Both fail only where it has ended already.
            process.kill().ok();
            process.wait().ok();
        }
    }
}
