//! Stands between a client and a server, and does to their connections what networks do.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "what a test starts may panic")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Each is cut after so many bytes of the server's: the first after `first`, each next one after `more` bytes more.
    Cut {
        /// Of the first connection.
        first: u64,
        /// More for each next one.
        more: u64,
    },
    /// It stands, and nothing comes through in either direction.
    Blackhole,
    /// A byte at a time, with such a pause after each.
    Trickle(Duration),
    /// Those that stand are cut, and new ones are closed at once.
    Down,
    /// Those that stand are cut, and whoever asks anew hears this of the proxy: what no real server says when it is told to.
    Answer(&'static str),
}

/// One byte a second.
pub const DRIP: Fault = Fault::Trickle(Duration::from_secs(1));

/// How soon a connection on which nothing happens notices a change.
const TICK: Duration = Duration::from_millis(5);

/// Listens until the test's process ends.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cuts: AtomicU64,
    fault: Mutex<Fault>,
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }
}

impl Proxy {
    /// Before a server on this port.
    #[must_use]
    pub fn before(server: u16, fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { cuts: AtomicU64::new(0), fault: Mutex::new(fault) });
        let proxy = Self { port, shared: shared.clone() };
        let (first, more) = match fault {
            Fault::Cut { first, more } => (first, more),
            _ => (u64::MAX, 0),
        };
        std::thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming()) {
                let Ok(client) = client else { return };
                match shared.fault() {
                    Fault::Down => continue,
                    Fault::Answer(text) => {
                        std::thread::spawn(move || answer(client, text));
                        continue;
                    }
                    _ => {}
                }
                // A server that is down refuses.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { continue };
                for stream in [&client, &server] {
                    stream.set_read_timeout(Some(TICK)).unwrap();
                }
                let upstream = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let limit = first.saturating_add(more * number);
                let (one, other) = (shared.clone(), shared.clone());
                std::thread::spawn(move || relay(upstream, u64::MAX, &one));
                std::thread::spawn(move || {
                    if relay((server, client), limit, &other) {
                        other.cuts.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        proxy
    }

    /// Does this from now on, also to the connections that stand; cuts excepted, which are for the connections of a proxy that began so.
    pub fn change(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it cut.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

/// Says it, and hears the other out.
fn answer(mut client: TcpStream, text: &str) {
    let mut bytes = [0; 4096];
    // Whoever is gone hears nothing.
    if matches!(client.read(&mut bytes), Ok(1..)) && client.write_all(text.as_bytes()).is_ok() {
        client.shutdown(Shutdown::Write).ok();
        while matches!(client.read(&mut bytes), Ok(1..)) {}
    }
}

/// Whether it cut the connection, rather than one of the two.
fn relay((mut from, mut to): (TcpStream, TcpStream), limit: u64, shared: &Shared) -> bool {
    let mut left = limit;
    let mut bytes = [0; 4096];
    let is_cut = loop {
        let most = match shared.fault() {
            Fault::Trickle(_) => 1,
            Fault::None | Fault::Blackhole => bytes.len(),
            Fault::Cut { .. } => usize::try_from(left).unwrap_or(bytes.len()).min(bytes.len()),
            Fault::Down | Fault::Answer(_) => 0,
        };
        if most == 0 {
            break true;
        }
        match from.read(&mut bytes[..most]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // The other direction may have cut it.
            Ok(0) | Err(_) => break matches!(shared.fault(), Fault::Down | Fault::Answer(_)),
            Ok(read) => {
                // What was read just before waits as well.
                while shared.fault() == Fault::Blackhole {
                    std::thread::sleep(TICK);
                }
                if let Fault::Trickle(pause) = shared.fault() {
                    std::thread::sleep(pause);
                }
                if to.write_all(&bytes[..read]).is_err() {
                    break false;
                }
                left = left.saturating_sub(read as u64);
            }
        }
    };
    // They fail where somebody else closed it already.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
    is_cut
}
