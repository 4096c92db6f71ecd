//! A blocking client of server-sent events (HTML standard, 9.2).

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::deadline::TIMEOUT;

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

    /// Returns the next `count` entries, and the id of the last of them.
    #[must_use]
    pub fn entries(&mut self, count: usize) -> (Vec<Value>, String) {
        let (mut entries, mut id) = (Vec::new(), String::new());
        while entries.len() < count {
            let event = self.next().unwrap();
            if event.kind == "entry" {
                entries.push(serde_json::from_str(&event.data).unwrap());
                id = event.id;
            }
        }
        (entries, id)
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
