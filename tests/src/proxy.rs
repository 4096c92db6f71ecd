//! Stands between a client and a server, and does to their connections what networks do.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "what a test starts may panic")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
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
    /// A byte at a time, a thousand a second.
    Trickle,
}

/// Listens until the test's process ends.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    cuts: AtomicU64,
    /// 0 as the connection began, 1 for a blackhole, 2 for a trickle, 3 for nothing at all.
    mode: AtomicU8,
}

const BLACKHOLE: u8 = 1;
const TRICKLE: u8 = 2;
const UNTOUCHED: u8 = 3;

impl Proxy {
    /// Before a server on this port.
    #[must_use]
    pub fn before(server: u16, fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let (first, more) = match fault {
            Fault::Cut { first, more } => (first, more),
            _ => (u64::MAX, 0),
        };
        let proxy = Self { port, shared: shared.clone() };
        proxy.change(fault);
        std::thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming()) {
                let Ok(client) = client else { return };
                // A server that is down refuses.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { continue };
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
        let mode = match fault {
            Fault::Cut { .. } => 0,
            Fault::Blackhole => BLACKHOLE,
            Fault::Trickle => TRICKLE,
            Fault::None => UNTOUCHED,
        };
        self.shared.mode.store(mode, Ordering::SeqCst);
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

/// Whether it cut the connection, rather than one of the two.
fn relay((mut from, mut to): (TcpStream, TcpStream), limit: u64, shared: &Shared) -> bool {
    const TICK: Duration = Duration::from_millis(1);
    let mut left = limit;
    let mut bytes = [0; 4096];
    let is_cut = loop {
        let mode = shared.mode.load(Ordering::SeqCst);
        let most = match mode {
            TRICKLE => 1,
            UNTOUCHED | BLACKHOLE => bytes.len(),
            _ => usize::try_from(left).unwrap_or(bytes.len()).min(bytes.len()),
        };
        if most == 0 {
            break true;
        }
        match from.read(&mut bytes[..most]) {
            Ok(0) | Err(_) => break false,
            Ok(read) => {
                // What was read just before is lost as well.
                while shared.mode.load(Ordering::SeqCst) == BLACKHOLE {
                    std::thread::sleep(TICK);
                }
                if mode == TRICKLE {
                    std::thread::sleep(TICK);
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
