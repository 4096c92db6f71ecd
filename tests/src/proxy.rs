//! A TCP proxy that injects network faults.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A fault that is injected into connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No fault.
    None,
    /// Connections are cut after a number of bytes from the server: the first one after `first` bytes, each
    /// further one after `more` additional bytes.
    Cut {
        /// The limit of the first connection.
        first: u64,
        /// The increase of the limit for each further connection.
        more: u64,
    },
    /// Connections stay open, but nothing passes in either direction.
    Blackhole,
    /// One byte at a time passes, with this pause after each.
    Trickle(Duration),
    /// Open connections are cut, and new ones are closed at once.
    Down,
    /// Open connections are cut, and the proxy itself sends this text to new ones, for answers that a real
    /// server cannot be made to send.
    Answer(&'static str),
}

/// One byte per second.
pub const DRIP: Fault = Fault::Trickle(Duration::from_secs(1));

/// How often an idle connection checks for a change of the fault.
const TICK: Duration = Duration::from_millis(5);

/// A proxy, which runs until the test's process ends.
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
    /// Starts a proxy for the server on this port.
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
                // A server that is not running refuses connections.
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

    /// Changes the fault, also for open connections. [`Fault::Cut`] takes effect only if the proxy started
    /// with it.
    pub fn change(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// Returns the proxy's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns how many connections were cut.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

/// Sends the text after the client has sent something, then reads until the client closes the connection.
fn answer(mut client: TcpStream, text: &str) {
    let mut bytes = [0; 4096];
    if matches!(client.read(&mut bytes), Ok(1..)) && client.write_all(text.as_bytes()).is_ok() {
        client.shutdown(Shutdown::Write).ok();
        while matches!(client.read(&mut bytes), Ok(1..)) {}
    }
}

/// Copies bytes in one direction. Returns whether the proxy, not one of the peers, ended the connection.
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
            // The thread of the other direction may have cut the connection.
            Ok(0) | Err(_) => break matches!(shared.fault(), Fault::Down | Fault::Answer(_)),
            Ok(read) => {
                // Bytes that were read just before the change are held back as well.
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
    // These fail if the connection is already closed.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
    is_cut
}
