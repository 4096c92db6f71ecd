//! Stands between a client and a server, and cuts each connection after so many bytes of the server's.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Listens until the test's process ends.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// The first connection is cut after `first` bytes of the server's answers, and each next one after `more` bytes more.
    pub(crate) fn before(server: u16, first: u64, more: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::<AtomicU64>::default();
        let counted = cuts.clone();
        std::thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming()) {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect((Ipv4Addr::LOCALHOST, server)))
                else {
                    return;
                };
                let (upstream, back) =
                    ((client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client));
                std::thread::spawn(move || relay(upstream.0, upstream.1, u64::MAX));
                let counted = counted.clone();
                std::thread::spawn(move || {
                    if relay(back.0, back.1, first + number * more) {
                        counted.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { port, cuts }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::SeqCst)
    }
}

/// Whether it cut the connection, rather than one of the two.
fn relay(mut from: TcpStream, mut to: TcpStream, limit: u64) -> bool {
    let mut left = limit;
    let mut bytes = [0; 4096];
    let is_cut = loop {
        let most = usize::try_from(left).unwrap_or(bytes.len()).min(bytes.len());
        if most == 0 {
            break true;
        }
        match from.read(&mut bytes[..most]) {
            Ok(0) | Err(_) => break false,
            Ok(read) => {
                if to.write_all(&bytes[..read]).is_err() {
                    break false;
                }
                left -= read as u64;
            }
        }
    };
    // They fail where somebody else closed it already.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
    is_cut
}
