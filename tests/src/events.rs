//! A blocking client of server-sent events (HTML standard, 9.2).

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use serde_json::Value;

use crate::deadline::{TIMEOUT, wait_for};

/// A connection on which events arrive.
#[derive(Debug)]
pub struct EventStream(BufReader<TcpStream>);

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type.
    pub kind: String,
    /// The position of the client after it.
    pub id: String,
    /// Its data.
    pub data: String,
}

impl EventStream {
    /// Connects and waits for the first event, so that what is recorded from now on is new. `last` is the id
    /// of the last event of an earlier connection, or empty.
    #[must_use]
    pub fn connect(address: SocketAddr, path: &str, last: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let last = if last.is_empty() { String::new() } else { format!("Last-Event-ID: {last}\r\n") };
        // HTTP/1.0 has no chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{last}\r\n").unwrap();
        let mut events = Self(BufReader::new(stream));
        let status = events.line().unwrap();
        assert!(status.contains("200"), "{status}");
        while events.line().is_some_and(|line| !line.is_empty()) {}
        assert_eq!(events.next().unwrap().kind, "heartbeat");
        events
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        // A killed server resets the connection.
        (self.0.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    }

    /// Lets the kernel receive only [a few kilobytes](limit_buffers) before they are read.
    #[must_use]
    pub fn with_small_buffers(self) -> Self {
        limit_buffers(self.0.get_ref());
        self
    }

    /// Reads events until `found` returns a value. `what` names the awaited event in the panic message.
    ///
    /// # Panics
    /// If there is no value within [`TIMEOUT`], although heartbeats arrive, or the connection ends.
    pub fn until<T>(&mut self, what: &str, mut found: impl FnMut(Event) -> Option<T>) -> T {
        wait_for(what, || found(self.next().unwrap_or_else(|| panic!("the connection ended before {what}"))))
    }

    /// Returns the next `count` entries, and the id of the last of them.
    ///
    /// # Panics
    /// As [`EventStream::until`].
    #[must_use]
    pub fn entries(&mut self, count: usize) -> (Vec<Value>, String) {
        let mut entries = Vec::with_capacity(count);
        while entries.len() + 1 < count {
            entries.push(self.entry().0);
        }
        let (last, id) = self.entry();
        entries.push(last);
        (entries, id)
    }

    fn entry(&mut self) -> (Value, String) {
        self.until("an entry", |event| {
            (event.kind == "entry").then(|| (serde_json::from_str(&event.data).unwrap(), event.id))
        })
    }
}

/// The events; `None` when the server closed the connection.
impl Iterator for EventStream {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.line()?;
            match line.split_once(": ").unwrap_or((&line, "")) {
                ("event", kind) => kind.clone_into(&mut event.kind),
                ("id", id) => id.clone_into(&mut event.id),
                ("data", data) => data.clone_into(&mut event.data),
                ("", _) if !event.kind.is_empty() => return Some(event),
                _ => {}
            }
        }
    }
}

/// Lets the kernel keep only a few kilobytes of what is sent and received on a socket, or on the connections
/// that a listener accepts. Otherwise it keeps megabytes, and how many depends on the machine.
pub fn limit_buffers(socket: impl AsFd) {
    const BYTES: usize = 16 << 10;
    set_socket_send_buffer_size(&socket, BYTES).unwrap();
    set_socket_recv_buffer_size(&socket, BYTES).unwrap();
}
